"""The database server is killed and comes back; nobody restarts anything else."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from doorward.t3_connect.messages import ConnectAuthorized
from tests import databases
from tests.e2e.storm import World, until
from tests.faults.ledger import record
from tests.faults.postgresql import Cluster
from tests.faults.scale import DATABASE_DOWN_SECONDS
from tests.faults.visitor import Visitor, approved_visitor, steady_traffic
from tests.faults.worlds import FaultyProcesses, linked

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.postgresql,
    pytest.mark.xdist_group("faults-postgresql"),
    pytest.mark.timeout(480 + DATABASE_DOWN_SECONDS),
]

RECOVERED = 45.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # PostgreSQL runs as another user under root: it must be able to reach its own folder.
    databases.run_folder().chmod(0o711)
    running = Cluster(databases.run_folder() / f"cluster-{os.getpid()}")
    yield running
    running.kill()


@pytest.fixture(scope="module")
async def world(
    anyio_backend: str, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    installation = FaultyProcesses(tmp_path_factory.mktemp("f", numbered=True), cluster.url)
    async with linked(installation) as running:
        yield running


async def test_without_its_database_the_edge_serves_who_is_inside_and_the_rest_comes_back_by_itself(
    world: World, visitor: Visitor, cluster: Cluster
):
    refresh = await world.account.grant()
    async with steady_traffic(visitor) as traffic:
        killed = time.monotonic()
        await asyncio.to_thread(cluster.kill)
        # What needs the database says so soon, instead of hanging.
        answer = await asyncio.wait_for(world.account.refresh(refresh.refresh_token or ""), 45)
        assert answer.status >= 500, answer.status
        with pytest.raises(Exception, match=r"could not|did not answer"):
            await asyncio.wait_for(world.machine(), 45)
        await asyncio.sleep(DATABASE_DOWN_SECONDS)
        assert set(traffic.count(killed)) == {"ok"}, traffic.count(killed)
        await asyncio.to_thread(cluster.start)
        back = time.monotonic()
        await until("the relay lists again", world.machine, bool, seconds=RECOVERED)
        recovered = time.monotonic() - back
        assert (await world.account.refresh(refresh.refresh_token or "")).status == 200
        assert isinstance(await visitor.device.knock(), ConnectAuthorized)
        record(
            f"PostgreSQL killed, down for {DATABASE_DOWN_SECONDS:.0f} s",
            recovered=recovered,
            within=RECOVERED,
            loss=traffic.loss(killed),
        )


async def test_notices_arrive_again_after_the_server_was_killed(world: World, cluster: Cluster):
    """Identity and relay listen on connections of their own; what was missed meanwhile is looked up."""
    await asyncio.to_thread(cluster.kill)
    await asyncio.to_thread(cluster.start)
    await until("the relay lists again", world.machine, bool, seconds=RECOVERED)
    newcomer = await approved_visitor(world)
    asked = time.monotonic()
    await world.told("connect", "unlink")

    async def status() -> int:
        return (await newcomer.request("GET", "/visitor")).status_code

    await until(
        "the edge has heard of the unlink", status, lambda seen: seen in (404, 502), seconds=RECOVERED
    )
    record(
        "unlinked after PostgreSQL was killed: the edge hears",
        recovered=time.monotonic() - asked,
        within=RECOVERED,
    )
    await world.told("connect", "link")
    # Unlinking ended every session: who was inside asks anew.
    await until("the relay lists the machine", world.linked_machines, lambda machines: len(machines) == 1)
    await approved_visitor(world)
