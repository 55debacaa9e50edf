"""Who holds a tunnel, decided by the database."""

import asyncio

import msgspec
import pytest

from doorward.relay import SCHEMA, TunnelClaimed
from doorward.relay.endpoints.claims import TunnelClaims, TunnelWanted
from tests.conftest import ClockForTests, OpenTestDatabase

pytestmark = pytest.mark.anyio


async def test_an_epoch_belongs_to_one_instance_whatever_the_order_of_admissions(
    open_test_database: OpenTestDatabase, clock: ClockForTests
) -> None:
    claims = TunnelClaims(await open_test_database(SCHEMA), clock)
    instances = [f"instance-{number % 10}" for number in range(60)]
    epochs = await asyncio.gather(*(claims.claim("tunnel", instance=name) for name in instances))
    holders: dict[int, set[str]] = {}
    for instance, epoch in zip(instances, epochs, strict=True):
        holders.setdefault(epoch, set()).add(instance)
    assert all(len(names) == 1 for names in holders.values())
    assert await claims.claim("tunnel", instance="the last") == max(epochs) + 1
    assert await claims.epoch("tunnel") == max(epochs) + 1
    assert await claims.epoch("another") == 0


async def test_only_another_instance_is_told_to_the_nodes(
    open_test_database: OpenTestDatabase, clock: ClockForTests
) -> None:
    database = await open_test_database(SCHEMA)
    claims = TunnelClaims(database, clock)
    async with database.subscribe("relay.tunnel_claims") as notices, asyncio.timeout(60):
        for instance in ("one", "one", "two"):
            await claims.claim("tunnel", instance=instance)
        told = [msgspec.json.decode(await anext(notices), type=TunnelClaimed) for _ in range(2)]
    assert told == [TunnelClaimed("tunnel", 1), TunnelClaimed("tunnel", 2)]


async def test_a_wanted_tunnel_is_told_to_every_node(
    open_test_database: OpenTestDatabase, clock: ClockForTests
) -> None:
    database = await open_test_database(SCHEMA)
    async with database.subscribe("relay.tunnel_wanted") as notices, asyncio.timeout(60):
        await TunnelClaims(database, clock).want(TunnelWanted("tunnel", "app.example", "node-1"))
        assert await anext(notices) == '{"environmentId":"tunnel","hostname":"app.example","node":"node-1"}'
