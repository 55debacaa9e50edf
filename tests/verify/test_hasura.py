"""Hasura's AuthConfig and the consumer vectors H1 to H38, one test each or more."""

from __future__ import annotations

import json
from typing import Any

import jwt as pyjwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from doorward.verify.hasura import (
    AuthConfigInvalid,
    HasuraAuth,
    HasuraRefused,
    HasuraSession,
    read_auth_config,
)
from doorward.verify.hasura.generation import KEY_VARIABLE, as_yaml, auth_config_for
from doorward.verify.hasura.pointers import MISSING, look_up, parse_pointer
from doorward.verify.hasura.webhook import WebhookAnswer, WebhookRequest

pytestmark = [pytest.mark.anyio, pytest.mark.conformance("data-access", 26)]

NOW = 1_800_000_000
SECRET = "a shared secret of more than thirty-two bytes"
SPACE = "claims.jwt.hasura.io"
ROLES: dict[str, Any] = {
    "x-hasura-default-role": "user",
    "x-hasura-allowed-roles": ["user", "editor"],
    "x-hasura-user-id": "user_1",
}
JWKS_URL = "https://accounts.example.com/jwks"


def _pair(kid: str) -> tuple[str, dict[str, Any]]:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    jwk = json.loads(pyjwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return pem, {**jwk, "kid": kid, "use": "sig"} | {"key_ops": ["verify"]}


OLD, OLD_JWK = _pair("old")
NEW, NEW_JWK = _pair("new")
_PUBLIC = pyjwt.algorithms.RSAAlgorithm.from_jwk(OLD_JWK)
assert not isinstance(_PUBLIC, rsa.RSAPrivateKey)
PUBLIC_PEM = _PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def token(key: str = OLD, alg: str = "RS256", kid: str | None = "old", **claims: Any) -> str:
    """Claims that are None are left out."""
    whole = {SPACE: ROLES, "sub": "user_1", "exp": NOW + 60} | claims
    headers = {} if kid is None else {"kid": kid}
    return pyjwt.encode({n: v for n, v in whole.items() if v is not None}, key, alg, headers)


def jwt_mode(**changes: Any) -> dict[str, Any]:
    return {
        "claimsConfig": {"namespace": {"claimsFormat": "Json", "location": f"/{SPACE}"}},
        "tokenLocation": {"type": "BearerAuthorization"},
        "key": {"jwkFromUrl": JWKS_URL},
    } | changes


def namespace(location: str, claims_format: str = "Json") -> dict[str, Any]:
    return {"claimsConfig": {"namespace": {"claimsFormat": claims_format, "location": location}}}


def document(version: str = "v3", mode: dict[str, Any] | None = None, **definition: Any) -> dict[str, Any]:
    wanted = {"mode": mode or {"jwt": jwt_mode()}} | definition
    return {"kind": "AuthConfig", "version": version, "definition": wanted}


class KeySets:
    """An issuer's key set over HTTP, as `fetch` sees it."""

    def __init__(self, *jwks: dict[str, Any], body: bytes | None = None) -> None:
        self.body = msgspec.json.encode({"keys": list(jwks)}) if body is None else body
        self.is_down = False
        self.asked = 0

    async def __call__(self, url: str) -> bytes:
        assert url == JWKS_URL
        self.asked += 1
        if self.is_down:
            raise OSError("connection refused")
        return self.body


def auth(mode: dict[str, Any] | None = None, *, fetch: KeySets | None = None, **options: Any) -> HasuraAuth:
    config = read_auth_config(document(mode={"jwt": jwt_mode(**(mode or {}))}), environ={})
    return HasuraAuth(config, fetch=fetch or KeySets(OLD_JWK, NEW_JWK), clock=lambda: NOW, **options)


async def resolved(jwt: str, mode: dict[str, Any] | None = None, **headers: str) -> HasuraSession:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await auth(mode).resolve({"Authorization": f"Bearer {jwt}"} | named)


async def refused(code: str, jwt: str, mode: dict[str, Any] | None = None, **headers: str) -> HasuraRefused:
    with pytest.raises(HasuraRefused) as caught:
        await resolved(jwt, mode, **headers)
    assert caught.value.code == code, caught.value
    return caught.value


async def test_h1_a_good_token() -> None:
    session = await resolved(token())
    assert session == HasuraSession("user", {"x-hasura-user-id": "user_1", "x-hasura-role": "user"})


@pytest.mark.conformance("data-access", 49)
async def test_h2_a_role_that_is_not_allowed() -> None:
    assert (await refused("role_not_allowed", token(), x_hasura_role="admin")).status == 401


async def test_h3_a_role_among_the_allowed() -> None:
    assert (await resolved(token(), x_hasura_role="editor")).role == "editor"


@pytest.mark.conformance("data-access", 50)
async def test_h4_the_default_role() -> None:
    assert (await resolved(token())).role == "user"


async def test_h5_no_claims() -> None:
    assert (await refused("claims_not_found", token(**{SPACE: None}))).status == 500


@pytest.mark.parametrize("space", [["x"], "text", 5])
async def test_h6_claims_of_another_shape(space: Any) -> None:
    await refused("claims_unreadable", token(**{SPACE: space}))


async def test_h7_claims_as_text() -> None:
    mode = namespace(f"/{SPACE}", "StringifiedJson")
    assert (await resolved(token(**{SPACE: json.dumps(ROLES)}), mode)).role == "user"
    assert (await refused("claims_invalid", token(), mode)).status == 400
    assert (await refused("claims_unreadable", token(**{SPACE: "{"}), mode)).status == 500


async def test_h8_a_slash_in_the_pointer() -> None:
    jwt = token(**{SPACE: None, "https://hasura.io/jwt/claims": ROLES})
    assert (await resolved(jwt, namespace("/https:~1~1hasura.io~1jwt~1claims"))).role == "user"


@pytest.mark.conformance("data-access", 59)
def test_h9_tildes_in_pointers() -> None:
    assert look_up({"a~b": 1}, parse_pointer("/a~0b")) == 1
    assert look_up({"~1": 1, "/": 2}, parse_pointer("/~01")) == 1
    assert look_up({"m~n/o": 1}, parse_pointer("/m~0n~1o")) == 1


@pytest.mark.conformance("data-access", 59)
async def test_h10_nested_pointers_and_indexes() -> None:
    jwt = token(**{SPACE: None, "foo": {"hasuraClaims": ROLES}})
    assert (await resolved(jwt, namespace("/foo/hasuraClaims"))).role == "user"
    claims = {"roles": ["a"]}
    assert look_up(claims, parse_pointer("/roles/0")) == "a"
    for elsewhere in ("/roles/-", "/roles/01", "/roles/1", "/roles/0/x", "/x", "/roles/٠"):
        assert look_up(claims, parse_pointer(elsewhere)) is MISSING


@given(st.text())
def test_a_pointer_is_read_or_refused(text: str) -> None:
    try:
        steps = parse_pointer(text)
    except ValueError:
        return
    assert "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps) == text


def test_h11_a_pointer_without_slash() -> None:
    with pytest.raises(AuthConfigInvalid, match=r"claimsConfig.*slash"):
        read_auth_config(document(mode={"jwt": jwt_mode(**namespace("claims"))}))


def locations(**others: Any) -> dict[str, Any]:
    entries = {
        "x-hasura-default-role": {"literal": "user"},
        "x-hasura-allowed-roles": {"literal": ["user"]},
    }
    return {"claimsConfig": {"locations": entries | {n.replace("_", "-"): v for n, v in others.items()}}}


async def test_h12_claims_from_places_of_their_own() -> None:
    mode = locations(x_hasura_user_id={"path": {"path": "/sub"}})
    assert (await resolved(token(**{SPACE: None}), mode)).variables["x-hasura-user-id"] == "user_1"


async def test_h13_places_that_are_empty() -> None:
    empty = {"path": {"path": "/nope"}}
    stood_in = {"path": {"path": "/nope", "default": 7}}
    variables = (await resolved(token(), locations(x_hasura_a=empty, x_hasura_b=stood_in))).variables
    assert variables == {"x-hasura-b": 7, "x-hasura-role": "user"}
    assert (await refused("claims_invalid", token(), locations(x_hasura_default_role=empty))).status == 400


async def test_h14_a_null_is_found() -> None:
    entry = {"path": {"path": "/role/inner", "default": "user"}}
    jwt = token(role={"inner": None})
    await refused("claims_invalid", jwt, locations(x_hasura_default_role=entry))
    assert (await resolved(jwt, locations(x_hasura_x=entry))).variables["x-hasura-x"] is None


async def test_h15_a_default_role_that_is_not_allowed() -> None:
    jwt = token(**{SPACE: ROLES | {"x-hasura-default-role": "admin"}})
    assert (await refused("default_role_not_allowed", jwt)).status == 400


async def test_h16_a_role_twice() -> None:
    jwt = token(**{SPACE: ROLES | {"x-hasura-allowed-roles": ["user", "user"]}})
    assert (await refused("duplicate_role", jwt)).status == 500


async def test_h17_roles_as_text() -> None:
    await refused("claims_invalid", token(**{SPACE: ROLES | {"x-hasura-allowed-roles": "user"}}))


@pytest.mark.conformance("data-access", 33)
async def test_h18_expiry_and_skew() -> None:
    await resolved(token(exp=NOW - 30))
    await refused("token_invalid", token(exp=NOW - 90))
    await refused("token_invalid", token(exp=NOW - 1), {"allowedSkew": 0})
    await resolved(token(exp=NOW - 9), {"allowedSkew": 10})
    await refused("token_invalid", token(exp=NOW - 11), {"allowedSkew": 10})


@pytest.mark.conformance("data-access", 32)
@pytest.mark.parametrize("exp", [None, "x", True])
async def test_h19_no_expiry(exp: Any) -> None:
    assert (await refused("token_invalid", token(exp=exp))).status == 400


async def test_h20_other_times_do_not_count() -> None:
    await resolved(token(nbf=NOW + 900, iat=NOW + 900))


@pytest.mark.conformance("data-access", 35)
async def test_h21_an_audience_nobody_configured() -> None:
    await refused("token_invalid", token(aud="x"))
    headers = {"Authorization": f"Bearer {token(aud='x')}"}
    assert (await auth(aud_needs_audience=False).resolve(headers)).role == "user"


@pytest.mark.conformance("data-access", 36)
async def test_h22_audiences() -> None:
    mode = {"audience": ["a", "b"]}
    for aud in ("b", ["x", "a"], None):
        await resolved(token(aud=aud), mode)
    for aud in ("x", [], ["x"], 5):
        await refused("token_invalid", token(aud=aud), mode)


@pytest.mark.conformance("data-access", 37)
async def test_h23_issuers() -> None:
    mode = {"issuer": "https://a.example"}
    await resolved(token(iss="https://a.example"), mode)
    await resolved(token(), mode)
    for issuer in ("https://b.example", "https://a.example/"):
        await refused("token_invalid", token(iss=issuer), mode)


FIXED = {"key": {"fixed": {"algorithm": "RS256", "key": {"value": PUBLIC_PEM}}}}


async def test_h24_key_ids() -> None:
    assert (await refused("key_not_found", token(kid="other"))).status == 500
    assert (await refused("kid_missing", token(kid=None))).status == 400
    await resolved(token(kid=None), FIXED)


async def test_h25_two_keys() -> None:
    await resolved(token())
    await resolved(token(NEW, kid="new"))
    await refused("token_invalid", token(NEW, kid="old"))


@pytest.mark.conformance("data-access", 40)
@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b"[]", b'{"keys": 5}', b'{"keys": [{"kid": "old", "kty": "oct", "k": "AA"}]}'],
)
async def test_h26_a_key_set_that_cannot_be_had(body: bytes) -> None:
    service = auth(fetch=KeySets(body=body))
    with pytest.raises(HasuraRefused) as caught:
        await service.resolve({"Authorization": f"Bearer {token()}"})
    assert (caught.value.code, caught.value.status) == ("keys_unavailable", 500)


