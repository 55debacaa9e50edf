"""Sign-in tokens and actor tokens, from the back end that makes them to the browser that uses them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.identity.conftest import error_codes
from tests.identity_backend_api.conftest import Backend
from tests.identity_backend_api.test_sessions import claims_of

pytestmark = pytest.mark.anyio

ADA = "ada@example.com"


async def user_id_of(backend: Backend) -> str:
    return str((await backend.ask("POST", "/users", json={"email_address": [ADA]}))["id"])


async def made(backend: Backend, **members: Any) -> dict[str, Any]:
    body = {"user_id": await user_id_of(backend), **members}
    return dict(await backend.ask("POST", "/sign_in_tokens", json=body))


@pytest.mark.conformance("clerk-backend", 184, 185)
@pytest.mark.conformance("clerk-frontend", 81)
async def test_a_sign_in_token_signs_in_once(backend: Backend) -> None:
    token = await made(backend)
    assert (token["object"], token["status"]) == ("sign_in_token", "pending")
    assert token["url"].endswith(f"/sign-in?__clerk_ticket={token['token']}")
    browsers = [backend.world.browser(ip=f"203.0.113.{n}") for n in range(3)]
    answers = await asyncio.gather(
        *(
            browser.http.post("/v1/client/sign_ins", data={"strategy": "ticket", "ticket": token["token"]})
            for browser in browsers
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
    refused = [answer.json() for answer in answers if answer.status_code == 400]
    assert [error_codes(body) for body in refused] == [["sign_in_token_already_used_code"]] * 2
    winner = browsers[[answer.status_code for answer in answers].index(200)]
    assert await winner.user_id() == token["user_id"]
    await backend.refused(
        "POST", f"/sign_in_tokens/{token['id']}/revoke", 400, "sign_in_token_cannot_be_revoked_code"
    )


@pytest.mark.parametrize("is_member", [True, False])
async def test_a_sign_in_token_signs_into_an_organization_of_its_user(
    backend: Backend, is_member: bool
) -> None:
    await backend.ask("PATCH", "/instance/organization_settings", json={"enabled": True})
    user_id = await user_id_of(backend)
    founder = await backend.ask("POST", "/users", json={"email_address": ["bob@example.com"]})
    acme = await backend.ask("POST", "/organizations", json={"name": "Acme", "created_by": founder["id"]})
    wish = {"user_id": user_id, "org_id": acme["id"]}
    foreign = await backend.refused(
        "POST", "/sign_in_tokens", 404, "organization_not_found_or_unauthorized", json=wish
    )
    assert foreign["meta"]["param_name"] == "org_id"
    members = f"/organizations/{acme['id']}/memberships"
    await backend.ask("POST", members, json={"user_id": user_id, "role": "org:member"})
    token = await backend.ask("POST", "/sign_in_tokens", json=wish)
    if not is_member:
        await backend.ask("DELETE", f"{members}/{user_id}")
    browser = backend.world.browser()
    await browser.post("/v1/client/sign_ins", strategy="ticket", ticket=token["token"])
    session = await browser.session()
    assert session["last_active_organization_id"] == (acme["id"] if is_member else None)
    claims = claims_of(backend, session["last_active_token"]["jwt"])
    assert claims.get("o", {}).get("id") == (acme["id"] if is_member else None)


async def test_a_sign_in_token_that_ended_signs_nobody_in(backend: Backend) -> None:
    token = await made(backend, expires_in_seconds=10)
    browser = backend.world.browser()
    backend.world.clock.advance(10_000)
    refused = await browser.post("/v1/client/sign_ins", 400, strategy="ticket", ticket=token["token"])
    assert refused["errors"][0]["code"] == "ticket_expired_code"
    revoked = await backend.ask("POST", f"/sign_in_tokens/{token['id']}/revoke")
    assert revoked["status"] == "revoked"
    assert "token" not in revoked
    refused = await browser.post("/v1/client/sign_ins", 400, strategy="ticket", ticket=token["token"])
    assert error_codes(refused) == ["sign_in_token_revoked_code"]
    refused = await browser.post("/v1/client/sign_ins", 400, strategy="ticket", ticket="made-up")
    assert error_codes(refused) == ["ticket_invalid_code"]
    await backend.refused("POST", "/sign_in_tokens/sit_none/revoke", 404, "resource_not_found")
    await backend.refused("POST", "/sign_in_tokens", 404, "resource_not_found", json={"user_id": "user_none"})


async def test_a_ban_makes_a_sign_in_token_worthless(backend: Backend) -> None:
    token = await made(backend)
    await backend.ask("POST", f"/users/{token['user_id']}/ban")
    refused = await backend.world.browser().post(
        "/v1/client/sign_ins", 403, strategy="ticket", ticket=token["token"]
    )
    assert refused["errors"][0]["code"] == "user_banned"
    await backend.refused("POST", "/sign_in_tokens", 403, "user_banned", json={"user_id": token["user_id"]})


@pytest.mark.conformance("clerk-backend", 186)
async def test_an_actor_token_begins_a_short_session_that_says_who_acts(backend: Backend) -> None:
    user_id = await user_id_of(backend)
    for wrong in ({}, {"sub": ""}, {"name": "x"}):
        body = {"user_id": user_id, "actor": wrong}
        await backend.refused("POST", "/actor_tokens", 422, "form_param_missing", json=body)
    actor = {"sub": "user_admin", "reason": "support"}
    token = await backend.ask("POST", "/actor_tokens", json={"user_id": user_id, "actor": actor})
    assert (token["object"], token["actor"]) == ("actor_token", actor)
    browser = backend.world.browser()
    await browser.post("/v1/client/sign_ins", strategy="ticket", ticket=token["token"])
    session = await browser.session()
    assert session["actor"] == actor
    assert session["abandon_at"] == backend.world.clock() + 1800_000
    jwt = (await backend.ask("POST", f"/sessions/{session['id']}/tokens"))["jwt"]
    assert claims_of(backend, jwt)["act"] == actor
    assert (await backend.ask("GET", f"/sessions/{session['id']}"))["actor"] == actor
    await backend.refused(
        "POST", f"/actor_tokens/{token['id']}/revoke", 400, "actor_token_cannot_be_revoked_code"
    )
    again = {"strategy": "ticket", "ticket": token["token"]}
    refused = await backend.world.browser().post("/v1/client/sign_ins", 400, **again)
    assert error_codes(refused) == ["actor_token_already_used_code"]
    other = await backend.ask("POST", "/actor_tokens", json={"user_id": user_id, "actor": actor})
    assert (await backend.ask("POST", f"/actor_tokens/{other['id']}/revoke"))["status"] == "revoked"
    again = {"strategy": "ticket", "ticket": other["token"]}
    refused = await backend.world.browser().post("/v1/client/sign_ins", 400, **again)
    assert error_codes(refused) == ["actor_token_revoked_code"]


@pytest.mark.conformance("clerk-backend", 187)
async def test_a_testing_token_is_taken_along(backend: Backend) -> None:
    token = await backend.ask("POST", "/testing_tokens")
    assert set(token) == {"object", "token", "expires_at"}
    assert token["object"] == "testing_token"
    assert token["token"].startswith(f"{backend.world.clock() // 1000}-c_")
    assert token["expires_at"] == backend.world.clock() // 1000 + 3600  # seconds, alone of all times
    await backend.world.browser().get(f"/v1/client?__clerk_testing_token={token['token']}")


async def test_the_sign_in_page_redeems_a_token_only_when_asked_to(backend: Backend) -> None:
    token = await made(backend)
    browser = backend.world.browser()
    for _ in range(2):
        page = await browser.http.get(token["url"])
        assert token["token"] in page.text
    answer = await browser.http.post("/sign-in", data={"ticket": token["token"]})
    assert answer.status_code == 303
    assert await browser.user_id() == token["user_id"]
