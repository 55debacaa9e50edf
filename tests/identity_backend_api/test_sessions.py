"""Sessions, browsers and tokens, as a back end sees and ends them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from doorward.jose import verify_jwt
from tests.identity.conftest import ORIGIN, PASSWORD, Browser, header_of
from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio

ADA = "ada@example.com"


async def new_session(backend: Backend) -> dict[str, Any]:
    user = await backend.ask("POST", "/users", json={"email_address": [ADA], "password": PASSWORD})
    made = await backend.ask("POST", "/sessions", json={"user_id": user["id"]})
    return dict(made)


def claims_of(backend: Backend, jwt: str) -> dict[str, Any]:
    identity = backend.world.identity
    verified = verify_jwt(
        jwt,
        identity.signing_keys.public_keys,
        claims=dict,
        now=backend.world.clock() // 1000,
        typ="JWT",
        issuer=ORIGIN,
    )
    return verified.claims


@pytest.mark.conformance("clerk-backend-traps", 11)
@pytest.mark.conformance("clerk-backend", 67, 69, 70)
async def test_a_session_is_made_shown_and_listed(backend: Backend) -> None:
    session = await new_session(backend)
    assert session["status"] == "active"
    assert (await backend.ask("GET", f"/sessions/{session['id']}")) == session
    query = {"user_id": session["user_id"]}
    assert await backend.ask("GET", "/sessions", params=query) == [session]
    assert await backend.ask("GET", "/sessions", params={**query, "paginated": "true"}) == {
        "data": [session],
        "total_count": 1,
    }
    assert await backend.ask("GET", "/sessions", params={"client_id": "client_none"}) == []
    await backend.refused("POST", "/sessions", 404, "resource_not_found", json={"user_id": "user_none"})
    await backend.refused("GET", "/sessions/sess_none", 404, "resource_not_found")
    await backend.refused("GET", "/sessions", 422, "form_param_value_invalid", params={"status": "odd"})


@pytest.mark.parametrize(
    ("days", "status"), [(0, "active"), (4, "expired"), (8, "abandoned")], ids=["now", "idle", "old"]
)
async def test_a_status_that_time_brought_is_found_by_its_name(
    backend: Backend, days: int, status: str
) -> None:
    session = await new_session(backend)
    backend.world.clock.advance(days * 86_400_000)
    for asked in ("active", "expired", "abandoned", "revoked"):
        found = await backend.ask("GET", "/sessions", params={"status": asked})
        assert [each["status"] for each in found] == ([status] if asked == status else [])
    assert (await backend.ask("GET", f"/sessions/{session['id']}"))["status"] == status


@pytest.mark.conformance("clerk-backend", 68)
async def test_production_makes_no_sessions(backend: Backend) -> None:
    session = await new_session(backend)
    administration = backend.world.identity.session_administration
    production = msgspec.structs.replace(backend.world.identity.settings, development=False)
    administration._settings = production
    body = {"user_id": session["user_id"]}
    await backend.refused("POST", "/sessions", 400, "request_invalid_for_environment", json=body)


@pytest.mark.conformance("clerk-backend", 9, 71, 72, 73)
async def test_a_session_gives_tokens_of_the_life_asked_for(backend: Backend) -> None:
    session = await new_session(backend)
    path = f"/sessions/{session['id']}/tokens"
    token = await backend.ask("POST", path, json={})
    assert token["object"] == "token"
    claims = claims_of(backend, token["jwt"])
    assert (claims["sid"], claims["sub"]) == (session["id"], session["user_id"])
    assert claims["exp"] - claims["iat"] == 60
    assert header_of(token["jwt"])["cat"] == "cl_B7d4PD111AAA"
    longer = await backend.ask("POST", path, json={"expires_in_seconds": 90})
    claims = claims_of(backend, longer["jwt"])
    assert claims["exp"] - claims["iat"] == 90
    for bound in (30, 315_360_000):
        await backend.ask("POST", path, json={"expires_in_seconds": bound})
    for wrong in (10, 29, 315_360_001):
        body = {"expires_in_seconds": wrong}
        await backend.refused("POST", path, 422, "form_param_value_invalid", json=body)


@pytest.mark.conformance("clerk-backend", 74, 75)
async def test_a_template_makes_a_token_of_its_own(backend: Backend) -> None:
    path = f"/sessions/{(await new_session(backend))['id']}/tokens"
    jwt = (await backend.ask("POST", f"{path}/t3-relay"))["jwt"]
    assert header_of(jwt)["cat"] == "cl_B7d4PD222AAA"
    claims = claims_of(backend, jwt)
    assert claims["aud"] == "t3-code-relay"
    assert not {"sid", "v"} & set(claims)
    await backend.refused("POST", f"{path}/none", 404, "resource_not_found")


@pytest.mark.conformance("clerk-backend-traps", 10)
@pytest.mark.conformance("clerk-backend", 8, 76, 77)
async def test_a_revoked_session_is_over_for_the_browser_and_the_back_end(backend: Backend) -> None:
    browser = await backend.world.signed_up(ADA)
    session_id = (await browser.session())["id"]
    path = f"/sessions/{session_id}"
    headers = {"content-type": "application/json"}
    await backend.world.identity.webhooks.create("https://hooks.example.com/in", actor=None)
    for _ in range(2):
        assert (await backend.ask("POST", f"{path}/revoke", headers=headers))["status"] == "revoked"
    rows = await backend.world.database.read(
        lambda tx: tx.fetch_all("SELECT kind, data FROM identity_webhook_events")
    )
    told = [(kind, msgspec.json.decode(data)) for kind, data in rows]
    assert [(kind, data["id"], data["status"]) for kind, data in told] == [
        ("session.revoked", session_id, "revoked")  # once: it had ended when it was revoked again
    ]
    assert (await browser.get("/v1/client"))["response"]["sessions"] == []
    await backend.refused("POST", f"{path}/tokens", 404, "resource_not_found")


async def test_a_banned_users_session_gives_no_token(backend: Backend) -> None:
    session = await new_session(backend)
    await backend.ask("POST", f"/users/{session['user_id']}/ban")
    await backend.refused("POST", f"/sessions/{session['id']}/tokens", 404, "resource_not_found")
    body = {"user_id": session["user_id"]}
    await backend.refused("POST", "/sessions", 403, "user_banned", json=body)


@pytest.mark.conformance("clerk-backend", 79)
async def test_a_refresh_is_refused_by_what_is_wrong_with_it(backend: Backend) -> None:
    session = await new_session(backend)
    jwt = (await backend.ask("POST", f"/sessions/{session['id']}/tokens"))["jwt"]
    body = {"expired_token": jwt, "refresh_token": "x", "request_origin": ORIGIN, "format": "cookie"}
    backend.world.clock.advance(120_000)
    await backend.refused("POST", "/sessions/sess_other/refresh", 401, "refresh_sid_mismatch", json=body)
    path = f"/sessions/{session['id']}/refresh"
    await backend.refused("POST", path, 401, "refresh_token_not_found", json=body)
    body["expired_token"] = jwt[:-4] + "AAAA"
    await backend.refused("POST", path, 401, "expired_session_token_invalid", json=body)


def refresh_cookie(browser: Browser) -> tuple[str, str]:
    (found,) = (
        (name, value) for name, value in browser.http.cookies.items() if name.startswith("__refresh_")
    )
    return found


@pytest.mark.conformance("clerk-backend", 78)
async def test_an_expired_cookie_token_is_refreshed_into_cookies(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    session = await ada.session()
    touched = await ada.http.post(f"/v1/client/sessions/{session['id']}/touch", data={"intent": "focus"})
    line = next(line for line in touched.headers.get_list("set-cookie") if line.startswith("__refresh_"))
    assert "HttpOnly" in line
    again = await ada.http.post(f"/v1/client/sessions/{session['id']}/touch", data={"intent": "focus"})
    assert not any(line.startswith("__refresh_") for line in again.headers.get_list("set-cookie"))
    name, refresh_token = refresh_cookie(ada)
    suffix = name.removeprefix("__refresh_")
    backend.world.clock.advance(300_000)
    body = {
        "expired_token": session["last_active_token"]["jwt"],
        "refresh_token": refresh_token,
        "request_origin": ORIGIN,
        "format": "cookie",
    }
    path = f"/sessions/{session['id']}/refresh"
    made = await backend.ask("POST", f"{path}?suffixed_cookies=true", json=body)
    assert made["object"] == "cookies"
    assert [line.partition("=")[0] for line in made["cookies"]] == ["__session", f"__session_{suffix}"]
    claims = claims_of(backend, made["cookies"][0].partition("=")[2].partition(";")[0])
    assert (claims["sid"], claims["azp"]) == (session["id"], ORIGIN)
    assert claims["exp"] > backend.world.clock() // 1000
    plain = await backend.ask("POST", path, json={**body, "format": "token"})
    assert plain["object"] == "token"
    for change, code in (
        ({"request_origin": "https://other.example"}, "refresh_request_origin_azp_mismatch"),
        ({"request_origin": f"{ORIGIN}/path"}, "refresh_request_origin_invalid"),
        ({"refresh_token": refresh_token[:-2]}, "refresh_token_not_found"),
    ):
        await backend.refused("POST", path, 401, code, json={**body, **change})
    await ada.post(f"/v1/client/sessions/{session['id']}/end")
    await backend.refused("POST", path, 401, "session_refresh_inactive_session", json=body)


async def test_a_browser_that_keeps_no_refresh_token_fills_no_table(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    touch = f"/v1/client/sessions/{(await ada.session())['id']}/touch"
    for _ in range(3):
        await ada.post(touch)
        del ada.http.cookies[refresh_cookie(ada)[0]]
    rows = await backend.world.database.read(
        lambda tx: tx.fetch_all("SELECT session_id FROM identity_refresh_tokens")
    )
    assert len(rows) == 1


async def test_a_refresh_token_is_good_for_its_own_session_alone(backend: Backend) -> None:
    ada, bob = await backend.world.signed_up(), await backend.world.signed_up("bob@example.com")
    sessions = [await ada.session(), await bob.session()]
    for browser, session in zip((ada, bob), sessions, strict=True):
        await browser.post(f"/v1/client/sessions/{session['id']}/touch")
    body = {
        "expired_token": sessions[0]["last_active_token"]["jwt"],
        "refresh_token": refresh_cookie(bob)[1],
        "request_origin": ORIGIN,
    }
    path = f"/sessions/{sessions[0]['id']}/refresh"
    await backend.refused("POST", path, 401, "refresh_token_not_found", json=body)


async def test_a_token_is_verified_against_its_session(backend: Backend) -> None:
    session = await new_session(backend)
    path = f"/sessions/{session['id']}"
    jwt = (await backend.ask("POST", f"{path}/tokens"))["jwt"]
    assert (await backend.ask("POST", f"{path}/verify", json={"token": jwt}))["id"] == session["id"]
    await backend.refused("POST", f"{path}/verify", 400, "invalid_session_token", json={"token": "x.y.z"})
    await backend.ask("POST", f"{path}/revoke")
    await backend.refused("POST", f"{path}/verify", 400, "invalid_session_token", json={"token": jwt})


async def test_a_session_tells_what_it_runs_on(backend: Backend) -> None:
    browser = await backend.world.signed_up(ADA)
    session_id = (await browser.session())["id"]
    shown = await backend.ask("GET", f"/sessions/{session_id}")
    (device,) = await browser.get(f"/v1/me/sessions/active?_clerk_session_id={session_id}")
    assert shown["latest_activity"] == device["latest_activity"]
    activity = shown["latest_activity"]
    assert (activity["object"], activity["is_mobile"]) == ("session_activity", False)
    seen = (activity["browser_name"], activity["browser_version"], activity["ip_address"])
    assert seen == ("Chrome", "156", "203.0.113.7")


async def test_a_browser_is_known_by_its_cookie(backend: Backend) -> None:
    browser = await backend.world.signed_up(ADA)
    session = await browser.session()
    cookie = browser.http.cookies["__client"]
    client = await backend.ask("POST", "/clients/verify", json={"token": cookie})
    assert client["session_ids"] == [session["id"]]
    assert client["sessions"][0]["status"] == "active"
    assert await backend.ask("GET", f"/clients/{client['id']}") == client
    assert await backend.ask("GET", "/clients", params={"paginated": "true"}) == {
        "data": [client],
        "total_count": 1,
    }
    await backend.refused(
        "POST", "/clients/verify", 400, "client_not_found", json={"token": cookie[:-3] + "AAA"}
    )
    await backend.refused("GET", "/clients/client_none", 404, "resource_not_found")
