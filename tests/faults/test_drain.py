"""A server that is asked to end lets end what is open, and says so to what would not end by itself."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest
from websockets.exceptions import ConnectionClosed

from tests.e2e.storm import World
from tests.faults.ledger import record
from tests.faults.visitor import Traffic, Visitor

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults-processes")]

DRAINED = 60.0
"""Half a minute to let things end, and the end of the process."""
SIZE = 30_000_000


async def test_an_edge_that_is_asked_to_end_breaks_off_nothing(world: World, visitor: Visitor):
    relay = world.installation.programs["relay"]
    socket = await visitor.websocket("/echo")
    begun = asyncio.Event()

    async def download() -> int:
        size = 0
        async with visitor.stream("GET", f"/download?bytes={SIZE}") as response:
            async for block in response.aiter_raw(SIZE // 10):
                size += len(block)
                begun.set()
                await asyncio.sleep(0.3)
        return size

    downloading = asyncio.ensure_future(download())
    await asyncio.wait_for(begun.wait(), 120)
    asked = time.monotonic()
    relay.process.send_signal(signal.SIGTERM)
    # What is open goes on, in both directions.
    await socket.send("still here")
    assert await asyncio.wait_for(socket.recv(), DRAINED) == "still here"
    assert await asyncio.wait_for(downloading, DRAINED) == SIZE
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(socket.recv(), DRAINED)
    assert closed.value.rcvd is not None, "the visitor's program was not told"
    assert closed.value.rcvd.code == 1012
    status = await asyncio.to_thread(relay.finish, seconds=DRAINED)
    assert status == 0
    ended = time.monotonic() - asked
    await world.restart("relay")
    async with Traffic(visitor) as traffic:
        await traffic.flows("the next one", since=time.monotonic(), within=35)
    record("SIGTERM to relay and edge: everything open has ended", recovered=ended, within=DRAINED)
    assert ended < DRAINED
