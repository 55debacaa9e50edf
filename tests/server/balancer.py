"""A load balancer that a test steers: which node a connection reaches is decided by the `Host` it starts with."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Balancer:
    """`nodes[host]` is a port, `default` where a host is not listed; 0 refuses the connection."""

    def __init__(self) -> None:
        self.port = 0
        self.default = 0
        self.nodes: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            host = head.partition(b"\r\nHost: ")[2].partition(b"\r\n")[0].decode().partition(":")[0]
            if port := self.nodes.get(host, self.default):
                there_reader, there = await asyncio.open_connection("127.0.0.1", port)
                there.write(head)
                await asyncio.gather(_pump(reader, there), _pump(there_reader, writer))
        writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


@contextlib.asynccontextmanager
async def balancer() -> AsyncIterator[Balancer]:
    made = Balancer()
    server = await asyncio.start_server(made._connected, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(made._tasks):
            task.cancel()
