"""What the owner of a link has to be told: each link that is new or looks new, once, and by one node."""

from __future__ import annotations

import asyncio

import pytest

from doorward.jose import generate_key
from doorward.relay.link_notices.service import KEEP_MS, LEASE_MS
from tests.relay.foreign import Environment
from tests.relay.world import World

pytestmark = pytest.mark.anyio


class Named(Environment):
    """An environment that calls itself what the test likes."""

    label = "Workshop"

    def descriptor(self) -> dict[str, object]:
        return {**super().descriptor(), "label": self.label}


def named(world: World) -> Named:
    return Named(world.relay.settings.issuer, world.clock)


async def kinds(world: World) -> list[tuple[str, str]]:
    rows = await world.rows("SELECT kind, label FROM relay_link_notices ORDER BY happened_at")
    return [(str(kind), str(label)) for kind, label in rows]


async def test_an_owner_is_told_of_a_link_that_is_new_and_of_one_that_looks_new(world: World) -> None:
    machine = named(world)
    await world.link(environment=machine)
    told = [("linked", "Workshop")]
    assert await kinds(world) == told

    world.clock.advance(1000)
    await world.link(environment=machine)  # an agent's next start
    assert await kinds(world) == told

    world.clock.advance(1000)
    machine.label = "Wоrkshop"
    await world.link(environment=machine)
    assert await kinds(world) == (told := [*told, ("renamed", machine.label)])

    world.clock.advance(1000)
    machine.key = generate_key("EdDSA")
    await world.link(environment=machine)
    assert await kinds(world) == (told := [*told, ("rekeyed", machine.label)])

    world.clock.advance(1000)
    await world.http.delete("/v1/client/environment-links/env-1", headers=world.bearer())
    await world.link(environment=machine)
    assert await kinds(world) == [*told, ("linked", machine.label)]


async def test_a_link_that_fails_tells_nobody(world: World) -> None:
    await world.post_link("not-a-proof")
    assert await kinds(world) == []


async def test_the_list_says_when_and_from_where_a_link_last_was_news(world: World) -> None:
    async def entry() -> dict[str, str]:
        answer = await world.http.get("/v1/environments", headers=world.bearer())
        listed: dict[str, str] = answer.json()["environments"][0]
        return listed

    machine = named(world)
    await world.link(environment=machine)
    first = await entry()
    assert first["madeAt"] == first["linkedAt"]
    assert first["madeFrom"] == "127.0.0.1"
    world.clock.advance(60_000)
    await world.link(environment=machine)
    assert (await entry())["madeAt"] == first["madeAt"]
    machine.label = "Attic"
    await world.link(environment=machine)
    renamed = await entry()
    assert renamed["linkedAt"] == first["linkedAt"] < renamed["madeAt"]


async def test_a_notice_is_given_to_one_node_and_again_when_that_one_did_not_finish(world: World) -> None:
    await world.link()
    notices = world.relay.link_notices
    taken = await asyncio.gather(*(notices.take() for _ in range(8)))
    assert sorted(len(some) for some in taken) == [0] * 7 + [1]
    world.clock.advance(LEASE_MS)
    [again] = await notices.take()
    assert (again.user_id, again.environment_id, again.source) == ("user_alice", "env-1", "127.0.0.1")
    await notices.done(again)
    world.clock.advance(LEASE_MS)
    assert await notices.take() == []


async def test_without_an_identity_server_beside_it_a_relay_forgets_after_a_week(world: World) -> None:
    await world.link()
    world.clock.advance(KEEP_MS)
    await world.relay.prune()
    assert len(await kinds(world)) == 1
    world.clock.advance(1)
    await world.relay.prune()
    assert await kinds(world) == []
