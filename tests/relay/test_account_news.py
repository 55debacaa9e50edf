"""What accounts kept elsewhere tell by webhook: who is banned or gone has nothing here any more, whatever they hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from svix.webhooks import Webhook

from doorward.relay import SCHEMA, AccountsWebhook
from doorward.relay.api.accounts import PATH
from doorward.relay.users.news import STANDINGS_CHANNEL
from doorward.webhook_signing import new_secret
from tests.conftest import ClockForTests, OpenTestDatabase
from tests.relay.conftest import OpenWorld
from tests.relay.world import World, open_world

pytestmark = pytest.mark.anyio

SECRET, OTHER = new_secret(), new_secret()
ALICE = "user_alice"
DAY = 86_400_000


@pytest.fixture
async def world(
    open_test_database: OpenTestDatabase, clock: ClockForTests, tmp_path: Path
) -> AsyncIterator[World]:
    """A relay whose accounts are elsewhere, on each engine."""
    database = await open_test_database(SCHEMA)
    webhook = AccountsWebhook(secret=SECRET)
    async with open_world(database, clock, tmp_path, accounts_webhook=webhook) as running:
        yield running


def event(kind: str, user_id: str = ALICE, **data: Any) -> bytes:
    return msgspec.json.encode(
        {"type": kind, "object": "event", "timestamp": 1, "data": {"id": user_id, "object": "user", **data}}
    )


def signed(world: World, body: bytes, *, secret: str = SECRET, ago: int = 0) -> dict[str, str]:
    """As Svix's own library signs, `ago` seconds before now."""
    at = datetime.fromtimestamp(world.clock() // 1000 - ago, UTC)
    return {
        "svix-id": "msg_1",
        "svix-timestamp": str(int(at.timestamp())),
        "svix-signature": Webhook(secret).sign("msg_1", at, body.decode()),
        "content-type": "application/json",
    }


async def tell(world: World, body: bytes, **signing: Any) -> httpx.Response:
    return await world.http.post(PATH, content=body, headers=signed(world, body, **signing))


async def told(world: World, kind: str, **data: Any) -> None:
    answer = await tell(world, event(kind, **data))
    assert (answer.status_code, answer.content) == (204, b"")


async def standing(world: World) -> list[int]:
    """What Alice's session, access token and machine get."""
    session = await world.http.get("/v1/environments", headers=world.bearer())
    connect = await world.status(world.saved_token)
    bearer = {"authorization": f"Bearer {world.saved_credential}"}
    machine = await world.http.get("/v1/environments/env-1/services", headers=bearer)
    return [session.status_code, connect.status_code, machine.status_code]


async def link(world: World) -> None:
    world.saved_credential = (await world.link())["environmentCredential"]
    world.saved_token = await world.token()


async def test_a_banned_account_has_nothing_until_it_is_let_in_again(world: World) -> None:
    await link(world)
    assert 401 not in await standing(world)
    async with world.database.subscribe(STANDINGS_CHANNEL) as heard:
        await told(world, "user.updated", banned=True, updated_at=5)
        assert await anext(heard) == ALICE
        assert await standing(world) == [401, 401, 401]
        # Somebody else is not meant.
        others = await world.http.get("/v1/environments", headers=world.bearer("user_bob"))
        assert others.status_code == 200
        await told(world, "user.updated", banned=False, updated_at=6)
        assert await anext(heard) == ALICE
    assert 401 not in await standing(world)
    trail = await world.rows(
        "SELECT actor, action, object FROM relay_audit WHERE object = ? ORDER BY at", ALICE
    )
    assert sorted(trail) == [
        ("accounts", "account.barred", ALICE),
        ("accounts", "account.readmitted", ALICE),
    ]


async def test_a_deleted_account_never_comes_back_whatever_arrives_late(world: World) -> None:
    await link(world)
    await told(world, "user.deleted", deleted=True)
    await told(world, "user.updated", banned=False, updated_at=9_999_999_999_999)
    await told(world, "user.created", banned=False, updated_at=9_999_999_999_999)
    assert await standing(world) == [401, 401, 401]


async def test_what_is_older_than_what_is_known_changes_nothing(world: World) -> None:
    await link(world)
    await told(world, "user.updated", banned=False, updated_at=7)
    await told(world, "user.updated", banned=True, updated_at=6)
    assert 401 not in await standing(world)
    bodies = [event("user.updated", banned=at % 2 == 0, updated_at=at) for at in range(8, 17)]
    answers = await asyncio.gather(*(tell(world, body) for body in reversed(bodies)))
    assert {answer.status_code for answer in answers} == {204}
    assert await standing(world) == [401, 401, 401]


async def test_only_who_holds_the_secret_is_heard(world: World) -> None:
    await link(world)
    body = event("user.updated", banned=True, updated_at=5)
    good = signed(world, body)
    refused = [
        await tell(world, body, secret=OTHER),
        await tell(world, body, ago=301),
        await tell(world, body, ago=-301),
        await world.http.post(PATH, content=body + b" ", headers=good),
        await world.http.post(PATH, content=body, headers=good | {"svix-id": "msg_2"}),
        await world.http.post(PATH, content=body, headers=good | {"svix-timestamp": "now"}),
        await world.http.post(PATH, content=body, headers=good | {"svix-signature": "v1,"}),
        await world.http.post(
            PATH, content=body, headers=good | {"svix-signature": "v1,\u00e4".encode("latin-1")}
        ),  # type: ignore[dict-item]
        await world.http.post(PATH, content=body, headers={"content-type": "application/json"}),
        await world.http.post(PATH, content=body, headers=world.bearer()),
    ]
    for answer in refused:
        assert answer.status_code == 401
        assert answer.json()["reason"] == "not_authorized"
    assert 401 not in await standing(world)
    assert await world.rows("SELECT user_id FROM relay_account_standings") == []

    # While the sender replaces its secret it signs with both.
    both = {
        "svix-signature": f"{signed(world, body, secret=OTHER)['svix-signature']} {good['svix-signature']}"
    }
    assert (await world.http.post(PATH, content=body, headers=good | both)).status_code == 204
    assert await standing(world) == [401, 401, 401]


async def test_the_names_of_standard_webhooks_count_as_well(world: World) -> None:
    body = event("user.updated", banned=True, updated_at=5)
    headers = {name.replace("svix", "webhook"): value for name, value in signed(world, body).items()}
    assert (await world.http.post(PATH, content=body, headers=headers)).status_code == 204
    assert len(await world.rows("SELECT user_id FROM relay_account_standings")) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"type":"session.revoked","data":{"id":"sess_1"}}', 204),
        (b'{"type":"organization.created","data":{}}', 204),
        (b'{"type":"user.updated","data":{"banned":true,"updated_at":1}}', 400),
        (b'{"type":"user.updated","data":{"id":"user_a","updated_at":1}}', 400),
        (b'{"type":"user.updated","data":{"id":"user_a","banned":true}}', 400),
        (b'{"type":"user.deleted","data":{"deleted":true}}', 400),
        (b'{"type":"user.updated","data":{"id":"","banned":true,"updated_at":1}}', 400),
        (b'{"type":"user.updated","data":{"id":"user_a","banned":"yes","updated_at":1}}', 400),
        (b'{"type":"user.updated","data":{"id":"user_\\u0000","banned":true,"updated_at":1}}', 400),
        (
            b'{"type":"user.updated","data":{"id":"user_a","banned":true,"updated_at":9223372036854775808}}',
            400,
        ),
        (b'{"type":"user.updated","data":{"id":"user_a","banned":true,"updated_at":-1}}', 400),
        (b'{"type":"user.updated"}', 400),
        (b"[]", 400),
        (b"", 400),
    ],
)
async def test_what_is_not_about_an_account_is_taken_and_what_is_nothing_is_not(
    world: World, body: bytes, status: int
) -> None:
    assert (await tell(world, body)).status_code == status
    assert await world.rows("SELECT user_id FROM relay_account_standings") == []


async def test_whom_nothing_is_held_against_is_forgotten_and_the_barred_are_not(world: World) -> None:
    await told(world, "user.updated", banned=True, updated_at=5)
    await told(world, "user.updated", user_id="user_bob", banned=False, updated_at=5)
    world.clock.advance(6 * DAY)
    await world.relay.prune()
    assert len(await world.rows("SELECT user_id FROM relay_account_standings")) == 2
    world.clock.advance(2 * DAY)
    await world.relay.prune()
    assert await world.rows("SELECT user_id FROM relay_account_standings") == [(ALICE,)]


async def test_a_relay_without_the_secret_has_no_such_address(open_wire: OpenWorld) -> None:
    world = await open_wire()
    assert (await tell(world, event("user.deleted"))).status_code == 404
