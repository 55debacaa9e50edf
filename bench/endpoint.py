"""What a server process spends on a request, the kernel's work for it included, whoever asks it."""

from __future__ import annotations

import asyncio
import contextlib
import statistics

import uvloop

from bench.rows import cpu_seconds

CONNECTIONS = 16

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Endpoint:
    """One request that is asked again and again of the process `pid`, which listens at `port`."""

    def __init__(self, pid: int, port: int, request: bytes, status: int) -> None:
        self._pid, self._port, self._request = pid, port, request
        self._status = str(status).encode()

    def per_cpu_second(self, requests: int) -> float:
        """Requests per second of the server's own CPU, all its threads, in one round on `CONNECTIONS` connections."""
        before = cpu_seconds(self._pid)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._round(requests // CONNECTIONS))
        return requests // CONNECTIONS * CONNECTIONS / (cpu_seconds(self._pid) - before)

    async def _round(self, times: int) -> None:
        await asyncio.gather(*(self._ask(times) for _ in range(CONNECTIONS)))

    async def _ask(self, times: int) -> None:
        """On one connection as long as the server keeps it, which one that speaks HTTP/1.0 does not."""
        connection: Connection | None = None
        with contextlib.ExitStack() as stack:
            for _ in range(times):
                if connection is None:
                    connection = await asyncio.open_connection("127.0.0.1", self._port)
                    stack.callback(connection[1].close)
                if not await self._ask_once(*connection):
                    stack.close()
                    connection = None

    async def _ask_once(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays open."""
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        version, status = head.split(b" ", 2)[:2]
        if status != self._status:
            raise RuntimeError(f"unexpected answer: {head[:200]!r}")
        lines = head.decode("latin-1").lower().split("\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), None)
        await (reader.read() if length is None else reader.readexactly(length))
        return version == b"HTTP/1.1" and "connection: close" not in lines


def better_half(rates: list[float]) -> float:
    """The median of the better half of several rounds: what is lost to the machine's other work counts for nothing."""
    return statistics.median(sorted(rates)[len(rates) // 2 :])
