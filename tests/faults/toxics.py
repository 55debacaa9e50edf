"""A road with faults: a TCP proxy that is late, narrow, silent or broken, as told, while bytes flow.

After Shopify's Toxiproxy: latency, bandwidth, timeout (`stall`), reset, slicer, limit_data.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct

_READ_BYTES = 64 * 1024
_SOCKET_BYTES = 128 * 1024
"""Small kernel buffers, so that what is on the road is on this road and not in the kernel."""
_HARD_CLOSE = struct.pack("ii", 1, 0)


class ToxicProxy:
    """Listens on `port` of loopback; `leads_to` is the port behind. Healthy until told otherwise; faults take
    effect at once, in connections that are open too."""

    def __init__(self) -> None:
        self.port = 0
        self.leads_to = 0
        self.latency = 0.0
        """Seconds each way."""
        self.jitter = 0.0
        self.bandwidth: float | None = None
        """Bytes a second, each way, for all connections together."""
        self.slices: int | None = None
        """At most so many bytes at a time, each a write of its own."""
        self.limit: int | None = None
        """A connection is reset after so many bytes."""
        self.heard: bytearray | None = None
        """What the side that dialled has sent since this was set to an empty one."""
        self.opened = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._wires: set[_Wire] = set()
        self._free_at = 0.0
        self._news = asyncio.Condition()

    async def start(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BYTES)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._accepted, sock=listener, limit=_READ_BYTES)

    async def close(self) -> None:
        self._server.close()
        self.reset()
        await asyncio.gather(*(wire.over for wire in self._wires), return_exceptions=True)

    async def is_opened(self, *, more_than: int, within: float) -> None:
        """Wait until more connections than that were ever opened."""
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(lambda: self.opened > more_than)

    def stall(self) -> None:
        """Nothing moves, in either direction; nobody is told."""
        self._flowing.clear()

    def heal(self) -> None:
        self.latency = self.jitter = 0.0
        self.bandwidth = self.slices = self.limit = None
        self._flowing.set()

    def reset(self) -> None:
        """Break every open connection (RST)."""
        for wire in list(self._wires):
            wire.reset()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._news:
            self.opened += 1
            self._news.notify_all()
        try:
            far = socket.socket()
            far.setblocking(False)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BYTES)
            await asyncio.get_running_loop().sock_connect(far, ("127.0.0.1", self.leads_to))
            far_reader, far_writer = await asyncio.open_connection(sock=far, limit=_READ_BYTES)
        except OSError:
            far.close()
            writer.transport.abort()
            return
        wire = _Wire(writer, far_writer)
        self._wires.add(wire)
        flows = [
            asyncio.ensure_future(self._carry(wire, reader, far_writer, is_request=True)),
            asyncio.ensure_future(self._carry(wire, far_reader, writer, is_request=False)),
        ]
        wire.over = asyncio.ensure_future(asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED))
        try:
            await wire.over
        finally:
            self._wires.discard(wire)
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)
            for end in (writer, far_writer):
                end.close()

    async def _carry(
        self, wire: _Wire, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_request: bool
    ) -> None:
        """Until the source ends. What it sent before is delivered first, as late as the rest."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def read() -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(_READ_BYTES):
                    if is_request and self.heard is not None:
                        self.heard += data
                    delay = self.latency + random.uniform(0, self.jitter)
                    under_way.put_nowait((loop.time() + delay, data))
                    while under_way.qsize() > (4 if self.bandwidth else 1024):  # noqa: ASYNC110 - a narrow road holds little
                        await asyncio.sleep(0.002)
            under_way.put_nowait((loop.time() + self.latency, b""))

        reading = asyncio.ensure_future(read())
        try:
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not data:
                    return
                await self._send(wire, sink, data)
        except OSError:
            return
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _send(self, wire: _Wire, sink: asyncio.StreamWriter, data: bytes) -> None:
        step = self.slices or (8_192 if self.bandwidth else len(data))
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            await self._flowing.wait()
            if self.bandwidth:
                await self._turn(len(piece) / self.bandwidth)
            sink.write(piece)
            await sink.drain()
            if self.slices:
                await asyncio.sleep(0)
            wire.carried += len(piece)
            if self.limit is not None and wire.carried >= self.limit:
                wire.reset()
                return

    async def _turn(self, seconds: float) -> None:
        """Wait for this piece's place on the road."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(now, self._free_at) + seconds
        await asyncio.sleep(self._free_at - now)


class _Wire:
    """One connection of the road: its two ends."""

    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self.carried = 0
        self.over: asyncio.Future[object]
        self._ends = ends

    def reset(self) -> None:
        for end in self._ends:
            found = end.get_extra_info("socket")
            if found is not None and not end.is_closing():
                with contextlib.suppress(OSError):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HARD_CLOSE)
            end.transport.abort()