@pytest.mark.conformance("data-access", 38, 39)
async def test_keys_outlive_an_outage_and_an_unknown_kid_asks_once() -> None:
    now, fetch = [float(NOW)], KeySets(OLD_JWK)
    config = read_auth_config(document())
    service = HasuraAuth(config, fetch=fetch, clock=lambda: now[0])
    good = {"Authorization": f"Bearer {token()}"}
    for _ in range(3):
        await service.resolve(good)
        with pytest.raises(HasuraRefused, match="no key"):
            await service.resolve({"Authorization": f"Bearer {token(NEW, kid='new')}"})
    assert fetch.asked == 1
    now[0] += 11
    fetch.body = msgspec.json.encode({"keys": [OLD_JWK, NEW_JWK]})
    await service.resolve({"Authorization": f"Bearer {token(NEW, kid='new')}"})
    fetch.is_down = True
    now[0] += 61
    await service.resolve(good)
    assert fetch.asked == 3


@pytest.mark.conformance("data-access", 29, 30, 31)
async def test_h27_algorithms() -> None:
    none = pyjwt.encode({SPACE: ROLES, "exp": NOW + 60}, None, "none", {"kid": "old"})
    await refused("token_invalid", none)
    header = pyjwt.utils.base64url_encode(b'{"alg":"HS256","kid":"old"}').decode()
    body = pyjwt.utils.base64url_encode(msgspec.json.encode({SPACE: ROLES, "exp": NOW + 60})).decode()
    hmac = pyjwt.algorithms.HMACAlgorithm(pyjwt.algorithms.HMACAlgorithm.SHA256)
    signature = hmac.sign(f"{header}.{body}".encode(), PUBLIC_PEM.encode())
    forged = f"{header}.{body}.{pyjwt.utils.base64url_encode(signature).decode()}"
    await refused("token_invalid", forged)
    await refused("token_invalid", forged, FIXED)
    await resolved(token(alg="RS512"))
    await resolved(token(alg="PS256"))
    await refused("token_invalid", token(alg="RS512"), FIXED)


