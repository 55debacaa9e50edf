"""One client's connection: the asking end of one exchange after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import cast

from doorward.http1 import errors, serialising
from doorward.http1.answers import problem, reason_phrase
from doorward.http1.bodies import BodyError, BodyReader, ChunkedReader, LengthReader
from doorward.http1.exchange import Answer, Data, Decision, Failure, Forward, Outbound, Takeover
from doorward.http1.heads import LENGTH_UNKNOWN, NO_BODY_STATUSES, Headers, RequestHead, ResponseHead
from doorward.http1.listener import ListenerState
from doorward.http1.turn_writer import TurnWriter

_PIPELINED_BYTES = 64 * 1024
_LINGER_SECONDS = 5.0
_JOIN_BYTES = 8 * 1024


class ServerConnection(asyncio.Protocol):
    """Requests are taken strictly one at a time: pipelined bytes wait until the answer before them is out.

    We never shut down one direction alone (`write_eof`): uvloop aborts the process on half-closed sockets.
    """

    __slots__ = (
        "_buffer",
        "_head",
        "_is_chunked",
        "_is_head_timed",
        "_is_http11",
        "_is_raw",
        "_is_reading_paused",
        "_is_replayed",
        "_is_response_done",
        "_is_response_started",
        "_is_writing_paused",
        "_keep_alive",
        "_loop",
        "_outbound",
        "_peer",
        "_reader",
        "_response_left",
        "_rewrite",
        "_rewrite_failure",
        "_routing",
        "_state",
        "_transport",
        "_writer",
        "deadline",
        "tag",
    )

    def __init__(self, state: ListenerState) -> None:
        self._state = state
        self._loop = state.engine.loop
        self._buffer = b""
        self._head: RequestHead | None = None
        self._reader: BodyReader | None = None
        self._outbound: Outbound | None = None
        self._routing: asyncio.Task[None] | None = None
        self._rewrite: Callable[[ResponseHead], ResponseHead] | None = None
        self._rewrite_failure: Callable[[Failure], Failure] | None = None
        self.tag = ""
        self._keep_alive = True
        self._is_http11 = True
        self._is_raw = False
        self._is_chunked = False
        self._is_response_started = False
        self._is_response_done = False
        self._is_reading_paused = False
        self._is_replayed = False
        self._is_head_timed = True
        self._is_writing_paused = False
        self._response_left = 0
        self.deadline = inf

    # The loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._state.engine.limits.write_buffer_bytes)
        self._writer = TurnWriter(self._state.engine.turn, self._transport)
        self._peer = self._state.peer_of(self._transport)
        self.deadline = self._loop.time() + self._state.engine.limits.head_seconds
        if not self._state.admit(self, self._peer):
            self._refuse(
                errors.BadRequest(503, "too_many_connections", "Too many connections from your address.")
            )

    def data_received(self, data: bytes) -> None:
        if self._is_raw:
            self.deadline = self._loop.time() + self._state.engine.limits.upgrade_idle_seconds
            if self._outbound is not None:
                self._outbound.send_data(data)
        elif self._reader is not None and self._routing is None:
            self._body(self._reader, data)
        else:
            self._buffer = self._buffer + data if self._buffer else data
            if self._head is None:
                self._next_head()
            elif len(self._buffer) > _PIPELINED_BYTES:
                self._pause_reading()

    def pause_writing(self) -> None:
        self._is_writing_paused = True
        if self._outbound is not None:
            self._outbound.pause_receiving()

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        if self._outbound is not None:
            self._outbound.resume_receiving()

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.forget(self, self._peer)
        self.deadline = inf
        if self._routing is not None:
            self._routing.cancel()
            self._routing = None
        outbound, self._outbound = self._outbound, None
        self._untag()
        if outbound is not None:
            if self._is_raw and exc is None:
                outbound.send_end([])
            else:
                outbound.abort()

    def expire(self) -> None:
        """The deadline passed: of a head, a body, an idle connection, an idle upgrade or a lingering refusal."""
        self.deadline = inf
        if self._head is None and self._buffer:
            self._refuse(errors.head_timeout())
        elif self._reader is not None and self._outbound is not None and not self._is_response_started:
            self._refuse(errors.body_timeout())
        elif self._reader is not None and self._outbound is not None:
            self._transport.abort()
        else:
            self._writer.close()

    def kill(self) -> None:
        """End the exchange now, unflushed: access to it was withdrawn."""
        self._drop_outbound()
        self._transport.abort()

    def drain(self) -> None:
        """No request after the present one."""
        self._keep_alive = False
        if self._head is None and not self._buffer:
            self._writer.close()

    # Requests.

    def _next_head(self) -> None:
        data = self._buffer
        if self._head is not None or not data or self._transport.is_closing():
            return
        if data.startswith(b"\r\n"):
            # RFC 9112 §2.2: an empty line before a request is forgiven.
            data = self._buffer = data[2:]
        limits = self._state.engine.limits
        end = data.find(b"\r\n\r\n")
        try:
            if end + 4 > limits.head_bytes or (end < 0 and len(data) > limits.head_bytes):
                raise errors.head_too_large()
            if end < 0:
                if b"\n\n" in data:
                    raise errors.malformed("a line ends without CR")
                if not self._is_head_timed:
                    self._is_head_timed = True
                    self.deadline = self._loop.time() + limits.head_seconds
                return
            parsed = self._state.heads.parse(data[: end + 4])
        except errors.BadRequest as refusal:
            self._refuse(refusal)
            return
        self._head = head = parsed.head
        self._buffer = data[end + 4 :]
        self._keep_alive = parsed.keep_alive
        self._is_http11 = parsed.is_http11
        self._is_response_started = self._is_response_done = self._is_replayed = False
        self._response_left = 0
        self.deadline = inf
        if head.length:
            self._reader = ChunkedReader() if head.length == LENGTH_UNKNOWN else LengthReader(head.length)
        self._routing = self._state.engine.route(head, self._peer, self._decided)

    def _decided(self, decision: Decision | Failure) -> None:
        self._routing = None
        if self._transport.is_closing() or self._head is None:
            return
        if not isinstance(decision, Forward):
            self._decided_otherwise(decision)
            return
        engine = self._state.engine
        if decision.tag:
            self.tag = decision.tag
            engine.tagged.add(self)
        self._rewrite = decision.rewrite_response
        self._rewrite_failure = decision.rewrite_failure
        self._outbound = outbound = engine.open(decision, self._peer, self)
        if self._is_writing_paused:
            outbound.pause_receiving()
        # A body that came while the router was still deciding may have paused us, and nobody else would resume.
        if self._is_reading_paused:
            self._resume_reading()
        if self._reader is not None:
            # Reading may have stopped while the router thought; the answering end stops it anew if it must.
            self._resume_reading()
            self._touch_body()
            self._release_waiting_body(self._reader)

    def _decided_otherwise(self, decision: Answer | Takeover | Failure) -> None:
        if isinstance(decision, Answer):
            self._answer(decision)
        elif isinstance(decision, Takeover):
            self._take_over(decision)
        else:
            self._answer(self._problem(decision))

    def _release_waiting_body(self, reader: BodyReader) -> None:
        waiting, self._buffer = self._buffer, b""
        if waiting:
            self._body(reader, waiting)

    def _body(self, reader: BodyReader, data: bytes) -> None:
        """Body bytes go to the answering end at once; after a refusal they are read and dropped."""
        try:
            piece = reader.feed(data)
        except BodyError as error:
            self._refuse(errors.malformed(str(error)))
            return
        outbound = self._outbound
        if outbound is not None:
            self._touch_body()
            for part in piece.data:
                outbound.send_data(part)
        if piece.is_end:
            self._reader = None
            self._buffer = piece.rest
            self.deadline = inf
            if outbound is not None:
                outbound.send_end(reader.trailers)
            if self._is_response_done:
                self._finish()

    def _touch_body(self) -> None:
        self.deadline = (
            inf
            if self._is_reading_paused
            else self._loop.time() + self._state.engine.limits.body_idle_seconds
        )

    # The answering end's side.

    def pause_sending(self) -> None:
        self._pause_reading()

    def resume_sending(self) -> None:
        self._resume_reading()
        if self._reader is not None:
            self._touch_body()

    def on_interim(self, head: ResponseHead) -> None:
        if self._is_http11 and not self._transport.is_closing():
            self._writer.write(serialising.response_head(head, is_chunked=False, keep_alive=True))

    def on_response(self, head: ResponseHead) -> None:
        if self._rewrite is not None:
            try:
                head = self._rewrite(head)
            except Exception:
                self._state.log.exception("a response could not be rewritten")
                self._drop_outbound()
                self._answer(self._problem(errors.ROUTER_FAILED))
                return
        self._is_response_started = True
        if head.upgrade:
            self._start_raw(head)
            return
        is_unknown = head.length == LENGTH_UNKNOWN
        self._is_chunked = is_unknown and self._is_http11
        self._response_left = -1 if is_unknown else head.length
        if self._reader is not None or (is_unknown and not self._is_http11) or self._state.engine.is_draining:
            # An answer before the end of the request: the client may or may not go on sending.
            self._keep_alive = False
        block = serialising.response_head(head, is_chunked=self._is_chunked, keep_alive=self._keep_alive)
        if not self._is_http11 and self._keep_alive:
            block = block[:-2] + b"connection: keep-alive\r\n\r\n"
        self._writer.write(block)

    def _start_raw(self, head: ResponseHead) -> None:
        self._writer.write(serialising.response_head(head, is_chunked=False, keep_alive=True))
        self._is_raw = True
        self._keep_alive = False
        self._response_left = -1
        self.deadline = self._loop.time() + self._state.engine.limits.upgrade_idle_seconds
        self._resume_reading()
        waiting, self._buffer = self._buffer, b""
        if waiting and self._outbound is not None:
            self._outbound.send_data(waiting)

    def on_data(self, data: Data) -> None:
        if self._is_chunked:
            self._writer.writelines(serialising.chunk(data))
            return
        if self._response_left >= 0:
            self._response_left -= len(data)
            if self._response_left < 0:
                self._drop_outbound()
                self._transport.abort()
                return
        elif self._is_raw:
            self.deadline = self._loop.time() + self._state.engine.limits.upgrade_idle_seconds
        self._writer.write(data)

    def on_end(self, trailers: Headers) -> None:
        self._outbound = None
        self._untag()
        if self._is_raw or self._response_left > 0:
            self._writer.close()
            return
        if self._is_chunked:
            self._writer.write(serialising.last_chunk(trailers))
        self._is_response_done = True
        if self._reader is None:
            self._finish()
        else:
            self._linger()

    def on_whole(self, head: ResponseHead, data: Data) -> None:
        if (
            head.length == len(data)
            and self._keep_alive
            and self._is_http11
            and self._reader is None
            and self._rewrite is None
            and len(data) <= _JOIN_BYTES
            and not self._state.engine.is_draining
        ):
            self._outbound = None
            self._untag()
            # Joined here: no piece waits, and one write is what it would come to.
            self._writer.write(serialising.response_head(head, is_chunked=False, keep_alive=True) + data)
            self._finish()
            return
        # Each of these may end the exchange.
        self.on_response(head)
        if self._outbound is not None:
            self.on_data(data)
        if self._outbound is not None:
            self.on_end([])

    def on_failure(self, failure: Failure) -> None:
        self._outbound = None
        self._untag()
        if failure.may_replay and not self._is_replayed and self._head is not None:
            # Judged anew, as any request: who may not come any more does not come by the second try either.
            self._is_replayed = True
            self._routing = self._state.engine.route_again(self._head, self._peer, self._decided)
        elif not self._is_response_started:
            if self._rewrite_failure is not None:
                failure = self._rewrite_failure(failure)
            self._answer(self._problem(failure))
        elif self._is_chunked or self._response_left >= 0 or self._is_raw:
            # What has arrived goes out; the missing length or last chunk tells the client that it is not all.
            self._writer.close()
        else:
            # Only a reset distinguishes a broken body from one that ends with the connection.
            self._transport.abort()

    # Answers of our own.

    def _answer(self, answer: Answer) -> None:
        head = self._head
        self._is_response_started = self._is_response_done = True
        if self._reader is not None or self._state.engine.is_draining:
            self._keep_alive = False
        body = answer.body
        headers = answer.headers
        if answer.status not in NO_BODY_STATUSES:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        if (head is not None and head.method == b"HEAD") or answer.status in NO_BODY_STATUSES:
            body = b""
        response = ResponseHead(answer.status, reason_phrase(answer.status), headers, b"", len(body))
        self._writer.write(
            serialising.response_head(response, is_chunked=False, keep_alive=self._keep_alive) + body
        )
        if self._reader is None:
            self._finish()
        else:
            self._linger()

    def _problem(self, failure: Failure) -> Answer:
        accept = self._head.get(b"accept") if self._head is not None else None
        return problem(failure.status, failure.code, failure.message, accept=accept)

    def _refuse(self, refusal: errors.BadRequest) -> None:
        """Answer a request we will not carry, then close: after it nothing on this connection can be trusted."""
        self._drop_outbound()
        self._reader = None
        self._keep_alive = False
        if self._is_response_done:
            self._writer.close()
            return
        if self._is_response_started:
            self._transport.abort()
            return
        self._head = None
        self._answer(problem(refusal.status, refusal.code, refusal.message))

    def _take_over(self, takeover: Takeover) -> None:
        head = ResponseHead(101, reason_phrase(101), takeover.headers, takeover.upgrade)
        self._writer.write(serialising.response_head(head, is_chunked=False, keep_alive=True))
        protocol = takeover.protocol()
        waiting, self._buffer = self._buffer, b""
        self._resume_reading()
        self._state.forget(self, self._peer)
        self.deadline = inf
        self._writer.flush()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        _feed(protocol, waiting)

    # Inside.

    def _finish(self) -> None:
        """Both directions of the exchange are over."""
        if not self._keep_alive or self._transport.is_closing():
            self._writer.close()
            return
        self._head = None
        self._is_response_started = self._is_response_done = False
        self._is_head_timed = False
        self.deadline = self._loop.time() + self._state.engine.limits.keep_alive_seconds
        if self._is_reading_paused:
            self._resume_reading()
        if self._buffer:
            # Not called here: a thousand pipelined requests answered at once would be a thousand frames deep.
            self._loop.call_soon(self._next_head)

    def _linger(self) -> None:
        """The answer is out before the request's end. Closing now would reset the connection and could take the
        answer with it, so the rest is read and dropped for a while."""
        self._resume_reading()
        self.deadline = self._loop.time() + _LINGER_SECONDS
        if self._reader is not None:
            self._release_waiting_body(self._reader)

    def _drop_outbound(self) -> None:
        outbound, self._outbound = self._outbound, None
        self._untag()
        if outbound is not None:
            outbound.abort()

    def _untag(self) -> None:
        if self.tag:
            self._state.engine.tagged.discard(self)
            self.tag = ""

    def _pause_reading(self) -> None:
        if not self._is_reading_paused:
            self._is_reading_paused = True
            self.deadline = inf
            if not self._transport.is_closing():
                self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_reading_paused:
            self._is_reading_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()


def _feed(protocol: asyncio.Protocol | asyncio.BufferedProtocol, data: bytes) -> None:
    """What arrived before the protocol took over."""
    if isinstance(protocol, asyncio.Protocol):
        if data:
            protocol.data_received(data)
        return
    while data:
        buffer = memoryview(protocol.get_buffer(len(data)))
        size = min(len(data), len(buffer))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]
