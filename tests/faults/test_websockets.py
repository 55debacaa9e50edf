"""Sockets that stay open."""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from contextlib import AsyncExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from tests.e2e.storm import World
from tests.faults.ledger import record
from tests.faults.scale import WEBSOCKET_SECONDS, WEBSOCKETS
from tests.faults.visitor import Traffic, Visitor

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.xdist_group("faults-websockets"),
    pytest.mark.timeout(WEBSOCKET_SECONDS + 420),
]

LARGE = 16 * 1024 * 1024
ENDED = 15.0
"""Long before pings would find it out."""
PER_ADDRESS = 50
"""An edge lets one address have 64 streams of a machine at once."""


async def test_sockets_are_not_cut_and_carry_what_they_are_given(visitor: Visitor):
    took: list[float] = []

    async def talk(number: int) -> None:
        socket, messages = sockets[number], 0
        until = time.monotonic() + WEBSOCKET_SECONDS
        while time.monotonic() < until:
            text = f"{number} {messages} {secrets.token_hex(8)}"
            began = time.monotonic()
            await socket.send(text)
            assert await asyncio.wait_for(socket.recv(), 60) == text
            took.append(time.monotonic() - began)
            messages += 1
            if messages % 10 == 0:
                # the service's library answers, end to end
                await asyncio.wait_for(await socket.ping(), 60)
            await asyncio.sleep(1)

    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(
                await visitor.websocket("/echo", local_addr=(f"127.0.0.{1 + number // PER_ADDRESS}", 0))
            )
            for number in range(WEBSOCKETS)
        ]
        await asyncio.gather(*(talk(number) for number in range(WEBSOCKETS)))
    p99 = statistics.quantiles(took, n=100)[-1] * 1000
    record(
        f"{WEBSOCKETS} WebSockets for {WEBSOCKET_SECONDS:.0f} s",
        loss=f"none cut, {len(took)} messages whole, p99 {p99:.0f} ms",
    )


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_large_messages_arrive_whole(visitor: Visitor, compression: str | None):
    message = secrets.token_bytes(LARGE)
    async with await visitor.websocket("/echo", compression=compression) as socket:
        await socket.send(message)
        assert await asyncio.wait_for(socket.recv(), 120) == message


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4001])
async def test_close_codes_and_reasons_pass_both_ways(visitor: Visitor, code: int):
    async with await visitor.websocket("/echo") as socket:
        await socket.send(f"close {code} said by the service")
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 60)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "said by the service")
    name = secrets.token_hex(8)
    async with await visitor.websocket(f"/echo?id={name}") as socket:
        await socket.close(code, "said by the visitor")
    assert (await visitor.journal(name))["end"] == f"closed {code}"


@pytest.mark.parametrize("part", ["relay", "agent", "demo"])
async def test_a_socket_whose_road_died_ends_and_does_not_hang(world: World, visitor: Visitor, part: str):
    socket = await visitor.websocket("/echo")
    await socket.send("here")
    assert await asyncio.wait_for(socket.recv(), 60) == "here"
    cut = time.monotonic()
    await asyncio.to_thread(world.installation.cut, part)  # type: ignore[arg-type]
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 60)
    ended = time.monotonic() - cut
    record(f"kill -9 of {part} under a WebSocket: it ends", recovered=ended, within=ENDED)
    assert ended < ENDED
    await world.restart(part)  # type: ignore[arg-type]
    async with Traffic(visitor) as traffic:
        await traffic.flows("again", since=time.monotonic(), within=35)
