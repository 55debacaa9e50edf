"""Machines: made, connected, their keys read and replaced, removed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.identity_backend_api.conftest import Backend
from tests.identity_backend_api.machine import make_machine

pytestmark = pytest.mark.anyio


async def recognised(backend: Backend, secret: str) -> str | None:
    return await backend.world.identity.machines.recognise(secret)


@pytest.mark.conformance("clerk-backend", 118)
async def test_a_machine_is_made_with_a_key_no_scopes_and_an_hour_for_its_tokens(backend: Backend) -> None:
    made = await backend.ask("POST", "/machines", json={"name": "billing"})
    assert made["object"] == "machine"
    assert made["id"].startswith("mch_")
    assert len(made["id"]) == len("mch_") + 27
    assert made["secret_key"].startswith("ak_")
    assert (made["scoped_machines"], made["default_token_ttl"]) == ([], 3600)
    secret = made.pop("secret_key")
    assert await backend.ask("GET", f"/machines/{made['id']}") == made
    assert await recognised(backend, secret) == made["id"]


@pytest.mark.conformance("clerk-backend", 13)
async def test_a_member_nobody_declared_is_named_and_nothing_is_made(backend: Backend) -> None:
    body = {"zzz": 1, "name": "a"}
    error = await backend.refused("POST", "/machines", 422, "form_param_unknown", json=body)
    assert error["meta"]["param_name"] == "zzz"
    assert (await backend.ask("GET", "/machines"))["total_count"] == 0


@pytest.mark.conformance("clerk-backend", 119, 120)
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "x", "scoped_machines": ["mch_x"] * 151}, "scoped_machines"),
        ({"name": "x", "default_token_ttl": 0}, "default_token_ttl"),
        ({"name": "x", "default_token_ttl": 315_360_001}, "default_token_ttl"),
    ],
)
async def test_what_no_machine_can_be_is_refused(backend: Backend, body: dict[str, Any], param: str) -> None:
    error = await backend.refused("POST", "/machines", 422, "form_param_value_invalid", json=body)
    assert error["meta"]["param_name"] == param
    assert (await backend.ask("GET", "/machines"))["total_count"] == 0
    await make_machine(backend, "x" * 255, default_token_ttl=315_360_000)


async def test_a_machine_with_a_scope_on_nothing_is_not_made(backend: Backend) -> None:
    body = {"name": "a", "scoped_machines": ["mch_" + "0" * 27]}
    await backend.refused("POST", "/machines", 404, "machine_not_found", json=body)
    assert (await backend.ask("GET", "/machines"))["data"] == []


async def test_a_machine_is_renamed_and_its_scopes_stay(backend: Backend) -> None:
    target = await make_machine(backend, "target")
    machine = await make_machine(backend, "old", scoped_machines=[target.id, target.id])
    backend.world.clock.advance(1000)
    changed = await backend.ask(
        "PATCH", f"/machines/{machine.id}", json={"name": "new", "default_token_ttl": 5}
    )
    assert (changed["name"], changed["default_token_ttl"]) == ("new", 5)
    assert [each["id"] for each in changed["scoped_machines"]] == [target.id]
    assert "scoped_machines" not in changed["scoped_machines"][0]
    assert changed["updated_at"] == changed["created_at"] + 1000
    body = {"scoped_machines": []}
    await backend.refused("PATCH", f"/machines/{machine.id}", 422, "form_param_unknown", json=body)


@pytest.mark.conformance("clerk-backend", 16, 17)
async def test_machines_are_listed_found_and_ordered(backend: Backend) -> None:
    ids = {}
    for name in ("Anna", "hannah", "50%", "Zoe"):
        ids[name] = (await make_machine(backend, name)).id
        backend.world.clock.advance(1)

    async def names(**query: str) -> list[str]:
        listed = await backend.ask("GET", "/machines", params=query)
        return [machine["name"] for machine in listed["data"]]

    assert await names() == ["Zoe", "50%", "hannah", "Anna"]
    assert await names(order_by="+created_at", limit="2", offset="1") == ["hannah", "50%"]
    assert await names(order_by="-name", query="ANNA") == ["hannah", "Anna"]
    for ascending in ("+name", " name", "name"):
        assert await names(order_by=ascending, query="ANNA") == ["Anna", "hannah"]
    assert await names(query="%") == ["50%"]
    assert await names(query=ids["Zoe"]) == ["Zoe"]
    assert (await backend.ask("GET", "/machines?limit=1"))["total_count"] == 4
    await backend.refused("GET", "/machines?order_by=secret", 422, "form_param_value_invalid")


@pytest.mark.conformance("clerk-backend", 121)
async def test_a_secret_key_can_be_read_again_and_lies_sealed_in_the_database(backend: Backend) -> None:
    machine = await make_machine(backend)
    read = await backend.ask("GET", f"/machines/{machine.id}/secret_key")
    assert read == {"object": "machine_secret_key", "secret": machine.secret}
    rows = await backend.world.database.read(lambda tx: tx.fetch_all("SELECT * FROM identity_machine_keys"))
    assert machine.secret not in repr(
        [[bytes(v) if isinstance(v, memoryview) else v for v in r] for r in rows]
    )
    trail = await backend.world.database.read(lambda tx: tx.fetch_all("SELECT * FROM identity_audit"))
    assert "machine.secret_key_read" in repr(trail)
    assert machine.secret not in repr(trail)


@pytest.mark.conformance("clerk-backend", 122)
async def test_a_replaced_key_works_beside_the_new_one_for_as_long_as_was_asked(backend: Backend) -> None:
    machine = await make_machine(backend)
    path = f"/machines/{machine.id}/secret_key"
    second = (await backend.ask("POST", f"{path}/rotate", json={"previous_token_ttl": 60}))["secret"]
    assert second != machine.secret
    assert (await backend.ask("GET", path))["secret"] == second
    backend.world.clock.advance(59_999)
    assert [await recognised(backend, key) for key in (machine.secret, second)] == [machine.id] * 2
    backend.world.clock.advance(1)
    assert [await recognised(backend, key) for key in (machine.secret, second)] == [None, machine.id]


async def test_of_replaced_keys_only_the_newest_works_on(backend: Backend) -> None:
    machine = await make_machine(backend)
    path = f"/machines/{machine.id}/secret_key/rotate"
    second = (await backend.ask("POST", path, json={"previous_token_ttl": 600}))["secret"]
    third = (await backend.ask("POST", path, json={"previous_token_ttl": 600}))["secret"]
    keys = (machine.secret, second, third)
    assert [await recognised(backend, key) for key in keys] == [None, machine.id, machine.id]


@pytest.mark.conformance("clerk-backend", 123)
async def test_a_replaced_key_without_such_time_ends_at_once(backend: Backend) -> None:
    machine = await make_machine(backend)
    path = f"/machines/{machine.id}/secret_key/rotate"
    second = (await backend.ask("POST", path, json={"previous_token_ttl": 0}))["secret"]
    assert [await recognised(backend, key) for key in (machine.secret, second)] == [None, machine.id]


@pytest.mark.conformance("clerk-backend", 124)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"previous_token_ttl": 28_801}, "form_param_value_invalid"),
        ({"previous_token_ttl": -1}, "form_param_value_invalid"),
        ({}, "form_param_missing"),
    ],
)
async def test_a_rotation_needs_a_time_of_eight_hours_at_most(
    backend: Backend, body: dict[str, Any], code: str
) -> None:
    machine = await make_machine(backend)
    path = f"/machines/{machine.id}/secret_key/rotate"
    await backend.refused("POST", path, 422, code, json=body)
    assert await recognised(backend, machine.secret) == machine.id
    await backend.ask("POST", path, json={"previous_token_ttl": 28_800})
    assert await recognised(backend, machine.secret) == machine.id


async def test_rotations_at_once_leave_one_current_key(backend: Backend) -> None:
    machine = await make_machine(backend)
    path = f"/machines/{machine.id}/secret_key"
    rotations = [
        backend.ask("POST", f"{path}/rotate", json={"previous_token_ttl": ttl}) for ttl in (0, 60, 0, 60)
    ]
    secrets = [answer["secret"] for answer in await asyncio.gather(*rotations)]
    assert (await backend.ask("GET", path))["secret"] in secrets
    working = [secret for secret in (machine.secret, *secrets) if await recognised(backend, secret)]
    assert 1 <= len(working) <= 2


@pytest.mark.conformance("clerk-backend", 125, 126)
async def test_a_scope_is_made_once_and_removed(backend: Backend) -> None:
    a, b = await make_machine(backend, "a"), await make_machine(backend, "b")
    body = {"to_machine_id": b.id}
    scope = await backend.ask("POST", f"/machines/{a.id}/scopes", json=body)
    assert (scope["object"], scope["from_machine_id"], scope["to_machine_id"]) == (
        "machine_scope",
        a.id,
        b.id,
    )
    await backend.refused("POST", f"/machines/{a.id}/scopes", 409, "conflict", json=body)
    assert (await backend.ask("GET", f"/machines/{b.id}"))["scoped_machines"] == []  # it has a direction
    removed = await backend.ask("DELETE", f"/machines/{a.id}/scopes/{b.id}")
    assert removed == {
        "object": "machine_scope",
        "from_machine_id": a.id,
        "to_machine_id": b.id,
        "deleted": True,
    }
    await backend.refused("DELETE", f"/machines/{a.id}/scopes/{b.id}", 404, "resource_not_found")
    themselves = {"to_machine_id": a.id}
    await backend.refused(
        "POST", f"/machines/{a.id}/scopes", 422, "form_param_value_invalid", json=themselves
    )


async def test_of_one_scope_made_many_times_at_once_one_is_made(backend: Backend) -> None:
    a, b = await make_machine(backend, "a"), await make_machine(backend, "b")
    asked = [
        backend.http.post(f"/api/v1/machines/{a.id}/scopes", json={"to_machine_id": b.id}) for _ in range(6)
    ]
    assert sorted(answer.status_code for answer in await asyncio.gather(*asked)) == [200, *[409] * 5]


async def test_a_machine_has_150_scopes_at_most_however_they_come(backend: Backend) -> None:
    ids = [(await make_machine(backend, f"target {number}")).id for number in range(151)]
    full = await make_machine(backend, "full", scoped_machines=ids[:150])
    body = {"to_machine_id": ids[150]}
    await backend.refused("POST", f"/machines/{full.id}/scopes", 422, "form_param_value_invalid", json=body)
    assert len((await backend.ask("GET", f"/machines/{full.id}"))["scoped_machines"]) == 150


async def test_a_deleted_machine_is_gone_with_its_key_and_scopes(backend: Backend) -> None:
    a = await make_machine(backend, "a")
    b = await make_machine(backend, "b", scoped_machines=[a.id])
    gone = await backend.ask("DELETE", f"/machines/{a.id}")
    assert gone == {"object": "machine", "id": a.id, "deleted": True}
    assert await recognised(backend, a.secret) is None
    assert (await backend.ask("GET", f"/machines/{b.id}"))["scoped_machines"] == []
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/secret_key"),
        ("POST", "/secret_key/rotate"),
        ("POST", "/scopes"),
        ("DELETE", f"/scopes/{b.id}"),
    ):
        body = (
            {"previous_token_ttl": 0}
            if "rotate" in path
            else {"to_machine_id": b.id}
            if "scopes" in path
            else {}
        )
        options = {} if method in ("GET", "DELETE") else {"json": body}
        await backend.refused(method, f"/machines/{a.id}{path}", 404, "machine_not_found", **options)


async def test_a_machines_key_opens_nothing_of_the_instance(backend: Backend) -> None:
    machine = await make_machine(backend)
    for path in ("/machines", f"/machines/{machine.id}/secret_key", "/jwks"):
        await backend.refused("GET", path, 401, "clerk_key_invalid", headers=machine.headers)
