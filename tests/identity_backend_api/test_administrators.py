"""What a secret key may not do: take away the last administrator, or change what an administrator signs in with."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from doorward.identity.app import operator_application
from tests.identity.conftest import ORIGIN, PASSWORD
from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio

NEW = "another quiet harbour"


async def administrator(backend: Backend, address: str = "root@example.com") -> dict[str, Any]:
    """A user whom somebody made an administrator."""
    user = await backend.ask("POST", "/users", json={"email_address": [address], "password": PASSWORD})
    await backend.world.identity.administrators.grant(user["id"], actor="test")
    return dict(user)


async def test_the_last_administrator_is_not_banned_locked_or_deleted(backend: Backend) -> None:
    root = (await administrator(backend))["id"]
    for method, path in (("POST", "/ban"), ("POST", "/lock"), ("DELETE", "")):
        refused = await backend.refused(method, f"/users/{root}{path}", 409, "last_administrator")
        assert "Make somebody else an administrator first" in refused["long_message"]
    body = {"user_ids": [root]}
    await backend.refused("POST", "/users/ban", 409, "last_administrator", json=body)
    assert not (await backend.ask("GET", f"/users/{root}"))["banned"]

    other = (await administrator(backend, "other@example.com"))["id"]
    assert (await backend.ask("POST", f"/users/{root}/ban"))["banned"]
    await backend.refused("DELETE", f"/users/{other}", 409, "last_administrator")
    # Whoever is barred already is nobody's last hope.
    assert (await backend.ask("DELETE", f"/users/{root}"))["deleted"]


async def test_two_keys_that_ban_two_administrators_at_once_leave_one(backend: Backend) -> None:
    ids = [(await administrator(backend, f"root{n}@example.com"))["id"] for n in range(2)]
    answers = await asyncio.gather(*(backend.http.post(f"/api/v1/users/{one}/ban") for one in ids))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_the_last_administrator_does_not_delete_their_own_account(backend: Backend) -> None:
    browser = await backend.world.signed_up()
    session = await browser.session()
    await backend.world.identity.administrators.grant(session["user"]["id"], actor="test")
    refused = await browser.http.delete("/v1/me", params={"_clerk_session_id": session["id"]})
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["code"] == "last_administrator"


def ways_in(root: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Everything that would let a holder of the key in as that user, or keep that user out."""
    user_id, email_id = root["id"], root["email_addresses"][0]["id"]
    mine = "mine@example.com"
    return [
        ("PATCH", f"/users/{user_id}", {"password": NEW}),
        ("PATCH", f"/users/{user_id}", {"password": "x", "skip_password_checks": True}),
        ("PATCH", f"/users/{user_id}", {"primary_email_address_id": email_id}),
        ("PUT", f"/users/{user_id}/email_address", {"email_address": mine}),
        ("POST", f"/users/{user_id}/remove_password", {}),
        ("POST", f"/users/{user_id}/password/set_compromised", {}),
        ("POST", f"/users/{user_id}/password/unset_compromised", {}),
        ("POST", "/email_addresses", {"user_id": user_id, "email_address": mine, "verified": True}),
        ("PATCH", f"/email_addresses/{email_id}", {"verified": False}),
        ("DELETE", f"/email_addresses/{email_id}", {}),
        ("POST", "/sign_in_tokens", {"user_id": user_id}),
        ("POST", "/actor_tokens", {"user_id": user_id, "actor": {"sub": "user_somebody"}}),
    ]


async def test_a_secret_key_changes_nothing_an_administrator_signs_in_with(backend: Backend) -> None:
    root = await administrator(backend)
    await administrator(backend, "other@example.com")
    for method, path, body in ways_in(root):
        error = await backend.refused(method, path, 403, "authorization_invalid", json=body)
        assert "doorward users" in error["long_message"], (method, path)
    shown = await backend.ask("GET", f"/users/{root['id']}")
    assert shown["email_addresses"] == root["email_addresses"]
    assert (await backend.world.browser().sign_in("root@example.com"))["response"]["status"] == "complete"

    # All the rest is a user's like any other, and a user's is the key's to change.
    changed = await backend.ask("PATCH", f"/users/{root['id']}", json={"first_name": "Ada"})
    assert changed["first_name"] == "Ada"
    await backend.world.identity.administrators.withdraw(root["id"], actor="test")
    await backend.ask("PATCH", f"/users/{root['id']}", json={"password": NEW})


async def test_an_invitation_whose_link_a_key_reads_signs_no_administrator_in(backend: Backend) -> None:
    root = await administrator(backend)
    founder = await backend.ask(
        "POST", "/users", json={"email_address": ["ada@example.com"], "password": PASSWORD}
    )
    await backend.ask("PATCH", "/instance/organization_settings", json={"enabled": True})
    made = await backend.ask("POST", "/organizations", json={"name": "Acme", "created_by": founder["id"]})
    body = {"email_address": "root@example.com", "role": "org:member"}
    invited = await backend.ask("POST", f"/organizations/{made['id']}/invitations", json=body)
    ticket = invited["url"].rpartition("=")[2]
    browser = backend.world.browser()
    refused = await browser.post("/v1/client/sign_ins", 403, strategy="ticket", ticket=ticket)
    assert refused["errors"][0]["code"] == "authorization_invalid"
    assert "Sign in first" in refused["errors"][0]["long_message"]

    # The link is as good as it was: who is signed in joins by it.
    assert (await browser.sign_in("root@example.com"))["response"]["status"] == "complete"
    await backend.world.identity.organization_invitations.accept(ticket, root["id"])
    user = await browser.session()
    assert [one["organization"]["id"] for one in user["user"]["organization_memberships"]] == [made["id"]]


async def test_the_operator_of_the_server_changes_what_an_administrator_signs_in_with(
    backend: Backend,
) -> None:
    root = await administrator(backend)
    local = httpx.ASGITransport(app=operator_application(backend.world.identity, "ada"))
    async with httpx.AsyncClient(transport=local, base_url=ORIGIN) as http:
        operator = Backend(backend.world, http)
        await operator.ask("PATCH", f"/users/{root['id']}", json={"password": NEW})
        await operator.ask("POST", "/sign_in_tokens", json={"user_id": root["id"]})
        await operator.refused("POST", f"/users/{root['id']}/ban", 409, "last_administrator")
    answer = await backend.world.browser().sign_in("root@example.com", NEW)
    assert answer["response"]["status"] == "complete"
