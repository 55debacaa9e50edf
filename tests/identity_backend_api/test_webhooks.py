"""Svix's administration as we answer it, and what machines' changes tell."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.identity.conftest import ORIGIN
from tests.identity_backend_api.conftest import Backend
from tests.identity_backend_api.machine import make_machine

pytestmark = pytest.mark.anyio

URL = "https://hooks.example.com/in"


async def told(backend: Backend, endpoint_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Kind and data of everything queued for an endpoint, in the order it happened."""
    rows = await backend.world.database.read(
        lambda tx: tx.fetch_all(
            "SELECT e.kind, e.data FROM identity_webhook_events e JOIN identity_webhook_deliveries d"
            " ON d.event_id = e.id WHERE d.endpoint_id = ? ORDER BY e.created_at, e.id",
            (endpoint_id,),
        )
    )
    return [(kind, msgspec.json.decode(data)) for kind, data in rows]


async def test_the_console_is_where_svix_would_be(backend: Backend) -> None:
    for path in ("/webhooks/svix", "/webhooks/svix_url"):
        assert await backend.ask("POST", path) == {"svix_url": f"{ORIGIN}/admin/webhooks"}


async def test_deleting_the_app_deletes_every_endpoint(backend: Backend) -> None:
    webhooks = backend.world.identity.webhooks
    await backend.refused("DELETE", "/webhooks/svix", 400, "svix_app_missing")
    for _ in range(2):
        await webhooks.create(URL, actor=None)
    await backend.ask("DELETE", "/webhooks/svix", 204)
    assert await webhooks.list_endpoints() == []


async def test_a_user_is_told_as_the_backend_api_shows_them(backend: Backend) -> None:
    endpoint = (await backend.world.identity.webhooks.create(URL, actor=None)).endpoint
    body = {
        "email_address": ["ada@example.com"],
        "external_id": "crm-1",
        "first_name": "Ada",
        "private_metadata": {"plan": "gold", "ratio": 0.5},
        "skip_password_requirement": True,
    }
    made = await backend.ask("POST", "/users", json=body)
    backend.world.clock.advance(1)
    await backend.ask("PATCH", f"/users/{made['id']}", json={"last_name": "Lovelace"})
    changed = await backend.ask("GET", f"/users/{made['id']}")
    backend.world.clock.advance(1)
    await backend.ask("DELETE", f"/users/{made['id']}")

    assert await told(backend, endpoint.id) == [
        ("user.created", made),
        ("user.updated", changed),
        ("user.deleted", {"object": "user", "id": made["id"], "deleted": True, "external_id": "crm-1"}),
    ]


@pytest.mark.conformance("clerk-backend", 198)
async def test_an_invitation_from_the_waitlist_is_told_without_the_link_that_opens_it(
    backend: Backend,
) -> None:
    endpoint = (await backend.world.identity.webhooks.create(URL, actor=None)).endpoint
    entry = await backend.ask("POST", "/waitlist_entries", json={"email_address": "ada@example.com"})
    backend.world.clock.advance(1)
    invited = await backend.ask("POST", f"/waitlist_entries/{entry['id']}/invite")

    joined, changed = await told(backend, endpoint.id)
    assert (joined[0], joined[1]["id"], joined[1]["status"]) == (
        "waitlistEntry.created",
        entry["id"],
        "pending",
    )
    assert (changed[0], changed[1]["id"], changed[1]["status"]) == (
        "waitlistEntry.updated",
        entry["id"],
        "invited",
    )
    assert changed[1]["invitation"]["id"] == invited["invitation"]["id"]
    assert "url" not in changed[1]["invitation"]


async def test_machines_are_told_as_the_backend_api_shows_them(backend: Backend) -> None:
    endpoint = (await backend.world.identity.webhooks.create(URL, actor=None)).endpoint
    target = await make_machine(backend, "target")
    await backend.ask("POST", "/machines", json={"name": "billing"})
    shown: list[Any] = []

    async def step(method: str, path: str, **options: Any) -> None:
        backend.world.clock.advance(1)
        await backend.ask(method, path, **options)
        if method != "DELETE" or "scopes" in path:
            shown.append(await backend.ask("GET", f"/machines/{machine_id}"))

    machine_id = next(
        one["id"] for one in (await backend.ask("GET", "/machines"))["data"] if one["id"] != target.id
    )
    await step("PATCH", f"/machines/{machine_id}", json={"name": "invoices"})
    await step("POST", f"/machines/{machine_id}/scopes", json={"to_machine_id": target.id})
    await step("DELETE", f"/machines/{machine_id}/scopes/{target.id}")
    await step("DELETE", f"/machines/{machine_id}")

    events = await told(backend, endpoint.id)
    assert sorted(kind for kind, _ in events[:2]) == ["machine.created", "machine.created"]
    assert not any("secret_key" in data for _, data in events)
    assert events[2:] == [
        *(("machine.updated", one) for one in shown),
        ("machine.deleted", {"object": "machine", "id": machine_id, "deleted": True}),
    ]


async def test_a_machines_tokens_are_told_without_what_they_open(backend: Backend) -> None:
    webhooks = backend.world.identity.webhooks
    named = (await webhooks.create(URL, kinds=["m2mToken.created", "m2mToken.revoked"], actor=None)).endpoint
    every = (await webhooks.create(URL, actor=None)).endpoint
    machine = await make_machine(backend)
    made = await machine.mint()
    value = made.pop("token")
    backend.world.clock.advance(1)
    revoked = await machine.ask("POST", f"/m2m_tokens/{made['id']}/revoke", json={})

    assert await told(backend, named.id) == [("m2mToken.created", made), ("m2mToken.revoked", revoked)]
    assert [kind for kind, _ in await told(backend, every.id)] == ["machine.created", "m2mToken.revoked"]
    assert value not in str(await told(backend, named.id))


async def test_roles_and_permissions_are_told_of(backend: Backend) -> None:
    endpoint = (await backend.world.identity.webhooks.create(URL, actor=None)).endpoint
    permission = await backend.ask(
        "POST", "/organization_permissions", json={"name": "Write", "key": "org:notes:write"}
    )
    role = await backend.ask("POST", "/organization_roles", json={"name": "Writer", "key": "org:writer"})
    one = f"/organization_roles/{role['id']}"
    await backend.ask("POST", f"{one}/permissions/{permission['id']}")
    await backend.ask("PATCH", f"/organization_permissions/{permission['id']}", json={"name": "Writes"})
    await backend.ask("DELETE", one)
    await backend.ask("DELETE", f"/organization_permissions/{permission['id']}")
    heard = await told(backend, endpoint.id)
    assert sorted(kind for kind, _ in heard) == [
        "permission.created",
        "permission.deleted",
        "permission.updated",
        "role.created",
        "role.deleted",
        "role.updated",
    ]
    by_kind = dict(heard)
    assert [one["key"] for one in by_kind["role.updated"]["permissions"]] == ["org:notes:write"]
    assert by_kind["role.deleted"] == {"object": "role", "id": role["id"], "deleted": True}
    assert by_kind["permission.updated"]["name"] == "Writes"
