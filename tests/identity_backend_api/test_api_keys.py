"""API keys of users and machines: made, checked, changed, revoked, and ended with their subject."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.identity.accounts import store as accounts
from tests.identity_backend_api.conftest import Backend
from tests.identity_backend_api.machine import FAMILIES, make_machine, token_refused

pytestmark = pytest.mark.anyio


async def user_of(backend: Backend) -> str:
    return await (await backend.world.signed_up()).user_id()


async def make_key(backend: Backend, subject: str, **members: Any) -> Any:
    return await backend.ask("POST", "/api_keys", 201, json={"name": "ci key", "subject": subject, **members})


async def verify(backend: Backend, key: Any) -> Any:
    return await backend.ask("POST", "/api_keys/verify", json={"secret": key["secret"]})


async def cannot_verify(backend: Backend, secret: str) -> dict[str, str]:
    body = {"secret": secret}
    return await token_refused(backend, "POST", "/api_keys/verify", 404, "resource_not_found", json=body)


@pytest.mark.conformance("clerk-backend-traps", 2)
@pytest.mark.conformance("clerk-backend", 153)
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_key_is_made_for_a_user_with_its_secret(backend: Backend, family: str) -> None:
    user_id, now = await user_of(backend), backend.world.clock.now
    body = {"name": "ci key", "subject": user_id, "scopes": ["read", "write"], "created_by": user_id}
    response = await backend.http.post(f"{family}/api_keys", json=body)
    assert response.status_code == 201
    made = response.json()
    assert made["secret"].startswith("ak_")
    assert made["id"].startswith("ak_")
    assert len(made["id"]) == 35
    secret = made.pop("secret")
    assert made == {
        "object": "api_key",
        "id": made["id"],
        "type": "api_key",
        "subject": user_id,
        "name": "ci key",
        "description": None,
        "claims": None,
        "scopes": ["read", "write"],
        "revoked": False,
        "revocation_reason": None,
        "expired": False,
        "expiration": None,
        "created_by": user_id,
        "last_used_at": None,
        "created_at": now,
        "updated_at": now,
    }
    assert (await backend.http.get(f"{family}/api_keys/{made['id']}")).json() == made
    rows = await backend.world.database.read(lambda tx: tx.fetch_all("SELECT * FROM identity_api_keys"))
    assert secret not in repr([[bytes(v) if isinstance(v, memoryview) else v for v in r] for r in rows])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "ab"},
        {"name": " padded"},
        {"name": "padded "},
        {"name": None},
        {"subject": "robot_x"},
        {"subject": "user_short"},
        {"type": "ab"},
        {"type": "x" * 26},
        {"description": "x" * 256},
        {"seconds_until_expiration": 0},
        {"claims": []},
        {"claims": {"x": "y" * 5000}},
        {"unknown": 1},
    ],
)
async def test_what_no_key_can_be_is_a_bad_request(backend: Backend, change: dict[str, Any]) -> None:
    user_id = await user_of(backend)
    body = {"name": "ci key", "subject": user_id, **change}
    await token_refused(backend, "POST", "/api_keys", 400, "bad_request", json=body)
    listed = await backend.ask("GET", f"/api_keys?subject={user_id}&include_invalid=true")
    assert listed == {"data": [], "total_count": 0}


async def test_keys_are_made_for_those_who_exist(backend: Backend) -> None:
    body = {"name": "ci key", "subject": "user_" + "0" * 27}
    await token_refused(backend, "POST", "/api_keys", 404, "resource_not_found", json=body)
    body = {"name": "ci key", "subject": await user_of(backend), "created_by": "user_" + "0" * 27}
    await token_refused(backend, "POST", "/api_keys", 404, "resource_not_found", json=body)


@pytest.mark.conformance("clerk-backend", 154)
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_secret_is_verified_and_its_use_noted(backend: Backend, family: str) -> None:
    key = await make_key(
        backend, await user_of(backend), claims={"tenantId": 7}, seconds_until_expiration=60.0
    )
    backend.world.clock.advance(10)
    response = await backend.http.post(f"{family}/api_keys/verify", json={"secret": key["secret"]})
    assert response.status_code == 200
    verified, used_at = response.json(), backend.world.clock.now
    assert (verified["id"], verified["claims"]) == (key["id"], {"tenantId": 7})
    assert "secret" not in verified
    assert verified["last_used_at"] == used_at
    backend.world.clock.advance(40_000)
    assert (await verify(backend, key))["last_used_at"] == used_at  # noted once a minute
    assert (await backend.ask("GET", f"/api_keys/{key['id']}"))["last_used_at"] == used_at
    backend.world.clock.advance(19_990)
    await cannot_verify(backend, key["secret"])


@pytest.mark.conformance("clerk-backend-traps", 4)
@pytest.mark.conformance("clerk-backend", 155)
async def test_a_revoked_key_and_what_is_none_are_refused_alike(backend: Backend) -> None:
    key = await make_key(backend, await user_of(backend))
    path = f"/api_keys/{key['id']}/revoke"
    revoked = await backend.ask("POST", path, json={"revocation_reason": "left the company"})
    assert (revoked["revoked"], revoked["revocation_reason"]) == (True, "left the company")
    assert (await backend.ask("POST", path))["revocation_reason"] == "left the company"
    refusals = [
        await cannot_verify(backend, each) for each in (key["secret"], "ak_" + "x" * 43, "garbage", key["id"])
    ]
    assert all(refusal == refusals[0] for refusal in refusals)


@pytest.mark.conformance("clerk-backend", 156)
async def test_a_list_hides_what_does_not_work_unless_asked(backend: Backend) -> None:
    user_id = await user_of(backend)
    working = await make_key(backend, user_id, name="Deploy 100%")
    revoked = await make_key(backend, user_id)
    await backend.ask("POST", f"/api_keys/{revoked['id']}/revoke")
    expired = await make_key(backend, user_id, seconds_until_expiration=1)
    await make_key(backend, user_id, type="service")
    backend.world.clock.advance(1000)

    async def listed(query: str = "") -> list[str]:
        answer = await backend.ask("GET", f"/api_keys?subject={user_id}{query}")
        assert all("secret" not in key for key in answer["data"])
        return [key["id"] for key in answer["data"]]

    assert await listed() == [working["id"]]
    everything = await listed("&include_invalid=true&limit=10.0&offset=0.0")
    assert set(everything) == {working["id"], revoked["id"], expired["id"]}
    assert await listed("&query=deploy") == [working["id"]]
    assert await listed("&query=100%25") == [working["id"]]
    assert await listed("&query=_") == []
    assert len(await listed("&type=service")) == 1
    assert await listed("&include_invalid=false") == [working["id"]]
    await token_refused(backend, "GET", "/api_keys", 400, "bad_request")
    await token_refused(backend, "GET", f"/api_keys?subject={user_id}&limit=101", 400, "bad_request")


async def test_a_key_is_changed_and_told_otherwise_stays(backend: Backend) -> None:
    key = await make_key(backend, await user_of(backend), description="first", scopes=["a"])
    path, now = f"/api_keys/{key['id']}", backend.world.clock.now
    changed = await backend.ask("PATCH", path, json={"seconds_until_expiration": 5, "claims": {"x": 1}})
    assert (changed["expiration"], changed["claims"]) == (now + 5000, {"x": 1})
    assert (changed["description"], changed["scopes"]) == ("first", ["a"])
    changed = await backend.ask(
        "PATCH", path, json={"seconds_until_expiration": None, "scopes": [], "description": None}
    )
    assert (changed["expiration"], changed["scopes"], changed["description"]) == (None, [], None)
    machine = await make_machine(backend)
    assert (await backend.ask("PATCH", path, json={"subject": machine.id}))["subject"] == machine.id
    await token_refused(
        backend, "PATCH", path, 404, "resource_not_found", json={"subject": "mch_" + "0" * 27}
    )


@pytest.mark.conformance("clerk-backend", 158)
async def test_a_secret_can_be_read_again(backend: Backend) -> None:
    key = await make_key(backend, await user_of(backend))
    assert await backend.ask("GET", f"/api_keys/{key['id']}/secret") == {"secret": key["secret"]}
    trail = await backend.world.database.read(lambda tx: tx.fetch_all("SELECT * FROM identity_audit"))
    assert "api_key.secret_read" in repr(trail)
    assert key["secret"] not in repr(trail)


async def test_a_deleted_key_is_gone(backend: Backend) -> None:
    key = await make_key(backend, await user_of(backend))
    path = f"/api_keys/{key['id']}"
    assert await backend.ask("DELETE", path) == {"object": "api_key", "id": key["id"], "deleted": True}
    await cannot_verify(backend, key["secret"])
    for method, suffix in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/secret"),
        ("POST", "/revoke"),
    ):
        options = {"json": {}} if method in ("PATCH", "POST") else {}
        await token_refused(backend, method, path + suffix, 404, "resource_not_found", **options)


async def test_a_ban_ends_a_users_keys_at_once_and_its_end_brings_them_back(backend: Backend) -> None:
    user_id, now = await user_of(backend), backend.world.clock.now
    key = await make_key(backend, user_id)
    await verify(backend, key)
    database = backend.world.database
    await database.write(lambda tx: accounts.set_banned(tx, user_id, True, now))
    await cannot_verify(backend, key["secret"])
    body = {"name": "ci key", "subject": user_id}
    await token_refused(backend, "POST", "/api_keys", 404, "resource_not_found", json=body)
    await database.write(lambda tx: accounts.set_banned(tx, user_id, False, now))
    await verify(backend, key)


async def test_the_deletion_of_a_subject_ends_its_keys_at_once(backend: Backend) -> None:
    user_id, machine = await user_of(backend), await make_machine(backend)
    keys = [await make_key(backend, user_id), await make_key(backend, machine.id)]
    for key in keys:
        await verify(backend, key)
    await backend.world.database.write(lambda tx: accounts.delete_user(tx, user_id))
    await backend.ask("DELETE", f"/machines/{machine.id}")
    for key in keys:
        await cannot_verify(backend, key["secret"])


async def test_machines_may_not_look_at_keys(backend: Backend) -> None:
    machine, key = await make_machine(backend), await make_key(backend, await user_of(backend))
    body = {"secret": key["secret"]}
    await machine.refused("POST", "/api_keys/verify", 401, "clerk_key_invalid", json=body)
    await machine.refused("GET", f"/api_keys/{key['id']}/secret", 401, "clerk_key_invalid")


async def test_an_organization_has_keys_until_it_is_deleted(backend: Backend) -> None:
    user_id = await user_of(backend)
    await backend.ask("PATCH", "/instance/organization_settings", json={"enabled": True})
    made = {"name": "Harbour", "created_by": user_id}
    organization = await backend.ask("POST", "/organizations", json=made)
    key = await make_key(backend, organization["id"], created_by=user_id)
    assert (await verify(backend, key))["subject"] == organization["id"]
    body = {"name": "ci key", "subject": "org_" + "0" * 27}
    await token_refused(backend, "POST", "/api_keys", 404, "resource_not_found", json=body)
    await backend.ask("DELETE", f"/organizations/{organization['id']}")
    await cannot_verify(backend, key["secret"])
