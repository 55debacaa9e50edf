"""JWT templates through the Backend API, and the tokens a signed-in person gets of them."""

from __future__ import annotations

from typing import Any

import jwt as pyjwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.identity.conftest import ORIGIN, Browser, claims_of, header_of
from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio

SECRET = "a shared secret of more than sixty-four bytes, as HS512 wants it to be."


async def made(backend: Backend, claims: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = {"name": "tpl", "claims": claims} | fields
    return await backend.ask("POST", "/jwt_templates", json=body)


async def token(browser: Browser, name: str = "tpl") -> str:
    session = await browser.session()
    return (await browser.post(f"/v1/client/sessions/{session['id']}/tokens/{name}"))["jwt"]


@pytest.mark.conformance("clerk-backend", 80)
async def test_a_reserved_claim_is_refused(backend: Backend) -> None:
    reserved = (
        "azp exp iat iss jti nbf sid sub v fva sts o pla fea act org_id org_role org_slug org_permissions"
    )
    for claim in (*reserved.split(), "x-triplit-token-type"):
        body = {"name": "tpl", "claims": {claim: "x"}}
        error = await backend.refused("POST", "/jwt_templates", 400, "jwt_template_reserved_claim", json=body)
        assert error["meta"]["param_name"] == "claims"
    assert (await backend.ask("GET", "/jwt_templates?paginated=true"))["total_count"] == 1


@pytest.mark.conformance("clerk-backend", 81)
@pytest.mark.conformance("clerk-backend", 82)
@pytest.mark.conformance("clerk-backend", 83)
@pytest.mark.conformance("clerk-backend", 84)
@pytest.mark.conformance("clerk-backend", 85)
@pytest.mark.conformance("clerk-backend", 86)
async def test_the_claims_of_a_token(backend: Backend) -> None:
    browser = await backend.world.signed_up(
        "ada@example.com", first_name="Ada", unsafe_metadata='{"teams": ["a"], "level": 5}'
    )
    claims = {
        "aud": ["one", "two"],
        "unsafe": "{{user.unsafe_metadata}}",
        "also": "{{user.unsafeMetadata.level}}",
        "names": "{{user.last_name}} {{user.first_name}}",
        "nick": "{{user.username || 'X'}}",
        "nope": "{{user.nope}}",
        "age": "{{user.public_metadata.age || 30}}",
        "organization": "{{org.id}}",
    }
    await made(backend, claims, lifetime=120, allowed_clock_skew=7)
    found = claims_of(await token(browser))
    user_id = await browser.user_id()
    assert found["aud"] == ["one", "two"]
    assert found["unsafe"] == {"teams": ["a"], "level": 5}
    assert found["also"] == 5
    assert found["names"] == "null Ada"
    assert found["nick"] == "X"
    assert found["nope"] is None
    assert found["organization"] is None
    assert found["age"] == 30
    assert (found["exp"] - found["iat"], found["iat"] - found["nbf"], found["sub"]) == (120, 7, user_id)
    assert not {"sid", "v", "fva", "sts"} & found.keys()


async def test_what_a_user_has_stands_in_the_claims(backend: Backend) -> None:
    browser = await backend.world.signed_up()
    await backend.world.database.write(
        lambda tx: tx.execute("UPDATE identity_users SET username = 'ada', external_id = 'x1'")
    )
    names = (
        "username",
        "external_id",
        "image_url",
        "primary_phone_number",
        "phone_number_verified",
        "organizations",
    )
    await made(backend, {name: f"{{{{user.{name}}}}}" for name in names})
    found = claims_of(await token(browser))
    assert [found[name] for name in names] == ["ada", "x1", f"{ORIGIN}/v1/images/avatar.svg", None, False, {}]


def _pem(key: Any) -> tuple[str, str]:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


RSA_PEM = _pem(rsa.generate_private_key(65537, 2048))
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@pytest.mark.conformance("clerk-backend", 87)
@pytest.mark.parametrize(
    "algorithm", ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
)
async def test_a_key_of_its_own_signs(backend: Backend, algorithm: str) -> None:
    private, public = SECRET, SECRET
    if algorithm.startswith("RS"):
        private, public = RSA_PEM
    if algorithm.startswith("ES"):
        private, public = _pem(ec.generate_private_key(CURVES[algorithm]))
    shown = await made(
        backend, {"aud": "x"}, custom_signing_key=True, signing_algorithm=algorithm, signing_key=private
    )
    assert (shown["custom_signing_key"], shown["signing_algorithm"]) == (True, algorithm)
    assert private not in msgspec.json.encode(shown).decode()
    browser = await backend.world.signed_up()
    jwt = await token(browser)
    assert header_of(jwt) == {
        "alg": algorithm,
        "typ": "JWT",
        "kid": shown["id"],
        "cat": "cl_B7d4PD222AAA",
    }
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}  # a clock of the tests'
    found = pyjwt.decode(jwt, public, algorithms=[algorithm], audience="x", options=options)
    assert found["sub"] == await browser.user_id()
    rows = await backend.world.database.read(lambda tx: tx.fetch_all("SELECT * FROM identity_jwt_templates"))
    assert SECRET not in repr(rows)
    assert private not in repr(rows)


