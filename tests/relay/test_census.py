"""Tunnels at Cloudflare that nobody uses: which are told, which are removed, and which are never touched."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from doorward.relay.endpoints.cloudflare.census import (
    ABANDONED_GRACE_MS,
    DOWN_GRACE_MS,
    MOST_DELETIONS,
    NEVER_CONNECTED_GRACE_MS,
)
from doorward.t3_connect import iso
from tests.relay.cloudflare import FakeCloudflare, refusal
from tests.relay.conftest import OpenWorld
from tests.relay.world import World

pytestmark = pytest.mark.anyio

PREFIX = "t3coderelay-managedendpoint-local-"
TOO_OFTEN = refusal(429, 10013, "Rate limit exceeded")


@pytest.fixture
async def deleting(open_wire: OpenWorld) -> World:
    return await open_wire(provider="cloudflare", cleanup="delete")


async def linked_and_known(world: World) -> tuple[dict[str, Any], str]:
    """A link whose environment told of its tunnel, so that it can bring it back."""
    linked = await world.link()
    tunnel_id = linked["endpointRuntime"]["tunnelId"]
    assert (await world.recover(linked, tunnel_id=tunnel_id)).json() == {"status": "ready"}
    return linked, tunnel_id


async def down(world: World, tunnel_id: str) -> None:
    world.cloudflare.disconnect(tunnel_id, at=iso(world.clock()))
    world.clock.advance(DOWN_GRACE_MS)


async def never_connected(world: World, tunnel_id: str) -> None:
    world.clock.advance(NEVER_CONNECTED_GRACE_MS)


Away = Callable[[World, str], Awaitable[None]]


@pytest.mark.parametrize("away", [down, never_connected])
async def test_a_tunnel_whose_machine_is_away_is_removed_and_comes_back_with_it(
    deleting: World, away: Away
) -> None:
    linked, tunnel_id = await linked_and_known(deleting)
    await away(deleting, tunnel_id)
    sweep = await deleting.relay.sweep()
    assert (sweep.idle, sweep.removed) == ((tunnel_id,), (tunnel_id,))
    assert deleting.cloudflare.tunnels == {}
    assert len(deleting.cloudflare.records) == 1
    answer = await deleting.recover(linked, tunnel_id=tunnel_id)
    assert answer.json() == {"status": "recovery_required"}
    assert (await deleting.recover(linked)).json()["endpoint"] == linked["endpoint"]


async def too_soon(world: World, tunnel_id: str) -> None:
    world.cloudflare.disconnect(tunnel_id, at=iso(world.clock()))
    world.clock.advance(DOWN_GRACE_MS - 1000)


async def new(world: World, tunnel_id: str) -> None:
    world.clock.advance(NEVER_CONNECTED_GRACE_MS - 1000)


async def in_use(world: World, tunnel_id: str) -> None:
    world.cloudflare.connect(tunnel_id)
    world.clock.advance(NEVER_CONNECTED_GRACE_MS)


async def degraded(world: World, tunnel_id: str) -> None:
    world.cloudflare.tunnels[tunnel_id]["status"] = "degraded"
    world.clock.advance(NEVER_CONNECTED_GRACE_MS)


async def unreadable_time(world: World, tunnel_id: str) -> None:
    world.cloudflare.disconnect(tunnel_id, at="a while ago")
    world.clock.advance(NEVER_CONNECTED_GRACE_MS)


async def cannot_recover(world: World, tunnel_id: str) -> None:
    await world.execute("UPDATE relay_managed_endpoint_allocations SET recovery_enabled_at = NULL")
    world.clock.advance(NEVER_CONNECTED_GRACE_MS)


async def linked_with_a_new_key(world: World, tunnel_id: str) -> None:
    await world.execute("UPDATE relay_environment_links SET environment_public_key = 'new'")
    world.clock.advance(NEVER_CONNECTED_GRACE_MS)


@pytest.mark.parametrize(
    "away", [too_soon, new, in_use, degraded, unreadable_time, cannot_recover, linked_with_a_new_key]
)
async def test_a_tunnel_that_may_be_needed_is_left_alone(deleting: World, away: Away) -> None:
    _, tunnel_id = await linked_and_known(deleting)
    await away(deleting, tunnel_id)
    assert (await deleting.relay.sweep()).removed == ()
    assert tunnel_id in deleting.cloudflare.tunnels


async def test_what_an_unlink_could_not_remove_is_removed_later(deleting: World) -> None:
    fake = deleting.cloudflare
    linked = await deleting.link()
    fake.fail("delete_tunnel", TOO_OFTEN)
    assert (await deleting.unlink()).status_code == 500
    tunnel_id = linked["endpointRuntime"]["tunnelId"]
    assert (await deleting.relay.sweep()).abandoned == ()
    deleting.clock.advance(ABANDONED_GRACE_MS)
    sweep = await deleting.relay.sweep()
    assert (sweep.abandoned, sweep.removed) == ((tunnel_id,), (tunnel_id,))
    assert fake.tunnels == fake.records == {}


async def test_tunnels_in_no_row_of_ours_are_told_and_never_touched(
    deleting: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fake = deleting.cloudflare
    stranger = fake.add_tunnel(PREFIX + "0123456789abcdef")
    others = (
        fake.add_tunnel("office"),
        fake.add_tunnel(PREFIX + "0123456789abcde"),
        fake.add_tunnel(PREFIX + "extra-0123456789abcdef"),
        fake.add_tunnel("t3coderelay-managedendpoint-prod-0123456789abcdef"),
    )
    deleting.clock.advance(NEVER_CONNECTED_GRACE_MS)
    sweep = await deleting.relay.sweep()
    assert (sweep.unknown, sweep.removed) == ((stranger["id"],), ())
    assert len(fake.tunnels) == len(others) + 1
    assert "1 unknown to this relay; 0 removed" in caplog.text


async def test_a_dry_run_tells_and_off_does_not_even_look(
    open_wire: OpenWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for mode in ("off", "dry-run"):
        world = await open_wire(provider="cloudflare", cleanup=mode)
        _, tunnel_id = await linked_and_known(world)
        world.clock.advance(NEVER_CONNECTED_GRACE_MS)
        world.cloudflare.calls.clear()
        sweep = await world.relay.sweep()
        assert sweep.removed == ()
        assert sweep.idle == ((tunnel_id,) if mode == "dry-run" else ())
        assert world.cloudflare.calls == (["list_tunnels"] if mode == "dry-run" else [])
    assert "cleanup is dry-run" in caplog.text
    other = await open_wire()
    assert (await other.relay.sweep()).is_complete


def crowd(fake: FakeCloudflare, number: int) -> None:
    for index in range(number):
        fake.add_tunnel(f"{PREFIX}{index:016x}")


async def test_a_long_list_is_seen_in_several_sweeps_each_beginning_where_the_last_ended(
    deleting: World,
) -> None:
    crowd(deleting.cloudflare, 1050)
    first = await deleting.relay.sweep()
    assert (len(first.unknown), first.is_complete) == (1000, False)
    second = await deleting.relay.sweep()
    assert (len(second.unknown), second.is_complete) == (50, True)
    assert len((await deleting.relay.sweep()).unknown) == 1000


async def test_a_sweep_that_asks_too_often_stops_and_goes_on_from_there(deleting: World) -> None:
    fake = deleting.cloudflare
    crowd(fake, 150)
    fake.fail("list_tunnels", TOO_OFTEN)
    assert (await deleting.relay.sweep()).is_complete is False
    assert fake.calls == ["list_tunnels"]
    _, tunnel_id = await linked_and_known(deleting)
    deleting.clock.advance(NEVER_CONNECTED_GRACE_MS)
    fake.calls.clear()
    fake.fail("delete_tunnel", TOO_OFTEN)
    stopped = await deleting.relay.sweep()
    assert (stopped.is_complete, stopped.removed) == (False, ())
    assert fake.calls[-1] == "delete_tunnel"
    assert (await deleting.relay.sweep()).removed == (tunnel_id,)


async def test_one_sweep_removes_at_most_a_hundred(deleting: World) -> None:
    fake = deleting.cloudflare
    crowd(fake, MOST_DELETIONS + 1)
    for index, (tunnel_id, tunnel) in enumerate(list(fake.tunnels.items())):
        await deleting.execute(
            "INSERT INTO relay_managed_endpoint_allocations (user_id, environment_id, hostname, tunnel_name,"
            " tunnel_id, created_at, updated_at) VALUES ('user_gone', ?, ?, ?, ?, 0, 0)",
            f"env-{index}",
            f"{index}.env.localhost",
            tunnel["name"],
            tunnel_id,
        )
    assert len((await deleting.relay.sweep()).removed) == MOST_DELETIONS
    assert len((await deleting.relay.sweep()).removed) == 1