@pytest.mark.conformance("data-access", 41)
async def test_h28_a_header_of_its_own() -> None:
    service = auth({"tokenLocation": {"type": "Header", "name": "Auth-Token"}})
    assert (await service.resolve({"auth-token": token()})).role == "user"
    for headers, code in (
        ({"Auth-Token": f"Bearer {token()}"}, "token_invalid"),
        ({"Authorization": f"Bearer {token()}"}, "token_missing"),
    ):
        with pytest.raises(HasuraRefused) as caught:
            await service.resolve(headers)
        assert (caught.value.code, caught.value.status) == (code, 400)


@pytest.mark.conformance("data-access", 42)
async def test_h29_cookies() -> None:
    service = auth({"tokenLocation": {"type": "Cookie", "name": "session"}})
    for cookies in (f"session={token()}", f"other=1; session={token()}"):
        assert (await service.resolve({"Cookie": cookies})).role == "user"
    for headers, code in (
        ({}, "token_missing"),
        ({"Cookie": "a=b"}, "token_missing"),
        ({"Cookie": "session"}, "token_location_invalid"),
    ):
        with pytest.raises(HasuraRefused) as caught:
            await service.resolve(headers)
        assert caught.value.code == code


async def test_h30_the_authorization_header() -> None:
    service = auth()
    await service.resolve({"Authorization": f"Bearer  {token()}"})
    for header in (f"bearer {token()}", f"Bearer {token()} y", token(), "Bearer"):
        with pytest.raises(HasuraRefused) as caught:
            await service.resolve({"Authorization": header})
        assert caught.value.code == "token_location_invalid"


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [(5, "Int", True), ("5", "Int", False), (True, "Int", False), (5, "Float", True), ("x", "ID", True),
     (["a"], "[String!]", True), (["a", 1], "[String]", False), ("a", "[String]", False), ({"a": 1}, "jsonb", True),
     (1, "Boolean", False), (None, "String", False)],
)  # fmt: skip
def test_h31_types_of_variables(value: Any, kind: str, fits: bool) -> None:
    session = HasuraSession("user", {"x-hasura-x": value})
    if fits:
        assert session.variable("X-Hasura-X", kind) == value
    else:
        with pytest.raises(HasuraRefused, match="type") as caught:
            session.variable("x-hasura-x", kind)
        assert caught.value.code == "variable_type"