@pytest.mark.conformance("clerk-backend", 88)
@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"signing_algorithm": "HS256"}, "form_conditional_param_missing", "signing_key"),
        ({"signing_key": SECRET}, "form_conditional_param_missing", "signing_algorithm"),
        ({"signing_algorithm": "none", "signing_key": SECRET}, "form_param_value_invalid", "signing_algorithm"),
        ({"signing_algorithm": "EdDSA", "signing_key": SECRET}, "form_param_value_invalid", "signing_algorithm"),
        ({"signing_algorithm": "HS256", "signing_key": "short"}, "form_param_value_invalid", "signing_key"),
        ({"signing_algorithm": "HS256", "signing_key": RSA_PEM[1]}, "form_param_value_invalid", "signing_key"),
        ({"signing_algorithm": "RS256", "signing_key": RSA_PEM[1]}, "form_param_value_invalid", "signing_key"),
        ({"signing_algorithm": "ES256", "signing_key": RSA_PEM[0]}, "form_param_value_invalid", "signing_key"),
        (
            {"signing_algorithm": "HS256", "signing_key": SECRET, "custom_signing_key": False},
            "form_conditional_param_disallowed",
            "signing_algorithm",
        ),
    ],
)  # fmt: skip
async def test_a_key_that_cannot_sign_is_refused(
    backend: Backend, fields: dict[str, Any], code: str, param: str
) -> None:
    body = {"name": "tpl", "claims": {}, "custom_signing_key": True} | fields
    errors = (await backend.ask("POST", "/jwt_templates", 422, json=body))["errors"]
    assert (errors[0]["code"], errors[0]["meta"]["param_name"]) == (code, param)
    assert SECRET not in repr(errors)
    assert (await backend.ask("GET", "/jwt_templates?paginated=true"))["total_count"] == 1


@pytest.mark.conformance("clerk-backend", 89)
@pytest.mark.parametrize(
    "field",
    [
        {"lifetime": 29},
        {"lifetime": 315_360_001},
        {"allowed_clock_skew": -1},
        {"allowed_clock_skew": 301},
        {"name": "not a name"},
        {"name": ".."},
        {"name": "t3-relay"},
        {"claims": {"a": [[[[[[[[[[[[[[[[["x"]]]]]]]]]]]]]]]]]}},
    ],
)
async def test_what_a_template_cannot_be(backend: Backend, field: dict[str, Any]) -> None:
    body = {"name": "tpl", "claims": {}} | field
    error = await backend.refused("POST", "/jwt_templates", 422, "form_param_value_invalid", json=body)
    assert error["meta"]["param_name"] == next(iter(field))
    await made(backend, {}, lifetime=30, allowed_clock_skew=300)


async def test_large_claims_are_refused(backend: Backend) -> None:
    body = {"name": "tpl", "claims": {"a": "x" * 4096}}
    await backend.refused("POST", "/jwt_templates", 422, "form_param_max_length_exceeded", json=body)


