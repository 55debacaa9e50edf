"""Raw HTTP on sockets: an origin made of one function, and a client that says exactly what it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PATIENCE = 60.0
"""Seconds until what was expected is missing: only a failure ever waits for them, and a loaded machine needs a few."""


class Origin:
    """Counts its connections; `gone` is set when a client goes away while the handler waits for it."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.gone = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    def kill(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def origin(handler: Handler) -> AsyncIterator[Origin]:
    state = Origin()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        state._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            state.gone.set()
        except asyncio.CancelledError:
            pass
        finally:
            tasks.discard(task)
            state._writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks), timeout=PATIENCE)


def answers(*responses: bytes) -> Handler:
    """An origin that gives these responses, one for each request without a body, on every connection."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for response in responses:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(response)
            await writer.drain()
        await reader.read()

    return handler


class _Arrived(asyncio.StreamReader):
    """What arrived before a reset is there to be read; the library's own reader forgets it for the error."""

    def set_exception(self, exc: BaseException) -> None:
        self.feed_eof()


class Client:
    """One connection to a front."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        block = head.decode("latin-1")
        status, *lines = block.rstrip().split("\r\n")
        return int(status.split()[1]), dict(line.split(": ", 1) for line in lines)

    async def body(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), PATIENCE)

    async def rest(self) -> bytes:
        """Everything until the connection ends, in order or not."""
        return await asyncio.wait_for(self.reader.read(-1), PATIENCE)

    async def chunks(self) -> bytes:
        """A chunked body; IncompleteReadError when it does not end properly."""
        body = b""
        while True:
            size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), PATIENCE), 16)
            data = await self.body(size + 2)
            if not size:
                return body
            body += data[:-2]

    async def get(
        self, path: str = "/", *, headers: str = "", host: str = "app.localhost", method: str = "GET"
    ) -> None:
        await self.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode())

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def client(port: int, *, limit: int = 2**16) -> AsyncIterator[Client]:
    loop = asyncio.get_running_loop()
    reader = _Arrived(limit=limit)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.create_connection(lambda: protocol, "127.0.0.1", port)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
