"""The asking end of an exchange that this process itself wants: what a visitor's connection is, without a socket.

The router decides as it does for a visitor, and the answer is that of a listener: what cannot be carried is answered with a
problem, an answer that breaks off is an error.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from doorward.http1 import errors
from doorward.http1.answers import problem
from doorward.http1.engine import Engine
from doorward.http1.exchange import Answer, Data, Decision, Failure, Forward, Outbound, Peer
from doorward.http1.heads import Headers, RequestHead, ResponseHead


class AnswerTaker(Protocol):
    """Where an answer goes. What it raises ends the exchange and is raised by `ask`."""

    def begin(self, status: int, fields: Headers) -> None: ...

    def feed(self, piece: bytes) -> None: ...


async def ask(engine: Engine, head: RequestHead, body: bytes, peer: Peer, taker: AnswerTaker) -> None:
    """One exchange, until its answer is whole; the answering end is told where that is not awaited to the end.

    `head.length` counts `body`, and no upgrade is asked for. Raises BadResponse, what `taker` raises.
    """
    await _Asking(engine, head, body, peer, taker).done()


class _Asking:
    """`Inbound` and `Tagged`. Nothing waits here: the answer is taken as it comes, and the body is there already."""

    __slots__ = (
        "_body",
        "_done",
        "_engine",
        "_forward",
        "_has_begun",
        "_head",
        "_outbound",
        "_peer",
        "_taker",
        "tag",
    )

    def __init__(
        self, engine: Engine, head: RequestHead, body: bytes, peer: Peer, taker: AnswerTaker
    ) -> None:
        self._engine = engine
        self._head = head
        self._body = body
        self._peer = peer
        self._taker = taker
        self._forward: Forward | None = None
        self._outbound: Outbound | None = None
        self._has_begun = False
        self._done: asyncio.Future[None] = engine.loop.create_future()
        self.tag = ""

    async def done(self) -> None:
        routing = self._engine.route(self._head, self._peer, self._decided)
        try:
            await self._done
        finally:
            if routing is not None:
                routing.cancel()
            self._engine.tagged.discard(self)
            outbound, self._outbound = self._outbound, None
            if outbound is not None:
                outbound.abort()

    def _decided(self, decision: Decision | Failure) -> None:
        if self._done.done():
            return
        if isinstance(decision, Answer):
            self._answer(decision)
            return
        if not isinstance(decision, Forward):
            self.on_failure(decision if isinstance(decision, Failure) else errors.CANNOT_TAKE_OVER)
            return
        self._forward = decision
        if decision.tag:
            self.tag = decision.tag
            self._engine.tagged.add(self)
        self._outbound = outbound = self._engine.open(decision, self._peer, self)
        if self._head.length:
            outbound.send_data(self._body)
            outbound.send_end([])

    def kill(self) -> None:
        """End the exchange now: access to it was withdrawn."""
        self._end(errors.BadResponse("withdrawn", "This exchange was ended here."))

    # The answering end's side.

    def pause_sending(self) -> None:
        pass

    def resume_sending(self) -> None:
        pass

    def on_interim(self, head: ResponseHead) -> None:
        pass

    def on_response(self, head: ResponseHead) -> None:
        rewrite = None if self._forward is None else self._forward.rewrite_response
        self._has_begun = True
        self._take(head if rewrite is None else rewrite(head), b"")

    def on_data(self, data: Data) -> None:
        self._take(None, bytes(data))

    def on_end(self, trailers: Headers) -> None:
        self._outbound = None
        self._end(None)

    def on_whole(self, head: ResponseHead, data: Data) -> None:
        self.on_response(head)
        self.on_data(data)
        self.on_end([])

    def on_failure(self, failure: Failure) -> None:
        self._outbound = None
        if self._has_begun:
            self._end(errors.BadResponse(failure.code, failure.message))
            return
        rewrite = None if self._forward is None else self._forward.rewrite_failure
        told = failure if rewrite is None else rewrite(failure)
        self._answer(problem(told.status, told.code, told.message, accept=self._head.get(b"accept")))

    # Inside.

    def _answer(self, answer: Answer) -> None:
        self._take(ResponseHead(answer.status, b"", answer.headers), answer.body)
        self._end(None)

    def _take(self, head: ResponseHead | None, piece: bytes) -> None:
        """In the answering end's turn: what goes wrong here is ours alone."""
        if self._done.done():
            return
        try:
            if head is not None:
                self._taker.begin(head.status, head.headers)
            if piece:
                self._taker.feed(piece)
        except Exception as error:
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
