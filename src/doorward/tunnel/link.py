"""One tunnel's connection on asyncio: moves bytes between a transport and an `Endpoint`, and events to streams.

Both shells build on it: `EdgeLink` and `ConnectorLink` add the handshake and what a new stream means.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, cast

from doorward.http1 import Data, Headers
from doorward.http1.receive_buffers import ReceiveBuffers
from doorward.tunnel import endpoint as core
from doorward.tunnel import frames, messages
from doorward.tunnel.allowances import TunnelMeter
from doorward.tunnel.endpoint import Endpoint
from doorward.tunnel.frames import ProtocolError
from doorward.tunnel.liveness import Heartbeat
from doorward.tunnel.streams import Stream

_WRITE_BUFFER_BYTES = 256 * 1024
_NOT_SENT_BYTES = 128 * 1024
_USER_TIMEOUT_MS = 30_000
# About a third of a millisecond's work: fewer cost more writes than the other end's head start is worth.
_BATCH_FRAMES = 16
# What is written as it is; less is joined with its neighbours, since each piece is a TLS record of its own.
_LARGE_BYTES = 16 * 1024
# A read of more is passed on as views of its buffer; less is copied, or it would keep the whole buffer.
_VIEW_BYTES = 64 * 1024


class LinkStream(Stream, eq=False, kw_only=True):
    """One stream as a shell sees it: holds back what its neighbour cannot take, in both directions."""

    link: Link
    _is_held: bool = False
    _held: int = 0

    # Bytes to the other end.

    def _send(self, data: Data) -> None:
        self.link.endpoint.send(self, data, self.link.loop.time())
        if self.queued > core.QUEUE_HIGH and not self.is_choked:
            self.is_choked = True
            self.choke()
        self.link.flush_soon()

    def _end(self, trailers: Headers) -> None:
        self.link.endpoint.end(self, trailers, self.link.loop.time())
        self.link.flush_soon()

    def _reset(self, code: int) -> None:
        self.link.endpoint.reset(self, code)
        self.link.flush_soon()

    # Bytes from the other end: credit goes back when the neighbour has room.

    def _took(self, size: int) -> None:
        if self._is_held:
            self._held += size
        else:
            self.link.endpoint.consumed(self, size, self.link.loop.time())

    def _hold(self) -> None:
        self._is_held = True

    def _let_go(self) -> None:
        self._is_held = False
        if self._held:
            size, self._held = self._held, 0
            self.link.endpoint.consumed(self, size, self.link.loop.time())
            self.link.flush_soon()


class Link(asyncio.BufferedProtocol):
    """Subclasses handle the handshake's events and `closed`."""

    def __init__(self, endpoint: Endpoint, heartbeat: Heartbeat, buffers: ReceiveBuffers) -> None:
        self.endpoint = endpoint
        self._buffers = buffers
        self._buffer: memoryview | None = None
        self.loop = asyncio.get_running_loop()
        self._heartbeat = heartbeat
        self._transport: asyncio.Transport | None = None
        #: What went over the wire, frames included.
        self.bytes_received = self.bytes_sent = 0
        self._is_paused = False
        self._meter: TunnelMeter | None = None
        self._is_throttled = False
        self._is_flush_due = False
        self._is_over = False
        self._poll_handle: asyncio.TimerHandle | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            core.Opened: self._opened,
            core.Ended: self._ended,
            core.StreamReset: self._stream_reset,
        }

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._is_over

    def closed(self, reason: str) -> None:
        """The link is over; every stream was told. Called once."""

    # The loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        tune(self._transport.get_extra_info("socket"))
        self._schedule_poll()

    def get_buffer(self, sizehint: int) -> memoryview:
        self._buffer = buffer = self._buffers.take()
        return buffer

    def buffer_updated(self, nbytes: int) -> None:
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            data = buffer[:nbytes]
            self.data_received(data if nbytes > _VIEW_BYTES else bytes(data))

    def data_received(self, data: bytes | memoryview) -> None:
        self.bytes_received += len(data)
        reply: core.Replied | None = None
        try:
            for event in self.endpoint.receive_data(data, self.loop.time()):
                if reply is not None:
                    # Most answers are short: their head and their whole body came together, and go on together.
                    head, stream, reply = reply.head, reply.stream, None
                    if isinstance(event, core.DataReceived) and event.is_end and event.stream is stream:
                        stream.answered(head, event.data)
                        continue
                    stream.replied(head, False)
                if isinstance(event, core.DataReceived):
                    event.stream.received(event.data, event.is_end)
                elif isinstance(event, core.Replied):
                    if event.is_end:
                        event.stream.replied(event.head, True)
                    else:
                        reply = event
                elif not self._is_over:
                    self._handlers[type(event)](event)
            if reply is not None:
                reply.stream.replied(reply.head, False)
        except ProtocolError as error:
            self.go_away("protocol_error", str(error))
            return
        if self.endpoint.has_output:
            self.flush_soon()
        if self._meter is not None:
            self._limit_reading(self._meter, len(data))

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self.flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish("connection_lost")

    # Sending.

    def flush_soon(self) -> None:
        """What the loop's present turn produces leaves in one write, one TLS record and one system call.

        Of a turn with much to do some leaves earlier, so that the other end has begun by the time we are done.
        """
        if self._is_flush_due:
            if self.endpoint.frames_waiting >= _BATCH_FRAMES:
                self._send()
        elif not (self._is_paused or self._is_throttled):
            self._is_flush_due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        self._send()
        if self.endpoint.unchoked and not self._is_over:
            streams, self.endpoint.unchoked = self.endpoint.unchoked, []
            for stream in streams:
                stream.unchoke()

    def _send(self) -> None:
        transport, endpoint = self._transport, self.endpoint
        if transport is None or transport.is_closing():
            return
        while not (self._is_paused or self._is_throttled):
            out = endpoint.data_to_send(self.loop.time())
            if not out:
                break
            _write(transport, out)
            size = sum(map(len, out))
            self.bytes_sent += size
            if self._meter is not None:
                self._limit_writing(self._meter, size)

    def go_away(self, reason: str, message: str = "", *, spread_ms: int = 0, is_final: bool = False) -> None:
        """Say why, then close."""
        notice = messages.GoAwayMessage(reason, message, spread_ms, is_final)
        if self._transport is not None and not self._transport.is_closing():
            self.endpoint.notify(frames.GOAWAY, messages.encode(notice))
            _write(self._transport, self.endpoint.data_to_send(self.loop.time(), 0))
            self._transport.close()
        self._finish(reason)

    def abort(self, reason: str) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._finish(reason)

    # Bandwidth: once a read and once a write, never a frame. The other end feels it as back-pressure.

    def _limit_reading(self, meter: TunnelMeter, size: int) -> None:
        delay = meter.moved(size, self.loop.time())
        if delay > 0 and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self.loop.call_later(delay, self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _limit_writing(self, meter: TunnelMeter, size: int) -> None:
        delay = meter.moved(size, self.loop.time())
        if delay > 0:
            self._is_throttled = True
            self.loop.call_later(delay, self._write_on)

    def _write_on(self) -> None:
        self._is_throttled = False
        self.flush_soon()

    # Events.

    def _opened(self, event: core.Opened) -> None:
        event.stream.opened()

    def _ended(self, event: core.Ended) -> None:
        event.stream.ended(event.trailers)

    def _stream_reset(self, event: core.StreamReset) -> None:
        event.stream.was_reset(event.code)

    # Inside.

    def _schedule_poll(self) -> None:
        self._poll_handle = self.loop.call_later(min(1.0, self._heartbeat.interval / 4), self._poll)

    def _poll(self) -> None:
        if self.endpoint.poll(self.loop.time(), time.time()):
            if self.endpoint.has_output:
                self.flush_soon()
            self._schedule_poll()
        else:
            self.abort("peer_silent")

    def _finish(self, reason: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._poll_handle is not None:
            self._poll_handle.cancel()
        streams = list(self.endpoint.streams.values())
        self.endpoint.streams.clear()
        for stream in streams:
            stream.lost()
        self.closed(reason)


def _write(transport: asyncio.WriteTransport, pieces: list[Data]) -> None:
    """Small pieces together, large ones as they are: not a byte of bulk is copied on its way to the cipher."""
    out: list[Data] = []
    small: list[Data] = []
    for piece in pieces:
        if len(piece) < _LARGE_BYTES:
            small.append(piece)
            continue
        if small:
            out.append(small[0] if len(small) == 1 else b"".join(small))
            small = []
        out.append(piece)
    if small:
        out.append(small[0] if len(small) == 1 else b"".join(small))
    if len(out) == 1:
        transport.write(out[0])
    else:
        transport.writelines(out)


def tune(sock: Any) -> None:
    """Small frames leave at once and are not queued behind megabytes in the kernel; a dead path is noticed."""
    for level, option, value in (
        (socket.IPPROTO_TCP, getattr(socket, "TCP_NODELAY", None), 1),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", None), _NOT_SENT_BYTES),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", None), _USER_TIMEOUT_MS),
    ):
        if sock is not None and option is not None:
            # Not a TCP socket (a unix one behind a front), or a kernel without the option.
            with contextlib.suppress(OSError):
                sock.setsockopt(level, option, value)
