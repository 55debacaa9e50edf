"""The other end, from the protocol's description and nothing of ours: a connector that says what a test wants."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.http1.wire import PATIENCE, client
from tests.tunnel.carriers import Registry, until

PATH = "/.well-known/t3-relay/connect"
CONTROL, REQUEST_BODY, RESPONSE_BODY, TEXT, BINARY = 1, 2, 3, 4, 5
END, CONTINUATION = 1, 2

Message = dict[str, Any]


def frame(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    return b"T3R1" + struct.pack(">BBHI", 1, kind, flags, stream) + payload


async def ask_for_ticket(
    port: int, secret: str, *, host: str = "app.localhost", method: str = "POST"
) -> tuple[int, Message]:
    """Status and body."""
    async with client(port) as wire:
        headers = f"Authorization: Bearer {secret}\r\nAccept: application/json\r\nContent-Length: 0\r\n"
        await wire.get(PATH, host=host, headers=headers, method=method)
        status, answer = await wire.head()
        return status, json.loads(await wire.body(int(answer["content-length"])))


class Machine:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def frame(self) -> tuple[int, int, int, bytes]:
        """Kind, flags, stream and payload of what comes next."""
        message = await asyncio.wait_for(self._socket.recv(decode=False), PATIENCE)
        assert message[:4] == b"T3R1"
        version, kind, flags, stream = struct.unpack_from(">BBHI", message, 4)
        assert version == 1
        return kind, flags, stream, message[12:]

    async def told(self, wanted: str) -> tuple[int, Message]:
        """Stream and content of the next control message, which has to be of this type."""
        kind, flags, stream, payload = await self.frame()
        said = json.loads(payload) if kind == CONTROL else {}
        assert (kind, flags, said.get("type")) == (CONTROL, END, wanted)
        return stream, said

    async def say(self, stream: int, kind: str, **content: Any) -> None:
        await self.send(frame(CONTROL, stream, json.dumps({"type": kind, **content}).encode(), END))

    async def send(self, *messages: bytes | str) -> None:
        for message in messages:
            await self._socket.send(message)

    async def answer(self, stream: int, body: bytes = b"", *, status: int = 200, **headers: str) -> None:
        """A whole response, within the first window."""
        named = [[name.replace("_", "-"), value] for name, value in headers.items()]
        await self.say(stream, "http_response_start", status=status, headers=named)
        if body:
            await self.send(frame(RESPONSE_BODY, stream, body))
        await self.say(stream, "http_response_end")

    async def closed(self) -> int:
        """The code with which the edge ended the connection."""
        try:
            while True:
                await asyncio.wait_for(self._socket.recv(), PATIENCE)
        except ConnectionClosed as end:
            assert end.rcvd is not None
            return end.rcvd.code


@asynccontextmanager
async def dialled(registry: Registry, ticket: str, *, host: str = "app.localhost") -> AsyncIterator[Machine]:
    """Connected with this ticket, and told that it may begin."""
    uri = f"ws://{host}:{registry.port}{PATH}?ticket={ticket}"
    async with connect(
        uri, host="127.0.0.1", port=registry.port, proxy=None, compression=None, open_timeout=PATIENCE
    ) as socket:
        machine = Machine(socket)
        stream, said = await machine.told("connector_ready")
        assert (stream, said["protocolVersion"]) == (0, 1)
        yield machine


@asynccontextmanager
async def machine(registry: Registry) -> AsyncIterator[Machine]:
    """Both requests of a connector."""
    status, answer = await ask_for_ticket(registry.port, registry.token().encode())
    assert status == 201
    async with dialled(registry, answer["ticket"]) as connected:
        edge = registry.edge
        assert edge is not None
        await until(lambda: edge.is_connected("env-1"))
        yield connected