@pytest.mark.conformance("clerk-backend", 90)
@pytest.mark.conformance("clerk-backend", 91)
async def test_lists_are_pages_or_arrays(backend: Backend) -> None:
    backend.world.clock.advance(1000)
    first = await made(backend, {})
    page = await backend.ask("GET", "/jwt_templates?paginated=true&limit=1")
    assert page == {"data": [first], "total_count": 2}
    assert [each["name"] for each in await backend.ask("GET", "/jwt_templates")] == ["tpl", "t3-relay"]
    assert [each["name"] for each in await backend.ask("GET", "/jwt_templates?offset=1")] == ["t3-relay"]


async def test_a_template_is_read_changed_and_deleted(backend: Backend) -> None:
    shown = await made(
        backend,
        {"a": 1},
        lifetime=90,
        custom_signing_key=True,
        signing_algorithm="HS256",
        signing_key=SECRET,
    )
    path = f"/jwt_templates/{shown['id']}"
    assert await backend.ask("GET", path) == shown
    backend.world.clock.advance(1000)
    changed = await backend.ask("PATCH", path, json={"name": "renamed", "claims": {"a": 2}})
    assert changed == shown | {
        "name": "renamed",
        "claims": {"a": 2},
        "updated_at": shown["updated_at"] + 1000,
    }
    browser = await backend.world.signed_up()
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    assert (
        pyjwt.decode(await token(browser, "renamed"), SECRET, algorithms=["HS256"], options=options)["a"] == 2
    )
    # Another algorithm needs another key; without a key of its own the instance signs again.
    await backend.refused(
        "PATCH", path, 422, "form_conditional_param_missing",
        json={"name": "renamed", "claims": {}, "signing_algorithm": "HS512"},
    )  # fmt: skip
    back = await backend.ask(
        "PATCH", path, json={"name": "renamed", "claims": {}, "custom_signing_key": False}
    )
    assert (back["custom_signing_key"], back["signing_algorithm"]) == (False, "RS256")
    assert header_of(await token(browser, "renamed"))["alg"] == "RS256"
    await backend.refused("PATCH", path, 422, "form_param_missing", json={"name": "renamed"})
    taken = {"name": "t3-relay", "claims": {}}
    await backend.refused("PATCH", path, 422, "form_param_value_invalid", json=taken)
    assert await backend.ask("DELETE", path) == {
        "object": "jwt_template",
        "id": shown["id"],
        "deleted": True,
    }
    for method in ("GET", "DELETE"):
        await backend.refused(method, path, 404, "resource_not_found")
    await backend.refused("PATCH", path, 404, "resource_not_found", json={"name": "x", "claims": {}})
    session = await browser.session()
    await browser.post(f"/v1/client/sessions/{session['id']}/tokens/renamed", 404)


async def test_every_change_is_audited(backend: Backend) -> None:
    shown = await made(backend, {})
    path = f"/jwt_templates/{shown['id']}"
    await backend.ask("PATCH", path, json={"name": "tpl", "claims": {}})
    await backend.ask("DELETE", path)
    rows = await backend.world.database.read(
        lambda tx: tx.fetch_all(
            "SELECT action, detail, actor FROM identity_audit WHERE object = ? ORDER BY id", (shown["id"],)
        )
    )
    (key,) = await backend.world.identity.secret_keys.list()
    assert sorted(rows) == [
        (f"jwt_template.{what}", "tpl", key.id) for what in ("created", "deleted", "updated")
    ]


async def test_metadata_that_are_too_large_refuse_the_token(backend: Backend) -> None:
    await made(backend, {"a": ["{{user.unsafe_metadata.big}}"] * 8})
    browser = await backend.world.signed_up(unsafe_metadata=f'{{"big": "{"x" * 2000}"}}')
    session = await browser.session()
    refused = await browser.post(f"/v1/client/sessions/{session['id']}/tokens/tpl", 422)
    assert refused["errors"][0]["code"] == "form_param_exceeds_allowed_size"


