"""A machine that proves itself and then says whatever a test puts into its mouth."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from doorward.tunnel import frames, messages, proof
from doorward.tunnel.frames import HEADER, MANDATORY, pack
from doorward.tunnel.upgrade import TUNNEL_PATH
from tests.http1.wire import Client, client
from tests.tunnel.carriers import Registry, until


class RawMachine:
    def __init__(self, wire: Client) -> None:
        self._wire = wire

    async def frame(self, kind: int) -> tuple[int, bytes]:
        """Stream and payload of the next frame of this kind; others are passed over."""
        while True:
            found, _, stream, length = HEADER.unpack(await self._wire.body(HEADER.size))
            payload = await self._wire.body(length)
            if found == kind:
                return stream, payload

    async def say(self, *wire: bytes) -> None:
        await self._wire.send(b"".join(wire))

    def die(self) -> None:
        """As a killed process does: without a word."""
        self._wire.abort()

    async def farewell(self) -> str:
        """Why the edge ended the connection."""
        _, payload = await self.frame(frames.GOAWAY)
        return msgspec.msgpack.decode(payload, type=messages.GoAwayMessage).reason

    async def is_ended(self) -> bool:
        await self._wire.rest()
        return True


@asynccontextmanager
async def raw_machine(registry: Registry) -> AsyncIterator[RawMachine]:
    async with client(registry.port) as wire:
        await wire.get(TUNNEL_PATH, headers="Connection: Upgrade\r\nUpgrade: connect-mux/1\r\n")
        assert (await wire.head())[0] == 101
        machine = RawMachine(wire)
        _, payload = await machine.frame(frames.NONCE)
        nonce = msgspec.msgpack.decode(payload, type=messages.NonceMessage)
        token = proof.sign(
            registry.token(), audience=registry.origin, nonce=nonce.nonce, now=int(time.time())
        )
        await machine.say(pack(frames.AUTH, MANDATORY, 0, token.encode()))
        await machine.frame(frames.CONFIG)
        assert registry.edge is not None
        edge = registry.edge
        await until(lambda: edge.is_connected("env-1"))
        yield machine
        await asyncio.sleep(0)
