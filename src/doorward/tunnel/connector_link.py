"""The machine's end of one tunnel: proves who it is, then hands every request to the engine's router."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from doorward.http1 import (
    Answer,
    Data,
    Decision,
    Failure,
    Forward,
    Headers,
    Outbound,
    Peer,
    RequestHead,
    ResponseHead,
    errors,
    problem,
)
from doorward.http1.engine import Engine
from doorward.http1.heads import NO_BODY_STATUSES
from doorward.tunnel import endpoint as core
from doorward.tunnel import frames, messages
from doorward.tunnel.endpoint import Endpoint, Windows
from doorward.tunnel.link import Link, LinkStream
from doorward.tunnel.liveness import Heartbeat


class MachineStream(LinkStream, eq=False, kw_only=True):
    """The asking end of a visitor's request, on the machine.

    The edge is not trusted with framing: request bytes beyond the announced length, or ahead of a 101, would reach
    the origin as a request that no router has judged.
    """

    engine: Engine
    head: RequestHead
    peer: Peer
    left: int
    """Bytes of the request that have not come; `LENGTH_UNKNOWN` when nobody knows."""
    tag: str = ""
    _outbound: Outbound | None = None
    _rewrite: Callable[[ResponseHead], ResponseHead] | None = None
    _rewrite_failure: Callable[[Failure], Failure] | None = None
    _routing: asyncio.Task[None] | None = None
    _early: list[Data] = msgspec.field(default_factory=list)
    _trailers: Headers = ()
    _is_request_done: bool = False
    _is_answered: bool = False
    _is_raw: bool = False

    def opened(self) -> None:
        self._routing = self.engine.route(self.head, self.peer, self._decided)

    def _decided(self, decision: Decision | Failure) -> None:
        self._routing = None
        if not isinstance(decision, Forward):
            if isinstance(decision, Answer):
                self._answer(decision)
            else:
                self.on_failure(decision if isinstance(decision, Failure) else errors.CANNOT_TAKE_OVER)
            return
        if decision.tag:
            self.tag = decision.tag
            self.engine.tagged.add(self)
        self._rewrite = decision.rewrite_response
        self._rewrite_failure = decision.rewrite_failure
        self._outbound = outbound = self.engine.open(decision, self.peer, self)
        if self.is_choked:
            outbound.pause_receiving()
        if self.head.length and not self.head.upgrade:
            # All of it may have come while the router thought: what is left to come says nothing here.
            self._release_early()

    def _release_early(self) -> None:
        """What arrived before there was somewhere to put it."""
        early, self._early = self._early, []
        for data in early:
            if self._outbound is not None:
                self._outbound.send_data(data)
            self._took(len(data))
        if self._is_request_done and self._outbound is not None and self.head.has_body:
            self._outbound.send_end(self._trailers)

    # The tunnel's side.

    def received(self, data: Data, is_end: bool) -> None:
        size = len(data)
        if self.left >= 0 and not self.head.upgrade:
            self.left -= size
            if self.left < 0:
                self._abandon(core.PROTOCOL)
                return
        if size:
            outbound = self._outbound
            if outbound is not None and (self._is_raw or not self.head.upgrade):
                outbound.send_data(data)
                self._took(size)
            elif self._is_answered:
                self._took(size)
            else:
                self._early.append(data)
        if is_end:
            self.ended([])

    def ended(self, trailers: Headers) -> None:
        if self._is_raw:
            outbound, self._outbound = self._outbound, None
            self._untag()
            if outbound is not None:
                outbound.send_end([])
            self._end([])
            return
        if self.left > 0 or self.head.is_upgrade:
            self._abandon(core.PROTOCOL)
            return
        self._is_request_done = True
        self._trailers = trailers
        if self._outbound is not None:
            self._outbound.send_end(trailers)

    def was_reset(self, code: int) -> None:
        self._drop_outbound()

    def lost(self) -> None:
        self._drop_outbound()

    def kill(self) -> None:
        """End the exchange now: access to it was withdrawn."""
        self._abandon(core.CANCELLED)

    def choke(self) -> None:
        if self._outbound is not None:
            self._outbound.pause_receiving()

    def unchoke(self) -> None:
        if self._outbound is not None:
            self._outbound.resume_receiving()

    # The answering end's side.

    def pause_sending(self) -> None:
        self._hold()

    def resume_sending(self) -> None:
        self._let_go()

    def on_interim(self, head: ResponseHead) -> None:
        self.link.endpoint.reply(self, head)
        self.link.flush_soon()

    def on_response(self, head: ResponseHead) -> None:
        rewritten = head if self._rewrite is None else self._rewritten(self._rewrite, head)
        if rewritten is None:
            return
        head = rewritten
        self._is_answered = True
        self.link.endpoint.reply(self, head)
        if head.upgrade:
            self._is_raw = True
            self._release_early()
        self.link.flush_soon()

    def on_data(self, data: Data) -> None:
        self._send(data)

    def on_end(self, trailers: Headers) -> None:
        self._outbound = None
        self._untag()
        self._end(trailers)

    def on_whole(self, head: ResponseHead, data: Data) -> None:
        rewritten = head if self._rewrite is None else self._rewritten(self._rewrite, head)
        if rewritten is None:
            return
        self._is_answered = True
        self._outbound = None
        self._untag()
        link = self.link
        link.endpoint.answer(self, rewritten, data, link.loop.time())
        link.flush_soon()

    def on_failure(self, failure: Failure) -> None:
        self._outbound = None
        self._untag()
        if self._is_answered:
            self._reset(core.BROKEN)
        else:
            if self._rewrite_failure is not None:
                failure = self._rewrite_failure(failure)
            self._answer(
                problem(failure.status, failure.code, failure.message, accept=self.head.get(b"accept"))
            )

    # Inside.

    def _rewritten(
        self, rewrite: Callable[[ResponseHead], ResponseHead], head: ResponseHead
    ) -> ResponseHead | None:
        """None when that failed: then the visitor was told."""
        try:
            return rewrite(head)
        except Exception:
            self.link.loop.call_exception_handler({"message": "a response could not be rewritten"})
            self._drop_outbound()
            self.on_failure(errors.ROUTER_FAILED)
            return None

    def _answer(self, answer: Answer) -> None:
        self._is_answered = True
        body, headers = answer.body, answer.headers
        if answer.status not in NO_BODY_STATUSES:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        if self.head.method == b"HEAD" or answer.status in NO_BODY_STATUSES:
            body = b""
        self.link.endpoint.reply(self, ResponseHead(answer.status, b"", headers, b"", len(body)))
        if body:
            self._send(body)
            self._end([])
        self.link.flush_soon()

    def _abandon(self, code: int) -> None:
        self._drop_outbound()
        self._reset(code)

    def _drop_outbound(self) -> None:
        self._early = []
        if self._routing is not None:
            self._routing.cancel()
            self._routing = None
        outbound, self._outbound = self._outbound, None
        self._untag()
        if outbound is not None:
            outbound.abort()

    def _untag(self) -> None:
        if self.tag:
            self.engine.tagged.discard(self)
            self.tag = ""


class ConnectorLink(Link):
    """From the 101 on: answers the nonce, waits for the configuration, hands requests to the router.

    `over` is the edge's last word, or why we stopped; `leaving` is called when the edge will take this connection down
    once its streams have ended, `wanted` with a host name whose visitors reach another node, `told_health` with what came
    of the edge's own request through it.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        answer_nonce: Callable[[messages.NonceMessage], str],
        configured: Callable[[ConnectorLink], None],
        leaving: Callable[[ConnectorLink, messages.GoAwayMessage], None],
        wanted: Callable[[str], None],
        told_health: Callable[[ConnectorLink, messages.HealthMessage], None],
        windows: Windows,
        heartbeat: Heartbeat,
    ) -> None:
        now = asyncio.get_running_loop().time()
        endpoint = Endpoint(
            is_edge=False, now=now, windows=windows, heartbeat=heartbeat, new_stream=self._stream_of
        )
        super().__init__(endpoint, heartbeat, engine.buffers)
        self.over: asyncio.Future[messages.GoAwayMessage] = self.loop.create_future()
        self.configured_at: float | None = None
        self.hostnames: tuple[str, ...] = ()
        self.is_proved = False
        """Something came through it, or it is of an edge that does not try."""
        self.is_turned_away = self._has_said_moved = False
        self._engine = engine
        self._answer_nonce = answer_nonce
        self._configured = configured
        self._is_leaving = leaving
        self._wanted = wanted
        self._told_health = told_health
        self._farewell: messages.GoAwayMessage | None = None
        self._handlers[core.NonceReceived] = self._nonce_received
        self._handlers[core.Configured] = self._config_received
        self._handlers[core.GoAwayReceived] = self._go_away_received
        self._handlers[core.Wanted] = self._wanted_elsewhere
        self._handlers[core.HealthReceived] = self._health_received

    @property
    def is_settled(self) -> bool:
        """It carries requests and nobody asked us to leave it."""
        return self.configured_at is not None and not self.is_turned_away and self.is_open

    def say_moved(self) -> None:
        """There is another connection: the edge may end this one when nothing needs it any more."""
        if self._has_said_moved:
            return
        self._has_said_moved = True
        notice = messages.GoAwayMessage("moved", drain_ms=1)
        self.endpoint.notify(frames.GOAWAY, messages.encode(notice))
        self.flush_soon()

    def closed(self, reason: str) -> None:
        if not self.over.done():
            self.over.set_result(self._farewell or messages.GoAwayMessage(reason))

    def _nonce_received(self, event: core.NonceReceived) -> None:
        self.endpoint.notify(frames.AUTH, self._answer_nonce(event.message).encode())
        self.flush_soon()

    def _config_received(self, event: core.Configured) -> None:
        self.endpoint.unlock(self.loop.time())
        self.configured_at = self.loop.time()
        self.hostnames = tuple(event.message.hostnames)
        self.is_proved = not event.message.is_probed
        self._configured(self)

    def _stream_of(self, stream_id: int, head: RequestHead, peer: Peer) -> MachineStream:
        return MachineStream(
            stream_id, link=self, engine=self._engine, head=head, peer=peer, left=head.length
        )

    def _go_away_received(self, event: core.GoAwayReceived) -> None:
        if event.message.drain_ms > 0:
            self.is_turned_away = True
            self._is_leaving(self, event.message)
            return
        self._farewell = event.message
        if self._transport is not None:
            self._transport.close()

    def _wanted_elsewhere(self, event: core.Wanted) -> None:
        self._wanted(event.hostname)

    def _health_received(self, event: core.HealthReceived) -> None:
        self.is_proved = self.is_proved or not event.message.reason
        self._told_health(self, event.message)
