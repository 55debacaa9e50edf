"""Rows that one provider call at a time may change: taken, waited for, lost, and given back whatever happens."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from doorward.relay import SCHEMA
from doorward.relay.endpoints import store
from doorward.relay.endpoints.leases import LEASE_MS, Leased, LeaseLost, Leases
from doorward.relay.endpoints.rules import EndpointNames
from doorward.relay.endpoints.store import AllocationRow
from doorward.store import Database, Tx
from tests.conftest import ClockForTests, OpenTestDatabase

pytestmark = pytest.mark.anyio

WHOSE = {"user_id": "user_alice", "environment_id": "env-1"}


def reserve(tx: Tx) -> AllocationRow:
    names = EndpointNames("a.z.test", "tunnel-a")
    return store.reserve(tx, names=names, tunnel_id=None, now=0, **WHOSE)


@pytest.fixture
async def database(open_test_database: OpenTestDatabase) -> AsyncIterator[Database]:
    yield await open_test_database(SCHEMA)


async def leased_until(database: Database) -> int | None:
    row = await database.read(lambda tx: store.find(tx, **WHOSE))
    return None if row is None else row.leased_until


async def taken(leases: Leases, *, wait: bool = False) -> AllocationRow:
    lease = await leases.take(reserve, wait=wait, **WHOSE)
    assert lease is not None
    return lease


async def test_a_row_is_taken_by_one_at_a_time_and_by_its_time(
    database: Database, clock: ClockForTests
) -> None:
    here, there = Leases(database, clock), Leases(database, clock)
    first = await taken(here)
    assert await leased_until(database) == clock() + LEASE_MS
    with pytest.raises(Leased):
        await taken(there)
    clock.advance(LEASE_MS)
    second = await taken(there)
    assert second.generation == first.generation + 1
    for write in (here.record_tunnel(first, "late"), here.record_dns(first, "late"), here.clear(first)):
        with pytest.raises(LeaseLost):
            await write
    await here.free(first)
    with pytest.raises(Leased):
        await taken(here)
    await there.free(second)
    await taken(here)


async def test_what_is_not_found_is_not_taken(database: Database, clock: ClockForTests) -> None:
    assert await Leases(database, clock).take(lambda _tx: None, wait=True, **WHOSE) is None


async def test_who_waits_is_served_in_order(database: Database, clock: ClockForTests) -> None:
    leases = Leases(database, clock)
    served: list[int] = []

    async def work(number: int) -> None:
        lease = await taken(leases, wait=True)
        served.append(number)
        await leases.free(lease)

    first = await taken(leases)
    waiting = []
    for number in range(5):
        waiting.append(asyncio.create_task(work(number)))
        await asyncio.sleep(0)
    await leases.free(first)
    await asyncio.gather(*waiting)
    assert served == list(range(5))


async def test_nobody_keeps_a_row_that_was_cut_while_taking_it(
    database: Database, clock: ClockForTests
) -> None:
    """At every step of the loop: the deadline of a request may fall between COMMIT and its news."""
    leases = Leases(database, clock)
    for steps in range(12):
        taking = asyncio.create_task(taken(leases))
        for _ in range(steps):
            await asyncio.sleep(0)
        # Whatever thread or socket carries the commit may be done by now, or not.
        await asyncio.sleep(0.001 * steps)
        taking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leases.free(await taking)
        assert await leased_until(database) is None, steps
