"""OAuth applications: made, used by a browser, checked, their secrets replaced, and ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from doorward.identity.accounts import store as accounts
from tests.identity.conftest import CHALLENGE, ORIGIN, VERIFIER, Browser, claims_of, header_of
from tests.identity_backend_api.conftest import Backend
from tests.identity_backend_api.machine import FAMILIES, make_machine, token_refused

pytestmark = pytest.mark.anyio

REDIRECT = "https://shop.example/callback"
OPAQUE = {"access_token_format": "opaque"}


async def make_app(backend: Backend, **members: Any) -> Any:
    body = {"name": "Shop", "redirect_uris": [REDIRECT], **members}
    return await backend.ask("POST", "/oauth_applications", json=body)


async def authorize(browser: Browser, app: Any, **changes: str | None) -> httpx.Response:
    return await browser.authorize(
        **{"client_id": app["client_id"], "redirect_uri": REDIRECT, "scope": None, **changes}
    )


async def tokens_of(browser: Browser, app: Any, *, with_pkce: bool = True) -> Any:
    """What the application gets once the person has said yes."""
    proofs: dict[str, str | None] = (
        {"code_challenge": CHALLENGE}
        if with_pkce
        else {"code_challenge": None, "code_challenge_method": None}
    )
    response = await authorize(browser, app, **proofs)
    location = response.headers["location"]
    if "/oauth-consent" in location:
        location = (await browser.consent(location)).headers["location"]
    response = await exchange(browser, app, httpx.URL(location).params["code"], with_pkce=with_pkce)
    assert response.status_code == 200, response.text
    return response.json()


async def exchange(browser: Browser, app: Any, code: str, *, with_pkce: bool = True) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    form |= {"client_id": app["client_id"]}
    if with_pkce:
        form["code_verifier"] = VERIFIER
    if "client_secret" in app:
        form["client_secret"] = app["client_secret"]
    return await browser.http.post("/oauth/token", data=form)


async def verify(backend: Backend, token: str) -> Any:
    body = {"access_token": token}
    return await backend.ask("POST", "/oauth_applications/access_tokens/verify", json=body)


async def cannot_verify(backend: Backend, token: str) -> dict[str, str]:
    path, body = "/oauth_applications/access_tokens/verify", {"access_token": token}
    return await token_refused(backend, "POST", path, 404, "resource_not_found", json=body)


@pytest.mark.conformance("clerk-backend", 109)
async def test_a_confidential_applications_secret_is_shown_when_it_is_made_and_never_again(
    backend: Backend,
) -> None:
    made, now = await make_app(backend), backend.world.clock.now
    secret = made.pop("client_secret")
    assert made == {
        "object": "oauth_application",
        "id": made["id"],
        "instance_id": made["instance_id"],
        "name": "Shop",
        "client_id": made["client_id"],
        "client_uri": None,
        "client_image_url": None,
        "dynamically_registered": False,
        "consent_screen_enabled": True,
        "pkce_required": False,
        "public": False,
        "scopes": "profile email",
        "redirect_uris": [REDIRECT],
        "callback_url": REDIRECT,
        "authorize_url": f"{ORIGIN}/oauth/authorize",
        "token_fetch_url": f"{ORIGIN}/oauth/token",
        "user_info_url": f"{ORIGIN}/oauth/userinfo",
        "discovery_url": f"{ORIGIN}/.well-known/openid-configuration",
        "token_introspection_url": f"{ORIGIN}/oauth/token_info",
        "access_token_format": "jwt",
        "created_at": now,
        "updated_at": now,
    }
    assert await backend.ask("GET", f"/oauth_applications/{made['id']}") == made
    assert (await backend.ask("GET", "/oauth_applications"))["data"] == [made]
    rows = await backend.world.database.read(
        lambda tx: [tx.fetch_all(f"SELECT * FROM identity_{name}") for name in ("oauth_clients", "audit")]
    )
    assert secret not in repr(rows)


@pytest.mark.conformance("clerk-backend", 110)
async def test_a_public_application_has_no_secret_and_needs_pkce(backend: Backend) -> None:
    app = await make_app(backend, public=True)
    assert "client_secret" not in app
    assert (app["public"], app["pkce_required"]) == (True, True)
    browser = await backend.world.signed_up()
    refused = await authorize(browser, app, code_challenge=None, code_challenge_method=None)
    assert "error=invalid_request" in refused.headers["location"]
    assert (await tokens_of(browser, app))["access_token"]


@pytest.mark.conformance("clerk-backend", 111)
async def test_a_public_application_cannot_do_without_pkce(backend: Backend) -> None:
    path, code = "/oauth_applications", "form_public_client_requires_pkce"
    error = await backend.refused(
        "POST", path, 422, code, json={"name": "x", "public": True, "pkce_required": False}
    )
    assert error["meta"]["param_name"] == "pkce_required"
    app = await make_app(backend, public=True)
    await backend.refused("PATCH", f"{path}/{app['id']}", 422, code, json={"pkce_required": False})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "x", "redirect_uris": ["javascript:alert(1)"]}, "redirect_uris"),
        ({"name": "x", "redirect_uris": ["/relative"]}, "redirect_uris"),
        ({"name": "x", "redirect_uris": ["https://shop.example/#there"]}, "redirect_uris"),
        ({"name": "x", "redirect_uris": ["https://"]}, "redirect_uris"),
        ({"name": "x", "callback_url": "data:text/html,x"}, "redirect_uris"),
        ({"name": "x", "scopes": "profile everything"}, "scopes"),
        ({"name": "x", "access_token_format": "paseto"}, "access_token_format"),
    ],
)
async def test_what_no_application_can_be_is_refused(
    backend: Backend, body: dict[str, Any], param: str
) -> None:
    error = await backend.refused("POST", "/oauth_applications", 422, "form_param_value_invalid", json=body)
    assert error["meta"]["param_name"] == param


async def test_applications_are_listed_found_and_ordered_and_the_built_in_clients_are_none(
    backend: Backend,
) -> None:
    for name in ("Anna", "50%", "hannah"):
        await make_app(backend, name=name)
        backend.world.clock.advance(1)

    async def names(**query: str) -> list[str]:
        return [
            each["name"] for each in (await backend.ask("GET", "/oauth_applications", params=query))["data"]
        ]

    assert await names() == ["Anna", "50%", "hannah"]
    assert await names(order_by="-name", name_query="anna") == ["hannah", "Anna"]
    assert await names(name_query="%") == ["50%"]
    app = (await backend.ask("GET", "/oauth_applications?limit=1"))["data"][0]
    assert await names(name_query=app["client_id"]) == ["Anna"]
    await backend.refused("GET", "/oauth_applications/doorward-cli", 404, "resource_not_found")


async def test_an_application_changes_its_kind(backend: Backend) -> None:
    app = await make_app(backend)
    path = f"/oauth_applications/{app['id']}"
    public = await backend.ask(
        "PATCH", path, json={"public": True, "name": "Phone", "redirect_uris": ["app:/cb"]}
    )
    assert (public["public"], public["pkce_required"], public["name"]) == (True, True, "Phone")
    assert (public["redirect_uris"], public["callback_url"]) == (["app:/cb"], "app:/cb")
    await backend.refused("POST", f"{path}/rotate_secret", 403, "authorization_invalid")
    confidential = await backend.ask("PATCH", path, json={"public": False, "pkce_required": False})
    assert (confidential["public"], confidential["pkce_required"]) == (False, False)
    assert "client_secret" not in confidential
    assert (await backend.ask("POST", f"{path}/rotate_secret"))["client_secret"]


@pytest.mark.conformance("clerk-backend", 112)
async def test_a_replaced_secret_works_and_the_old_one_does_not(backend: Backend) -> None:
    app, browser = await make_app(backend), await backend.world.signed_up()
    fresh = await backend.ask("POST", f"/oauth_applications/{app['id']}/rotate_secret")
    code = httpx.URL(
        (await browser.consent((await authorize(browser, app)).headers["location"])).headers["location"]
    ).params["code"]
    old = await exchange(browser, app, code)
    assert (old.status_code, old.json()["error"]) == (401, "invalid_client")
    assert (await exchange(browser, fresh, code)).status_code == 200


async def test_a_client_with_a_secret_may_do_without_pkce_but_nobody_may_take_it_out(
    backend: Backend,
) -> None:
    app, browser = await make_app(backend), await backend.world.signed_up()
    assert (await tokens_of(browser, app, with_pkce=False))["access_token"]
    without = await authorize(browser, app, code_challenge=None, code_challenge_method=None)
    code = httpx.URL(without.headers["location"]).params["code"]
    downgraded = await exchange(browser, app, code)  # a verifier where the challenge is gone
    assert downgraded.json()["error"] == "invalid_grant"
    code = httpx.URL((await authorize(browser, app)).headers["location"]).params["code"]
    unproved = await exchange(browser, app, code, with_pkce=False)
    assert unproved.json()["error"] == "invalid_grant"
    half = await authorize(browser, app, code_challenge=None)
    assert "error=invalid_request" in half.headers["location"]


async def test_consent_is_asked_unless_the_application_does_without(backend: Backend) -> None:
    browser = await backend.world.signed_up()
    asked = await authorize(browser, await make_app(backend))
    assert "/oauth-consent" in asked.headers["location"]
    trusted = await make_app(backend, consent_screen_enabled=False)
    assert (await authorize(browser, trusted)).headers["location"].startswith(f"{REDIRECT}?code=")
    asked = await authorize(browser, trusted, prompt="consent")
    assert "/oauth-consent" in asked.headers["location"]
    loopback = "http://127.0.0.1:9999/cb"
    native = await make_app(backend, consent_screen_enabled=False, redirect_uris=[loopback])
    asked = await authorize(browser, native, redirect_uri=loopback)
    assert "/oauth-consent" in asked.headers["location"]


async def test_an_application_without_the_usual_scopes_gets_its_own(backend: Backend) -> None:
    app = await make_app(backend, scopes="email")
    tokens = await tokens_of(await backend.world.signed_up(), app)
    assert tokens["scope"] == "email"


@pytest.mark.conformance("clerk-backend-traps", 2)
@pytest.mark.conformance("clerk-backend", 114)
@pytest.mark.conformance("clerk-frontend", 135)
@pytest.mark.parametrize("family", FAMILIES)
async def test_an_opaque_token_is_verified(backend: Backend, family: str) -> None:
    app, browser = await make_app(backend, **OPAQUE), await backend.world.signed_up()
    tokens, now = await tokens_of(browser, app), backend.world.clock.now
    token = tokens["access_token"]
    assert token.startswith("oat_")
    response = await backend.http.post(
        f"{family}/oauth_applications/access_tokens/verify", json={"access_token": token}
    )
    assert response.status_code == 200
    info = response.json()
    assert info == {
        "object": "clerk_idp_oauth_access_token",
        "id": info["id"],
        "type": "oauth:access_token",
        "client_id": app["client_id"],
        "subject": await browser.user_id(),
        "scopes": ["profile", "email"],
        "revoked": False,
        "revocation_reason": None,
        "expired": False,
        "expiration": now + 86_400_000,
        "created_at": now,
        "updated_at": now,
    }
    assert (info["id"][:4], len(info["id"])) == ("oat_", 36)
    rows = await backend.world.database.read(
        lambda tx: tx.fetch_all("SELECT * FROM identity_oauth_access_tokens")
    )
    assert token not in repr(rows)


@pytest.mark.conformance("clerk-backend", 115)
async def test_the_tokens_older_name_is_understood(backend: Backend) -> None:
    app = await make_app(backend, **OPAQUE)
    token = (await tokens_of(await backend.world.signed_up(), app))["access_token"]
    del backend.http.headers["clerk-api-version"]
    path = "/oauth_applications/access_tokens/verify"
    assert (await backend.ask("POST", path, json={"secret": token}))["client_id"] == app["client_id"]
    await token_refused(backend, "POST", path, 400, "bad_request", json={})


async def test_an_opaque_token_opens_userinfo_and_is_introspected_as_a_jwt_is(backend: Backend) -> None:
    app, browser = await make_app(backend, **OPAQUE), await backend.world.signed_up()
    token = (await tokens_of(browser, app))["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    info = (await browser.http.get("/oauth/userinfo", headers=headers)).json()
    assert info["email"] == "ada@example.com"
    basic = httpx.BasicAuth(app["client_id"], app["client_secret"])
    active = (await browser.http.post("/oauth/token_info", data={"token": token}, auth=basic)).json()
    assert (active["active"], active["scope"], active["sub"]) == (True, "profile email", info["sub"])
    await browser.http.post("/oauth/token/revoke", data={"token": token}, auth=basic)
    assert (await browser.http.get("/oauth/userinfo", headers=headers)).status_code == 401
    inactive = await browser.http.post("/oauth/token_info", data={"token": token}, auth=basic)
    assert inactive.json() == {"active": False}


async def test_a_refreshed_opaque_token_may_say_less(backend: Backend) -> None:
    app, browser = await make_app(backend, **OPAQUE), await backend.world.signed_up()
    tokens = await tokens_of(browser, app)
    narrowed = await browser.refresh(
        tokens["refresh_token"],
        client_id=app["client_id"],
        client_secret=app["client_secret"],
        scope="email",
    )
    assert (await verify(backend, narrowed.json()["access_token"]))["scopes"] == ["email"]
    assert (await verify(backend, tokens["access_token"]))["scopes"] == ["profile", "email"]


@pytest.mark.conformance("clerk-backend", 113)
@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
async def test_a_revoked_token_is_unknown_and_so_is_all_of_its_grant(backend: Backend, name: str) -> None:
    app, browser = await make_app(backend, **OPAQUE), await backend.world.signed_up()
    tokens = await tokens_of(browser, app)
    other = await make_app(backend, **OPAQUE)
    body = {"token": tokens[name]}
    path = "/oauth_applications/{}/revoke_token"
    await backend.refused("POST", path.format(other["id"]), 404, "resource_not_found", json=body)
    await verify(backend, tokens["access_token"])
    await backend.ask("POST", path.format(app["id"]), 204, json=body)
    await cannot_verify(backend, tokens["access_token"])
    form = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
    assert (await browser.refresh(tokens["refresh_token"], **form)).json()["error"] == "invalid_grant"


@pytest.mark.conformance("clerk-backend-traps", 5)
async def test_what_does_not_count_is_refused_alike(backend: Backend) -> None:
    app, browser = await make_app(backend, **OPAQUE), await backend.world.signed_up()
    jwts = await make_app(backend)
    opaque, signed = (
        (await tokens_of(browser, app))["access_token"],
        (await tokens_of(browser, jwts))["access_token"],
    )
    assert (header_of(signed)["typ"], claims_of(signed)["client_id"]) == ("at+jwt", jwts["client_id"])
    backend.world.clock.advance(86_400_000)
    refusals = [await cannot_verify(backend, each) for each in (opaque, signed, "oat_" + "x" * 43, "garbage")]
    assert all(refusal == refusals[0] for refusal in refusals)
    machine, body = await make_machine(backend), {"access_token": opaque}
    await machine.refused(
        "POST", "/oauth_applications/access_tokens/verify", 401, "clerk_key_invalid", json=body
    )


async def ban(backend: Backend, user_id: str, app: Any) -> None:
    now = backend.world.clock.now
    await backend.world.database.write(lambda tx: accounts.set_banned(tx, user_id, True, now))


async def delete_user(backend: Backend, user_id: str, app: Any) -> None:
    await backend.world.database.write(lambda tx: accounts.delete_user(tx, user_id))


async def delete_app(backend: Backend, user_id: str, app: Any) -> None:
    gone = await backend.ask("DELETE", f"/oauth_applications/{app['id']}")
    assert gone == {"object": "oauth_application", "id": app["id"], "deleted": True}
    await backend.refused("GET", f"/oauth_applications/{app['id']}", 404, "resource_not_found")


@pytest.mark.parametrize("end", [ban, delete_user, delete_app])
async def test_tokens_end_at_once_with_their_account_or_application(
    backend: Backend, end: Callable[..., Any]
) -> None:
    app, browser = await make_app(backend, **OPAQUE), await backend.world.signed_up()
    tokens = await tokens_of(browser, app)
    await verify(backend, tokens["access_token"])
    await end(backend, await browser.user_id(), app)
    await cannot_verify(backend, tokens["access_token"])
    form = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
    assert (await browser.refresh(tokens["refresh_token"], **form)).status_code in (400, 401)


async def test_a_logo_stands_where_people_are_asked(backend: Backend) -> None:
    app = await make_app(backend)
    assert app["client_image_url"] is None
    one = f"/oauth_applications/{app['id']}"
    png = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8
    await backend.refused("PUT", f"{one}/logo", 400, "request_body_invalid", files={"file": ("a", b"<svg/>")})
    shown = await backend.ask("PUT", f"{one}/logo", files={"file": ("a.png", png)})
    assert (await backend.ask("GET", one))["client_image_url"] == shown["client_image_url"]
    ada = await backend.world.signed_up()
    session = await ada.session()
    asked = await ada.get(
        f"/v1/me/oauth/consent/{app['client_id']}?_clerk_session_id={session['id']}&redirect_uri={REDIRECT}"
    )
    assert asked["oauth_application_logo_url"] == shown["client_image_url"]
    assert (await ada.http.get(shown["client_image_url"])).content == png
    await backend.ask("DELETE", one)
    assert (await ada.http.get(shown["client_image_url"])).status_code == 404


async def test_tokens_show_a_persons_own_picture(backend: Backend) -> None:
    app = await make_app(backend, scopes="openid profile email")
    ada = await backend.world.signed_up()
    png = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8
    user = await backend.ask(
        "POST", f"/users/{await ada.user_id()}/profile_image", files={"file": ("a.png", png)}
    )
    asked = await authorize(ada, app, scope="openid profile email")
    sent = (await ada.consent(asked.headers["location"])).headers["location"]
    tokens = (await exchange(ada, app, httpx.URL(sent).params["code"], with_pkce=True)).json()
    assert claims_of(tokens["id_token"])["picture"] == user["image_url"]
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    info = (await ada.http.get("/oauth/userinfo", headers=bearer)).json()
    assert info["picture"] == user["image_url"]