def test_h32_a_missing_variable_is_an_error() -> None:
    with pytest.raises(HasuraRefused) as caught:
        HasuraSession("user", {}).variable("x-hasura-org", "String")
    assert caught.value.code == "variable_missing"


async def test_h33_upper_case_names_of_roles_are_not_relied_upon() -> None:
    upper = {name.title(): value for name, value in ROLES.items()}
    await refused("claims_invalid", token(**{SPACE: upper}))


@pytest.mark.conformance("data-access", 51)
async def test_h34_other_headers_are_ignored() -> None:
    session = await resolved(token(), x_hasura_user_id="user_2", x_hasura_org="o")
    assert session.variables == {"x-hasura-user-id": "user_1", "x-hasura-role": "user"}


@pytest.mark.conformance("data-access", 44)
async def test_h35_emulation_is_for_v1_and_by_claim_only() -> None:
    mode = {"jwt": jwt_mode()}
    config = read_auth_config(document("v1", mode, allowRoleEmulationBy="admin"))
    assert any("deprecated" in warning for warning in config.warnings)
    jwt = token(**{SPACE: ROLES | {"x-hasura-role": "admin"}})
    headers = {"Authorization": f"Bearer {jwt}", "x-hasura-role": "anything", "x-hasura-user-id": "user_2"}
    fetch = KeySets(OLD_JWK)
    session = await HasuraAuth(config, fetch=fetch, clock=lambda: NOW).resolve(headers)
    assert (session.role, session.variables["x-hasura-user-id"]) == ("anything", "user_2")
    plain = headers | {"Authorization": f"Bearer {token()}"}
    for service, asked in ((HasuraAuth(config, fetch=fetch, clock=lambda: NOW), plain), (auth(), headers)):
        with pytest.raises(HasuraRefused) as caught:
            await service.resolve(asked)
        assert caught.value.code == "role_not_allowed"


