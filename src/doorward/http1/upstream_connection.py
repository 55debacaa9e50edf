"""One connection to an origin: the answering end of one exchange at a time, kept alive between them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from math import inf
from typing import Any, Protocol, cast

from doorward.http1 import errors, serialising
from doorward.http1.bodies import BodyError, BodyReader, ChunkedReader, LengthReader, UntilCloseReader
from doorward.http1.connect_proxy import ProxyRefused, connect_through
from doorward.http1.deadlines import Expiring
from doorward.http1.exchange import Data, Failure, Inbound, TcpUpstream, UnixUpstream
from doorward.http1.heads import LENGTH_UNKNOWN, Headers, RequestHead
from doorward.http1.limits import Limits
from doorward.http1.parsing import ResponseHeads
from doorward.http1.receive_buffers import ReceiveBuffers
from doorward.http1.turn_writer import Turn, TurnWriter

# A read of more is passed on as a view of its buffer; less is copied, or it would keep the whole buffer.
_VIEW_BYTES = 64 * 1024


class Keeper(Protocol):
    """What the connections of one pool share, and who has them while they are idle."""

    loop: asyncio.AbstractEventLoop
    limits: Limits
    expiring: set[Expiring]
    buffers: ReceiveBuffers
    turn: Turn
    heads: ResponseHeads

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...
    def release(self, connection: UpstreamConnection) -> None:
        """The exchange is over and the connection is clean."""


class UpstreamConnection(asyncio.BufferedProtocol):
    """`start` begins an exchange; the pool gets the connection back when both directions ended cleanly."""

    __slots__ = (
        "_buffer",
        "_connecting",
        "_early",
        "_early_bytes",
        "_head",
        "_inbound",
        "_is_answered",
        "_is_chunked",
        "_is_raw",
        "_is_reading_paused",
        "_is_request_done",
        "_is_sending_paused",
        "_keep_alive",
        "_may_repeat",
        "_pool",
        "_reader",
        "_received",
        "_transport",
        "_writer",
        "address",
        "deadline",
        "idle_since",
    )

    def __init__(self, pool: Keeper, address: TcpUpstream | UnixUpstream) -> None:
        self.address = address
        self.deadline = inf
        self.idle_since = 0.0
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._inbound: Inbound | None = None
        self._received: memoryview | None = None
        self._reader: BodyReader | None = None
        self._is_raw = False
        self._is_sending_paused = False
        self._is_reading_paused = False

    # The pool's side.

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def start(self, head: RequestHead, inbound: Inbound, *, may_repeat: bool) -> None:
        self._head = head
        self._inbound = inbound
        self._may_repeat = may_repeat
        self._buffer = b""
        self._reader = None
        self._early: list[Data] = []
        self._early_bytes = 0
        self._is_raw = False
        self._is_answered = False
        self._keep_alive = False
        self._is_chunked = head.length == LENGTH_UNKNOWN
        self._is_request_done = head.length == 0 and not head.upgrade
        self._pool.expiring.add(self)
        block = serialising.request_head(head)
        if self._transport is not None:
            self._writer.write(block)
            if self._is_request_done:
                self.deadline = self._pool.loop.time() + self._pool.limits.response_seconds
        else:
            # A new connection that fails has not been anybody's stale one: nothing to repeat.
            self._may_repeat = False
            self._connect(block)

    def discard(self) -> None:
        self._pool.expiring.discard(self)
        if self._transport is not None:
            self._transport.abort()

    def _connect(self, block: bytes) -> None:
        self._early.insert(0, block)
        self.deadline = self._pool.loop.time() + self._pool.limits.connect_seconds
        self._connecting = self._pool.spawn(self._dial())

    async def _dial(self) -> None:
        loop = self._pool.loop
        try:
            address = self.address
            if isinstance(address, UnixUpstream):
                await loop.create_unix_connection(lambda: self, address.path)
            elif address.proxy is not None:
                await loop.create_connection(
                    lambda: self,
                    sock=await connect_through(address.proxy, address.host, address.port),
                    ssl=address.tls,
                    server_hostname=address.server_name,
                )
            else:
                await loop.create_connection(
                    lambda: self,
                    address.host,
                    address.port,
                    ssl=address.tls,
                    server_hostname=address.server_name,
                )
        except (OSError, UnicodeError, ProxyRefused):
            self._connecting = None
            self._fail(errors.UNREACHABLE)

    # The asking end's side.

    def send_data(self, data: Data) -> None:
        transport = self._transport
        if transport is None:
            self._early.extend(serialising.chunk(data) if self._is_chunked else (data,))
            self._early_bytes += len(data)
            if self._inbound is not None and self._early_bytes > self._pool.limits.write_buffer_bytes:
                self._is_sending_paused = True
                self._inbound.pause_sending()
        elif self._is_chunked:
            self._writer.writelines(serialising.chunk(data))
        else:
            self._writer.write(data)

    def send_end(self, trailers: Headers) -> None:
        if self._is_raw:
            self._inbound = None
            self._pool.expiring.discard(self)
            if self._transport is not None:
                self._writer.close()
            return
        if self._is_request_done:
            return
        self._is_request_done = True
        if self._is_chunked:
            last = serialising.last_chunk(trailers)
            if self._transport is None:
                self._early.append(last)
            else:
                self._writer.write(last)
        self._await_response()

    def abort(self) -> None:
        self._inbound = None
        self._pool.expiring.discard(self)
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()

    def pause_receiving(self) -> None:
        if not self._is_reading_paused:
            self._is_reading_paused = True
            if self.is_usable:
                cast("asyncio.Transport", self._transport).pause_reading()

    def resume_receiving(self) -> None:
        if self._is_reading_paused:
            self._is_reading_paused = False
            if self.is_usable:
                cast("asyncio.Transport", self._transport).resume_reading()

    # The loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._writer = TurnWriter(self._pool.turn, self._transport)
        self._connecting = None
        if self._inbound is None:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=self._pool.limits.write_buffer_bytes)
        self.deadline = inf
        self._transport.writelines(self._early)
        self._early = []
        self._await_response()
        if self._is_reading_paused:
            self._transport.pause_reading()
        if (
            self._is_sending_paused
            and self._transport.get_write_buffer_size() <= self._pool.limits.write_buffer_bytes
        ):
            self.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:
        self._received = buffer = self._pool.buffers.take()
        return buffer

    def buffer_updated(self, nbytes: int) -> None:
        buffer, self._received = self._received, None
        if buffer is None:
            return
        data, inbound, reader = buffer[:nbytes], self._inbound, self._reader
        if inbound is None:
            # An origin that speaks unasked, on an idle connection or after its answer, cannot be trusted with another.
            self.discard()
        elif self._is_raw:
            inbound.on_data(data if nbytes > _VIEW_BYTES else bytes(data))
        elif reader is not None:
            is_bulk = nbytes > _VIEW_BYTES and isinstance(reader, LengthReader)
            self._body(reader, data if is_bulk else bytes(data))
        else:
            self._heads(self._buffer + bytes(data))

    def pause_writing(self) -> None:
        self._is_sending_paused = True
        if self._inbound is not None:
            self._inbound.pause_sending()

    def resume_writing(self) -> None:
        self._is_sending_paused = False
        if self._inbound is not None:
            self._inbound.resume_sending()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        inbound = self._inbound
        if inbound is None:
            self._pool.expiring.discard(self)
        elif self._may_repeat and not self._is_answered and not self._buffer:
            # The origin closed an idle connection while our request was on its way.
            self._may_repeat = False
            self._connect(serialising.request_head(self._head))
        elif exc is None and (self._is_raw or isinstance(self._reader, UntilCloseReader)):
            self._inbound = None
            self._pool.expiring.discard(self)
            inbound.on_end([])
        else:
            self._fail(errors.CLOSED_EARLY)

    def expire(self) -> None:
        self._fail(errors.CONNECT_TIMEOUT if self._transport is None else errors.RESPONSE_TIMEOUT)

    # Inside.

    def _await_response(self) -> None:
        if self._is_request_done and not self._is_answered:
            self.deadline = self._pool.loop.time() + self._pool.limits.response_seconds

    def _heads(self, data: bytes) -> None:
        """Every head in `data`: interim ones are passed on, the real one starts the body."""
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > self._pool.limits.head_bytes or b"\n\n" in data:
                    self._fail(errors.BROKEN_RESPONSE)
                else:
                    self._buffer = data
                return
            inbound = self._inbound
            if inbound is None:
                return
            block, data = data[: end + 4], data[end + 4 :]
            try:
                parsed = self._pool.heads.parse(
                    block, method=self._head.method, wanted_upgrade=self._head.upgrade != b""
                )
            except errors.BadResponse:
                self._fail(errors.BROKEN_RESPONSE)
                return
            head = parsed.head
            if head.status >= 200 or not head.is_interim:
                break
            inbound.on_interim(head)
        self._buffer = b""
        self._is_answered = True
        self.deadline = inf
        self._keep_alive = parsed.keep_alive
        if data and head.length == len(data):
            self._leave(b"")
            inbound.on_whole(head, data)
            return
        if head.upgrade:
            self._is_raw = True
            self._is_chunked = False
            inbound.on_response(head)
            if data and self._inbound is not None:
                inbound.on_data(data)
            return
        if head.length == 0:
            inbound.on_response(head)
            self._complete([], data)
            return
        if head.length == LENGTH_UNKNOWN:
            self._reader = ChunkedReader() if parsed.is_chunked else UntilCloseReader()
        else:
            self._reader = LengthReader(head.length)
        inbound.on_response(head)
        if data:
            self._body(self._reader, data)

    def _body(self, reader: BodyReader, data: bytes | memoryview) -> None:
        try:
            # Only a body of known length can be cut without looking into it.
            piece = reader.feed(data) if isinstance(reader, LengthReader) else reader.feed(bytes(data))
        except BodyError:
            self._fail(errors.BROKEN_RESPONSE)
            return
        for part in piece.data:
            inbound = self._inbound
            if inbound is None:
                return
            inbound.on_data(part)
        if piece.is_end:
            self._complete(reader.trailers, piece.rest)

    def _complete(self, trailers: Headers, rest: bytes | memoryview) -> None:
        inbound = self._inbound
        if inbound is not None:
            self._leave(rest)
            inbound.on_end(trailers)

    def _leave(self, rest: bytes | memoryview) -> None:
        """The answer is over: nothing more is said to its asking end from here. `rest` came behind it."""
        self._inbound = None
        self._reader = None
        self._pool.expiring.discard(self)
        if self._is_reading_paused:
            self.resume_receiving()
        transport = self._transport
        if transport is None:
            return
        if (
            self._keep_alive
            and self._is_request_done
            and not rest
            and not self._is_sending_paused
            and not transport.is_closing()
        ):
            self._pool.release(self)
        else:
            transport.abort()

    def _fail(self, failure: Failure) -> None:
        inbound = self._inbound
        self.abort()
        if inbound is not None:
            inbound.on_failure(failure)
