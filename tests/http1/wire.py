"""Raw HTTP on sockets: an origin made of one function, and a client that says exactly what it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


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
            await asyncio.wait(list(tasks), timeout=2)


def answers(*responses: bytes) -> Handler:
    """An origin that gives these responses, one for each request without a body, on every connection."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for response in responses:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(response)
            await writer.drain()
        await reader.read()

    return handler


class Client:
    """One connection to a front."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        block = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1")
        status, *lines = block.rstrip().split("\r\n")
        return int(status.split()[1]), dict(line.split(": ", 1) for line in lines)

    async def body(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), 20)

    async def rest(self) -> bytes:
        """Everything until the connection ends."""
        try:
            return await asyncio.wait_for(self.reader.read(-1), 20)
        except ConnectionError:
            return b""

    async def chunks(self) -> bytes:
        """A chunked body; IncompleteReadError when it does not end properly."""
        body = b""
        while True:
            size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 10), 16)
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
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
