"""Bad roads between the machine and the edge, and between visitors and the edge."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.e2e.storm import World
from tests.faults.ledger import record
from tests.faults.scale import STOPPED_SECONDS
from tests.faults.toxics import ToxicProxy
from tests.faults.visitor import PATIENCE, Traffic, Visitor, steady_traffic
from tests.faults.worlds import RoadProcesses, linked

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults-roads")]

RECONNECTED = 35.0


@pytest.fixture(scope="module")
async def world(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    installation = RoadProcesses(tmp_path_factory.mktemp("f", numbered=True))
    async with installation.roads(), linked(installation) as running:
        yield running


@pytest.fixture
async def tunnel(world: World, visitor: Visitor) -> AsyncIterator[ToxicProxy]:
    """The machine's road, in good order before and after the test."""
    road = world.installation.tunnel  # type: ignore[attr-defined]
    yield road
    road.heal()
    async with Traffic(visitor) as traffic:
        await traffic.flows("healed", since=time.monotonic(), within=RECONNECTED)


@pytest.mark.parametrize("round_trip", [0.05, 0.2])
async def test_a_long_road_carries_small_requests_and_large_bodies(
    tunnel: ToxicProxy, visitor: Visitor, round_trip: float
):
    tunnel.latency, tunnel.jitter = round_trip / 2, round_trip / 20
    size = 20_000_000
    async with Traffic(visitor) as traffic:
        began = time.monotonic()
        await traffic.flows("small requests", since=began, within=60)
        sent = time.monotonic()
        async with visitor.stream("GET", f"/download?bytes={size}") as response:
            received = sum([len(block) async for block in response.aiter_raw()])
        took = time.monotonic() - sent
        assert received == size
        loss = traffic.loss(began)
        assert loss.startswith("none"), loss
    record(f"{round_trip * 1000:.0f} ms round trip", loss=f"{loss}; one stream {size / took / 1e6:.0f} MB/s")


async def test_on_a_narrow_road_small_requests_pass_beside_a_large_body(tunnel: ToxicProxy, visitor: Visitor):
    tunnel.bandwidth = 1_000_000
    async with Traffic(visitor) as traffic:
        began = time.monotonic()

        async def download() -> int:
            async with visitor.stream("GET", "/download?bytes=5000000") as response:
                return sum([len(block) async for block in response.aiter_raw()])

        downloading = asyncio.ensure_future(download())
        await traffic.flows("beside it", since=began, within=60)
        assert not downloading.done(), "the road was not narrow"
        assert await downloading == 5_000_000
        beside = [seen.ended - seen.began for seen in traffic.seen if seen.began >= began]
        loss = traffic.loss(began)
        assert loss.startswith("none"), loss
    record("1 MB/s link, one bulk download", loss=f"{loss}; the slowest {max(beside):.1f} s")


async def test_what_waits_in_a_stalled_road_arrives_when_it_moves_again(tunnel: ToxicProxy, visitor: Visitor):
    async with steady_traffic(visitor, patience=PATIENCE + STOPPED_SECONDS) as traffic:
        began = time.monotonic()
        tunnel.stall()
        await asyncio.sleep(STOPPED_SECONDS)
        tunnel.heal()
        recovered = await traffic.flows("moving again", since=time.monotonic(), within=RECONNECTED)
        record(
            f"the machine's link stalls for {STOPPED_SECONDS:.0f} s",
            recovered=recovered,
            within=RECONNECTED,
            loss=traffic.loss(began),
        )


async def test_a_road_that_breaks_again_and_again_is_taken_again(tunnel: ToxicProxy, visitor: Visitor):
    async with steady_traffic(visitor) as traffic:
        began = time.monotonic()
        longest = 0.0
        for _ in range(5):
            opened = tunnel.opened
            tunnel.reset()
            broken = time.monotonic()
            await tunnel.is_opened(more_than=opened, within=RECONNECTED)
            longest = max(longest, await traffic.flows("taken again", since=broken, within=RECONNECTED))
        record(
            "the machine's connection is reset, 5 times",
            recovered=longest,
            within=RECONNECTED,
            loss=traffic.loss(began),
        )


async def test_a_road_that_dies_after_every_megabyte_ends_clearly_and_heals(
    tunnel: ToxicProxy, visitor: Visitor
):
    tunnel.limit = 1_000_000
    async with Traffic(visitor) as traffic:
        began = time.monotonic()
        for _ in range(3):
            status, received = 0, 0
            with contextlib.suppress(httpx.TransportError):
                async with visitor.stream("GET", "/download?bytes=5000000") as response:
                    status = response.status_code
                    received = sum([len(block) async for block in response.aiter_raw()])
            assert status in (0, 200, 502), status
            assert status != 200 or received < 5_000_000, "what was cut must not look complete"
        tunnel.heal()
        recovered = await traffic.flows("healed", since=time.monotonic(), within=RECONNECTED)
        record(
            "the machine's link dies after each megabyte",
            recovered=recovered,
            within=RECONNECTED,
            loss=traffic.loss(began),
        )


async def test_bytes_that_come_in_crumbs_are_the_same_bytes(
    world: World, tunnel: ToxicProxy, visitor: Visitor
):
    visitors: ToxicProxy = world.installation.visitors  # type: ignore[attr-defined]
    body = secrets.token_bytes(100_000)
    tunnel.slices = visitors.slices = 7
    try:
        answer = await visitor.request("POST", "/upload", content=body)
        assert answer.json() == {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        async with await visitor.websocket("/echo") as socket:
            await socket.send(body)
            assert await asyncio.wait_for(socket.recv(), 60) == body
    finally:
        visitors.heal()
    record("both roads carry 7 bytes at a time")


async def test_a_visitor_behind_a_bad_road_costs_the_others_nothing(world: World, visitor: Visitor):
    """The others come by the healthy road: the edge's own port."""
    visitors: ToxicProxy = world.installation.visitors  # type: ignore[attr-defined]
    neighbour = Visitor(visitor.device, visitor.service)
    neighbour.port = world.installation.edge_port
    async with Traffic(neighbour) as traffic:
        began = time.monotonic()
        visitors.bandwidth = 50_000
        downloads = [
            asyncio.ensure_future(visitor.request("GET", "/download?bytes=100000000")) for _ in range(5)
        ]
        try:
            await traffic.flows("beside them", since=began, within=60)
            await asyncio.sleep(2)
            loss = traffic.loss(began)
            assert loss.startswith("none"), loss
        finally:
            visitors.heal()
            for download in downloads:
                download.cancel()
    record("5 visitors read 10 kB/s each", loss=loss)