@pytest.mark.conformance("data-access", 43)
async def test_h36_alternative_modes() -> None:
    guest = {"noAuth": {"role": "guest", "sessionVariables": {"X-Hasura-Level": 3}}}
    config = read_auth_config(document("v4", alternativeModes=[{"identifier": "guest", "config": guest}]))
    service = HasuraAuth(config, fetch=KeySets(OLD_JWK), clock=lambda: NOW)
    session = await service.resolve({"X-Hasura-Auth-Mode": "guest"})
    assert session == HasuraSession("guest", {"x-hasura-level": 3, "x-hasura-role": "guest"})
    with pytest.raises(HasuraRefused, match="role"):
        await service.resolve({"X-Hasura-Auth-Mode": "guest", "x-hasura-role": "admin"})
    headers = {"X-Hasura-Auth-Mode": "unknown", "Authorization": f"Bearer {token()}"}
    assert (await service.resolve(headers)).role == "user"


async def test_h37_tampering() -> None:
    head, body, signature = token().split(".")
    other = token(sub="user_2").split(".")[1]
    for jwt in (
        f"{head}.{other}.{signature}",
        f"{head}.{body}.{signature}=",
        f"{head}.{body}",
        f"{head}.{body}.",
        "x",
    ):
        await refused("token_invalid", jwt)


