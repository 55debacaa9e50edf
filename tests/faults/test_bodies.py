"""Large bodies, visitors that leave in the middle of one, and visitors that do not read."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.e2e.storm import World
from tests.faults.ledger import record
from tests.faults.scale import BODY_BYTES
from tests.faults.visitor import Traffic, Visitor
from tests.faults.worlds import resident_bytes

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.xdist_group("faults-bodies"),
    pytest.mark.timeout(0 if BODY_BYTES > 300_000_000 else 480),
]

MEGABYTE = 1_000_000
BLOCK = secrets.token_bytes(MEGABYTE)
GROWTH = 100 * MEGABYTE
"""What one process may hold of bodies: windows of 64 MiB a tunnel, and what the allocator keeps."""
NOTICED = 15.0
"""Far sooner than a tunnel or a visitor is found dead."""


@asynccontextmanager
async def bounded_memory(world: World) -> AsyncIterator[dict[str, int]]:
    """Neither end of the tunnel grows by more than its windows; yields the growth seen."""
    programs = {name: world.installation.programs[name] for name in ("relay", "agent")}
    before = {name: resident_bytes(program) for name, program in programs.items()}
    growth = dict.fromkeys(programs, 0)

    async def watch() -> None:
        while True:
            for name, program in programs.items():
                growth[name] = max(growth[name], resident_bytes(program) - before[name])
            await asyncio.sleep(0.05)

    watching = asyncio.ensure_future(watch())
    try:
        yield growth
    finally:
        watching.cancel()
    assert max(growth.values()) < GROWTH, growth


def megabytes(growth: dict[str, int]) -> str:
    return ", ".join(f"{name} +{size // MEGABYTE} MB" for name, size in growth.items())


async def blocks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // MEGABYTE):
        yield BLOCK


async def test_a_large_upload_arrives_whole_and_nobody_holds_it(world: World, visitor: Visitor):
    digest = hashlib.sha256()
    for _ in range(BODY_BYTES // MEGABYTE):
        digest.update(BLOCK)
    began = time.monotonic()
    async with bounded_memory(world) as growth, visitor.client(timeout=240) as client:
        headers = {**await visitor.headers("POST", "/upload"), "content-length": str(BODY_BYTES)}
        answer = await client.post("/upload", content=blocks(BODY_BYTES), headers=headers)
    assert answer.json() == {"bytes": BODY_BYTES, "sha256": digest.hexdigest()}
    speed = BODY_BYTES / MEGABYTE / (time.monotonic() - began)
    record(f"{BODY_BYTES // MEGABYTE} MB up", loss=f"none; {speed:.0f} MB/s, memory {megabytes(growth)}")


async def test_a_large_download_arrives_whole_and_nobody_holds_it(world: World, visitor: Visitor):
    began, size = time.monotonic(), 0
    async with (
        bounded_memory(world) as growth,
        visitor.stream("GET", f"/download?bytes={BODY_BYTES}") as response,
    ):
        async for block in response.aiter_raw():
            size += len(block)
    assert size == BODY_BYTES
    speed = BODY_BYTES / MEGABYTE / (time.monotonic() - began)
    record(f"{BODY_BYTES // MEGABYTE} MB down", loss=f"none; {speed:.0f} MB/s, memory {megabytes(growth)}")


async def test_a_visitor_that_leaves_in_the_middle_is_told_to_the_service_at_once(visitor: Visitor):
    began_upload = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        sent = 0
        while True:
            yield BLOCK
            sent += MEGABYTE
            if sent > 20 * MEGABYTE:
                began_upload.set()

    async def upload() -> None:
        await visitor.request("POST", "/swallow?id=left-upload", content=endless())

    uploading = asyncio.ensure_future(upload())
    await asyncio.wait_for(began_upload.wait(), 120)
    uploading.cancel()
    left = time.monotonic()
    assert (await visitor.journal("left-upload"))["end"] == "cancelled"
    record("a visitor leaves an upload", recovered=time.monotonic() - left, within=NOTICED)
    assert time.monotonic() - left < NOTICED

    async with visitor.stream("GET", "/pour?id=left-download") as response:
        async for _ in response.aiter_raw():
            if response.num_bytes_downloaded > 20 * MEGABYTE:
                break
    left = time.monotonic()
    assert (await visitor.journal("left-download"))["end"] == "cancelled"
    record("a visitor leaves a download", recovered=time.monotonic() - left, within=NOTICED)
    assert time.monotonic() - left < NOTICED


async def test_visitors_that_do_not_read_or_wait_for_ever_cost_their_neighbours_nothing(
    world: World, visitor: Visitor
):
    async with bounded_memory(world) as growth, AsyncExitStack() as stack:
        for number in range(20):
            response = await stack.enter_async_context(visitor.stream("GET", f"/pour?id=slow-{number}"))
            assert response.status_code == 200
        waiting = [asyncio.ensure_future(visitor.request("GET", "/never")) for _ in range(20)]
        traffic = await stack.enter_async_context(Traffic(visitor))
        began = time.monotonic()
        async with visitor.stream("GET", f"/download?bytes={50 * MEGABYTE}") as response:
            size = sum([len(block) async for block in response.aiter_raw()])
        assert size == 50 * MEGABYTE
        await traffic.flows("beside them", since=began, within=60)
        assert set(traffic.count(began)) == {"ok"}, traffic.count(began)
        for one in waiting:
            assert not one.done(), one
            one.cancel()
    record("20 visitors do not read, 20 wait for an answer", loss=f"none; memory {megabytes(growth)}")
