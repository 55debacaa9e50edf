"""The recipes of docs/data-layers.md, as they stand there: made, asked for, and read by the other side's rules."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jwt as pyjwt
import msgspec
import pytest

from doorward.verify.hasura import HasuraAuth, HasuraRefused, read_auth_config
from doorward.verify.hasura.generation import as_yaml, auth_config_for
from doorward.verify.triplit import matched_roles, read_token
from tests.identity.conftest import ORIGIN, Browser, claims_of
from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio

GUIDE = (Path(__file__).parents[2] / "docs/data-layers.md").read_text("utf-8")
TEMPLATES = {
    body["name"]: body
    for text in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    if "name" in (body := json.loads(text))
}
(AUTH_CONFIG,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


async def token_of(backend: Backend, browser: Browser, name: str, **changes: Any) -> str:
    if name in TEMPLATES:
        await backend.ask("POST", "/jwt_templates", json=TEMPLATES[name] | changes)
    session = await browser.session()
    return str((await browser.post(f"/v1/client/sessions/{session['id']}/tokens/{name}"))["jwt"])


async def preview_of(backend: Backend, browser: Browser, name: str) -> list[str]:
    """The warnings' codes."""
    body = {"claims": TEMPLATES[name]["claims"], "user_id": await browser.user_id()}
    preview = await backend.ask("POST", "/jwt_templates/preview", json=body)
    return [warned["code"] for warned in preview["warnings"]]


def verified(backend: Backend, token: str, audience: str) -> dict[str, Any]:
    """By another library, as a service that fetches the key set does; the tests' clock stands elsewhere than the real one."""
    jwks = pyjwt.PyJWKSet.from_dict(msgspec.to_builtins(backend.world.identity.signing_keys.key_set))
    key = next(each for each in jwks.keys if each.key_id == pyjwt.get_unverified_header(token)["kid"])
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    claims: dict[str, Any] = pyjwt.decode(
        token, key, algorithms=["RS256"], audience=audience, issuer=ORIGIN, options=options
    )
    return claims


def test_the_guide_has_these_recipes() -> None:
    assert set(TEMPLATES) == {"hasura", "supabase", "convex"}


@pytest.mark.conformance("data-access", 16)
async def test_hasura(backend: Backend) -> None:
    browser = await backend.world.signed_up()
    assert await preview_of(backend, browser, "hasura") == []
    token = await token_of(backend, browser, "hasura")
    assert claims_of(token)["claims.jwt.hasura.io"] == {
        "x-hasura-default-role": "user",
        "x-hasura-allowed-roles": ["user"],
        "x-hasura-user-id": await browser.user_id(),
        "x-hasura-level": 0,
    }

    async def fetch(url: str) -> bytes:
        assert url == "https://accounts.example.com/.well-known/jwks.json"
        return msgspec.json.encode(backend.world.identity.signing_keys.key_set)

    # The guide's issuer is somebody's own origin.
    config = read_auth_config(
        AUTH_CONFIG.replace("issuer: https://accounts.example.com", f"issuer: {ORIGIN}")
    )
    auth = HasuraAuth(config, fetch=fetch, clock=lambda: backend.world.clock.now / 1000)
    session = await auth.resolve({"Authorization": f"Bearer {token}"})
    assert session.role == "user"
    assert session.variable("x-hasura-user-id", "String") == await browser.user_id()
    assert session.variable("x-hasura-level", "Int") == 0
    plain = await browser.session()
    other = (await browser.post(f"/v1/client/sessions/{plain['id']}/tokens"))["jwt"]
    for headers in (
        {"Authorization": f"Bearer {token}", "x-hasura-role": "admin"},
        {"Authorization": f"Bearer {other}"},
    ):
        with pytest.raises(HasuraRefused):
            await auth.resolve(headers)


@pytest.mark.conformance("data-access", 25)
async def test_the_guides_auth_config_is_the_one_that_is_generated(backend: Backend) -> None:
    made = await backend.ask("POST", "/jwt_templates", json=TEMPLATES["hasura"])
    domains = await backend.ask("GET", "/domains")
    assert domains["data"][0]["frontend_api_url"] == ORIGIN
    document = auth_config_for(
        made["claims"],
        issuer="https://accounts.example.com",
        algorithm=made["signing_algorithm"],
        has_own_key=made["custom_signing_key"],
    )
    assert read_auth_config(as_yaml(document)) == read_auth_config(AUTH_CONFIG)


@pytest.mark.conformance("data-access", 3, 6, 7)
async def test_triplit_takes_the_sessions_own_token(backend: Backend) -> None:
    browser = await backend.world.signed_up()
    session = await browser.session()
    token = (await browser.post(f"/v1/client/sessions/{session['id']}/tokens"))["jwt"]
    line = backend.world.identity.signing_keys.public_keys[0].to_pem().replace("\n", "")
    read = read_token(token, external_jwt_secret=line, now=backend.world.clock.now / 1000)
    now = backend.world.clock.now // 1000
    assert "null" not in json.dumps(read.claims)
    assert "o" not in read.claims
    assert read.claims["nbf"] <= read.claims["iat"] - 5
    assert read.claims["iat"] <= now
    assert matched_roles(read.claims) == {"authenticated": {"sub": await browser.user_id()}}
    assert matched_roles(read.claims, {"user": {"sub": "$userId"}}) == {
        "user": {"userId": await browser.user_id()}
    }


async def test_supabase(backend: Backend) -> None:
    browser = await backend.world.signed_up("ada@example.com")
    claims = verified(backend, await token_of(backend, browser, "supabase"), "authenticated")
    assert (claims["role"], claims["email"]) == ("authenticated", "ada@example.com")
    secret = "the project's own JWT secret, long enough"
    own = {"custom_signing_key": True, "signing_algorithm": "HS256", "signing_key": secret}
    listed = {each["name"]: each["id"] for each in await backend.ask("GET", "/jwt_templates")}
    await backend.ask("DELETE", f"/jwt_templates/{listed['supabase']}")
    token = await token_of(backend, browser, "supabase", **own)
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    found = pyjwt.decode(token, secret, algorithms=["HS256"], audience="authenticated", options=options)
    assert found["sub"] == await browser.user_id()


async def test_convex(backend: Backend) -> None:
    browser = await backend.world.signed_up("ada@example.com", first_name="Ada", last_name="L")
    claims = verified(backend, await token_of(backend, browser, "convex"), "convex")
    assert (claims["name"], claims["email"], claims["email_verified"]) == ("Ada L", "ada@example.com", True)


async def test_t3_relay(backend: Backend) -> None:
    browser = await backend.world.signed_up()
    claims = verified(backend, await token_of(backend, browser, "t3-relay"), "t3-code-relay")
    assert claims["sub"] == await browser.user_id()