async def test_h38_large_tokens() -> None:
    roles = [f"role-{number:04d}" for number in range(500)] + ["user"]
    jwt = token(**{SPACE: ROLES | {"x-hasura-allowed-roles": roles}})
    assert len(jwt) > 8192
    assert (await resolved(jwt, x_hasura_role="role-0007")).role == "role-0007"


@pytest.mark.conformance("data-access", 45)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kind": "Model", "version": "v3", "definition": {}}, "kind"),
        (document("v5"), "version"),
        (document(mode={"jwt": jwt_mode(), "noAuth": {"role": "x", "sessionVariables": {}}}), "exactly one"),
        (document(mode={"jwt": jwt_mode(typo=1)}), r"definition\.mode\.jwt.*typo"),
        (document(mode={"jwt": jwt_mode(key={})}), "exactly one"),
        (document(mode={"jwt": jwt_mode(key={"fixed": {"algorithm": "Ed25519", "key": {"value": "x"}}})}), "algorithm"),
        (document(mode={"jwt": jwt_mode(tokenLocation={"type": "Query"})}), "tokenLocation"),
        (document(mode={"jwt": jwt_mode(claimsConfig={"locations": {}})}), "x-hasura-default-role"),
        (document(mode={"jwt": jwt_mode(allowedSkew=-1)}), "allowedSkew"),
        (document("v2", allowRoleEmulationBy="x"), "allowRoleEmulationBy"),
        (document("v2", {"webhook": {"method": "GET", "url": "http://x"}}), "method"),
        (document("v4", alternativeModes=[{"identifier": "a", "config": {"jwt": jwt_mode()}}] * 2), "share"),
        ("kind: [", "cannot be read"),
        ("[]", "not an object"),
    ],
)  # fmt: skip
def test_a_wrong_document_says_where(wrong: Any, told: str) -> None:
    with pytest.raises(AuthConfigInvalid, match=told):
        read_auth_config(wrong)


@pytest.mark.conformance("data-access", 46)
def test_a_document_is_read_as_it_stands_on_disk() -> None:
    text = """
kind: AuthConfig
version: v4
definition:
  mode:
    jwt:
      claimsConfig: {namespace: {claimsFormat: Json, location: /claims.jwt.hasura.io}}
      key: {fixed: {algorithm: HS256, key: {valueFromEnv: AUTH_SECRET}}}
      tokenLocation: {type: BearerAuthorization}
"""
    config = read_auth_config(text, environ={"AUTH_SECRET": SECRET})
    assert config.fixed_keys[""].alg == "HS256"
    assert SECRET not in repr(config)
    for environ in ({}, {"AUTH_SECRET": ""}):
        with pytest.raises(AuthConfigInvalid, match="AUTH_SECRET"):
            read_auth_config(text, environ=environ)


@pytest.mark.conformance("data-access", 47)
@pytest.mark.parametrize(
    "text", [PUBLIC_PEM, f" {PUBLIC_PEM}", f'"{PUBLIC_PEM}"', JWKS_URL, '{"keys": []}', "short"]
)
def test_a_public_text_never_becomes_a_shared_secret(text: str) -> None:
    key = {"fixed": {"algorithm": "HS256", "key": {"value": text}}}
    with pytest.raises(AuthConfigInvalid, match="fixed key"):
        read_auth_config(document(mode={"jwt": jwt_mode(key=key)}))


class Hook:
    """A webhook that answers one thing and remembers what it was asked."""

    def __init__(self, status: int, body: bytes) -> None:
        self.answer = WebhookAnswer(status, body)
        self.asked: list[WebhookRequest] = []

    async def __call__(self, request: WebhookRequest) -> WebhookAnswer:
        self.asked.append(request)
        return self.answer