async def test_a_preview_tells_claims_and_warnings(backend: Backend) -> None:
    browser = await backend.world.signed_up()
    claims = {
        "claims.jwt.hasura.io": {
            "x-hasura-user-id": "{{user.id}}",
            "x-hasura-default-role": "{{user.public_metadata.role}}",
            "x-hasura-allowed-roles": ["user"],
        },
        "odd": "{{user.nope}}",
    }
    user_id = await browser.user_id()
    body = {"claims": claims, "user_id": user_id}
    preview = await backend.ask("POST", "/jwt_templates/preview", json=body)
    assert preview["object"] == "jwt_template_preview"
    assert preview["claims"]["claims.jwt.hasura.io"]["x-hasura-user-id"] == user_id
    assert {(each["code"], each["claim"].rpartition(".")[2]) for each in preview["warnings"]} == {
        ("absent_value", "x-hasura-default-role"),
        ("null_claim", "x-hasura-default-role"),
        ("hasura_default_role", "x-hasura-default-role"),
        ("unknown_path", "odd"),
        ("null_claim", "odd"),
    }
    assert (await backend.ask("GET", "/jwt_templates?paginated=true"))["total_count"] == 1
    unknown = body | {"user_id": "user_nobody"}
    await backend.refused("POST", "/jwt_templates/preview", 404, "resource_not_found", json=unknown)
    reserved = body | {"claims": {"sub": 1}}
    await backend.refused("POST", "/jwt_templates/preview", 400, "jwt_template_reserved_claim", json=reserved)


# -- the session token


async def session_claims(browser: Browser) -> dict[str, Any]:
    session = await browser.session()
    return claims_of((await browser.post(f"/v1/client/sessions/{session['id']}/tokens"))["jwt"])


async def test_the_template_of_session_tokens_adds_its_claims_to_them(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    before = await session_claims(ada)
    claims = {"aud": "rows", "meta": "{{user.public_metadata}}", "role": "{{org.role || 'none'}}"}
    template = await made(backend, claims, name="session_token", lifetime=120, allowed_clock_skew=30)
    after = await session_claims(ada)
    assert {name: after[name] for name in claims} == {"aud": "rows", "meta": {}, "role": "none"}
    assert (after["exp"] - after["iat"], after["iat"] - after["nbf"]) == (120, 30)
    assert before.keys() == after.keys() - claims.keys()
    shown = await ada.session()
    assert claims_of(shown["last_active_token"]["jwt"])["aud"] == "rows"
    assert header_of(shown["last_active_token"]["jwt"])["cat"] == "cl_B7d4PD111AAA"
    minted = await backend.ask("POST", f"/sessions/{shown['id']}/tokens", json={"expires_in_seconds": 60})
    claimed = claims_of(minted["jwt"])
    assert (claimed["aud"], claimed["exp"] - claimed["iat"]) == ("rows", 60)
    one = f"/jwt_templates/{template['id']}"
    await backend.ask("PATCH", one, json={"name": "session_token", "claims": {}})
    assert "aud" not in await session_claims(ada)


async def test_the_template_of_session_tokens_keeps_its_place_and_the_instances_key(backend: Backend) -> None:
    template = await made(backend, {}, name="session_token")
    one = f"/jwt_templates/{template['id']}"
    await backend.refused("DELETE", one, 403, "session_token_jwt_template")
    renamed = {"name": "other", "claims": {}}
    await backend.refused("PATCH", one, 403, "session_token_jwt_template", json=renamed)
    keyed = {"custom_signing_key": True, "signing_algorithm": "HS512", "signing_key": SECRET}
    body = {"name": "session_token", "claims": {}, **keyed}
    await backend.refused("PATCH", one, 422, "form_param_value_invalid", json=body)
    reserved = {"name": "session_token", "claims": {"sid": "x"}}
    await backend.refused("PATCH", one, 400, "jwt_template_reserved_claim", json=reserved)


async def test_claims_too_large_for_one_user_cost_them_the_token_and_not_the_page(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    user = f"/users/{await ada.user_id()}"
    await backend.ask("PATCH", f"{user}/metadata", json={"public_metadata": {"text": "x" * 4000}})
    text = "{{user.public_metadata.text}}"
    await made(backend, {str(number): text for number in range(12)}, name="session_token")
    session = await ada.session()
    assert session["last_active_token"] is None
    refused = await ada.post(f"/v1/client/sessions/{session['id']}/tokens", 422)
    assert [error["code"] for error in refused["errors"]] == ["form_param_exceeds_allowed_size"]
