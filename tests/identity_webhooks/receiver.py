"""A server that receives webhooks, on loopback, and answers as it is told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from doorward.server.tls import LocalAuthority, server_context

HOST = "hooks.localhost"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Received:
    """`headers` by lower-case name."""

    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Received], Awaitable[bytes]]


def answering(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Always the same answer."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Whatever\r\ncontent-length: {len(body)}\r\n{fields}\r\n"

    async def answer(_: Received) -> bytes:
        return head.encode() + body

    return answer


async def never(_: Received) -> bytes:
    """An answer that does not come."""
    await asyncio.Event().wait()
    raise AssertionError


@dataclass
class Receiver:
    """`received` holds everything; `wait_for` waits for it."""

    answer: Answer = field(default_factory=lambda: answering(204))
    received: list[Received] = field(default_factory=list)
    port: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    is_plain: bool = False

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/in" if self.is_plain else f"https://{HOST}:{self.port}/in"

    async def wait_for(self, count: int) -> list[Received]:
        async with asyncio.timeout(60), self.arrived:
            await self.arrived.wait_for(lambda: len(self.received) >= count)
        return self.received

    @contextlib.asynccontextmanager
    async def running(self, authority: LocalAuthority | None) -> AsyncIterator[Receiver]:
        """Without an authority in plain HTTP, as programs of the same machine are reached."""
        self.is_plain = authority is None
        context = None if authority is None else server_context(*authority.leaf([HOST]))
        tasks: set[asyncio.Task[None]] = set()

        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(serve, "127.0.0.1", self.port, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    received = await _request(reader)
                    async with self.arrived:
                        self.received.append(received)
                        self.arrived.notify_all()
                    writer.write(await self.answer(received))
                    await writer.drain()
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(first.split(" ")[1], headers, body)