HOOK_URL = {"value": "https://hook.example/"}


async def hooked(hook: Hook, version: str, mode: dict[str, Any], **headers: str) -> HasuraSession:
    config = read_auth_config(document(version, {"webhook": mode}))
    service = HasuraAuth(config, call_webhook=hook, environ={})
    return await service.resolve({name.replace("_", "-"): value for name, value in headers.items()})


async def test_a_webhook_is_asked_with_the_clients_headers() -> None:
    hook = Hook(200, b'{"X-Hasura-Role": "user", "x-hasura-level": 5}')
    session = await hooked(
        hook, "v3", {"method": "GET", "url": HOOK_URL}, Cookie="a=b", Host="h", Accept="*/*"
    )
    assert session == HasuraSession("user", {"x-hasura-role": "user", "x-hasura-level": 5})
    assert hook.asked == [WebhookRequest("GET", "https://hook.example/", {"cookie": "a=b"}, None)]
    await hooked(hook, "v2", {"method": "Post", "url": "https://hook.example/"}, Cookie="a=b")
    assert hook.asked[1].body == b'{"headers":{"cookie":"a=b"}}'
    custom = {"headers": {"forward": ["Cookie"], "additional": {"x-key": "1"}}}
    mode = {"method": "GET", "url": HOOK_URL, "customHeadersConfig": custom}
    await hooked(hook, "v3", mode, Cookie="a=b", Other="c")
    assert hook.asked[2].headers == {"cookie": "a=b", "x-key": "1"}


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, b"", "webhook_denied"),
        (403, b"", "webhook_failed"),
        (500, b"", "webhook_failed"),
        (200, b"[]", "webhook_failed"),
        (200, b"<html>", "webhook_failed"),
        (200, b"{}", "webhook_failed"),
        (200, b'{"x-hasura-role": 5}', "webhook_failed"),
    ],
)
async def test_what_a_webhook_may_answer(status: int, body: bytes, code: str) -> None:
    with pytest.raises(HasuraRefused) as caught:
        await hooked(Hook(status, body), "v3", {"method": "GET", "url": HOOK_URL})
    assert caught.value.code == code


# Making a document.


@pytest.mark.parametrize("space", [SPACE, "https://hasura.io/jwt/claims", "~odd"])
@pytest.mark.conformance("data-access", 25)
async def test_a_generated_document_takes_the_templates_tokens_and_no_others(space: str) -> None:
    claims = {"aud": "hasura", space: ROLES}
    document = auth_config_for(
        claims, issuer="https://accounts.example.com", algorithm="HS256", has_own_key=True
    )
    config = read_auth_config(as_yaml(document), environ={KEY_VARIABLE: SECRET})
    assert config.mode == read_auth_config(document, environ={KEY_VARIABLE: SECRET}).mode
    auth = HasuraAuth(config, clock=lambda: NOW)

    def header(**changes: Any) -> dict[str, str]:
        whole = {**claims, "iss": "https://accounts.example.com", "exp": NOW + 60} | changes
        return {"Authorization": f"Bearer {pyjwt.encode(whole, SECRET, 'HS256')}"}

    session = await auth.resolve(header())
    assert (session.role, session.variable("x-hasura-user-id", "String")) == ("user", "user_1")
    for changes in ({"aud": "other"}, {"iss": "https://other.example.com"}, {"aud": ["other"]}):
        with pytest.raises(HasuraRefused):
            await auth.resolve(header(**changes))


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"aud": "hasura"}, "x-hasura"),
        ({SPACE: "text"}, "x-hasura"),
        ({"aud": "{{org.id}}", SPACE: ROLES}, "shortcode"),
        ({"aud": ["a", "{{org.id}}"], SPACE: ROLES}, "shortcode"),
    ],
)
def test_what_makes_no_document_is_told(claims: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        auth_config_for(claims, issuer="https://a.example", algorithm="RS256", has_own_key=False)
