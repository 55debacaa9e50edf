"""A visitor's request as the connector carries it: whole uploads of at most 16 MiB, downloads on credit."""

from __future__ import annotations

import asyncio

from doorward.http1 import LENGTH_UNKNOWN, Data, Failure, Headers, Inbound, Peer, RequestHead
from doorward.tunnel.frames import ProtocolError
from doorward.tunnel.refusals import BROKEN_OFF, tunnel_lost
from doorward.tunnel.t3_relay import control, heads
from doorward.tunnel.t3_relay.frames import MAX_MESSAGE, REQUEST_BODY, RESPONSE_BODY, Frame, pack, pieces
from doorward.tunnel.t3_relay.streams import StreamCarrier

_GIVE_BACK = control.INITIAL_WINDOW // 4

UPLOAD_TOO_LARGE = Failure(
    413, "upload_too_large", "This machine's connector takes at most 16 MiB in one request."
)
HEAD_TOO_LARGE = Failure(
    431, "head_too_large", "The request's header fields are too large for this machine's connector."
)


class Exchange:
    """The answering end of a request. `visitor` is an address."""

    is_websocket = False

    def __init__(self, link: StreamCarrier, head: RequestHead, peer: Peer, inbound: Inbound) -> None:
        """Raises control.TooLong."""
        self.visitor = peer.ip
        self._link = link
        self._inbound: Inbound | None = inbound
        self._failing: asyncio.Handle | None = None
        self._head = head
        self._sent = 0
        self._is_answered = False
        self._left = LENGTH_UNKNOWN
        self._credit = 0
        self._taken = 0
        self._is_held = False
        start = control.RequestStart(
            head.method.decode("ascii"), heads.url_of(head, peer), heads.request_headers(head)
        )
        self.id = link.attach(self, start)
        if not head.has_body:
            link.say(self.id, control.RequestEnd())

    # The asking end's side.

    def send_data(self, data: Data) -> None:
        if self._inbound is None:
            return
        self._sent += len(data)
        if self._sent > MAX_MESSAGE:
            self._fail_soon(UPLOAD_TOO_LARGE)
            return
        for piece in pieces(data):
            self._link.write(pack(REQUEST_BODY, self.id, piece))

    def send_end(self, trailers: Headers) -> None:
        if self._inbound is not None:
            self._link.say(self.id, control.RequestEnd())

    def abort(self) -> None:
        if self._failing is not None:
            self._failing.cancel()
        self._leave("the visitor left")

    def pause_receiving(self) -> None:
        self._is_held = True

    def resume_receiving(self) -> None:
        self._is_held = False
        self._give_back()

    # The connector's side.

    def choke(self) -> None:
        if self._inbound is not None:
            self._inbound.pause_sending()

    def unchoke(self) -> None:
        if self._inbound is not None:
            self._inbound.resume_sending()

    def told(self, message: control.Message) -> None:
        inbound = self._inbound
        if inbound is None:
            return
        match message:
            case control.ResponseStart():
                self._start(message, inbound)
            case control.ResponseEnd() if self._is_answered and self._left in (0, LENGTH_UNKNOWN):
                self._over()
                inbound.on_end([])
            case control.ResponseAbort():
                self._over()
                inbound.on_failure(BROKEN_OFF)
            case _:
                self._broken(inbound)

    def received(self, frame: Frame) -> None:
        inbound = self._inbound
        if inbound is None:
            return
        size = len(frame.payload)
        is_told = self._left != LENGTH_UNKNOWN
        if (
            frame.kind != RESPONSE_BODY
            or not self._is_answered
            or size > self._credit
            or (is_told and size > self._left)
        ):
            self._broken(inbound)
            return
        self._credit -= size
        self._taken += size
        if is_told:
            self._left -= size
        if size:
            inbound.on_data(frame.payload)
        self._give_back()

    def lost(self) -> None:
        inbound, self._inbound = self._inbound, None
        if inbound is not None:
            inbound.on_failure(tunnel_lost(self._head, is_heard=self._is_answered))

    # Inside.

    def _start(self, message: control.ResponseStart, inbound: Inbound) -> None:
        try:
            head = heads.response_head(message.status, message.headers, is_head=self._head.method == b"HEAD")
        except ProtocolError:
            self._broken(inbound)
            return
        if self._is_answered:
            self._broken(inbound)
            return
        self._is_answered = True
        self._left = head.length
        inbound.on_response(head)
        self._credit = control.INITIAL_WINDOW
        self._link.say(self.id, control.WindowUpdate(control.INITIAL_WINDOW))

    def _give_back(self) -> None:
        """Credit for what the visitor took, a quarter of the window at a time."""
        if self._is_held or self._taken < _GIVE_BACK or self._inbound is None:
            return
        taken, self._taken = self._taken, 0
        self._credit += taken
        self._link.say(self.id, control.WindowUpdate(taken))

    def _over(self) -> None:
        self._inbound = None
        self._link.detach(self.id)

    def _leave(self, reason: str) -> None:
        if self._inbound is not None:
            self._over()
            self._link.say(self.id, control.RequestAbort(reason))

    def _broken(self, inbound: Inbound) -> None:
        self._leave("the response is malformed")
        inbound.on_failure(BROKEN_OFF)

    def _fail_soon(self, failure: Failure) -> None:
        """Not at once: the asking end is in the middle of sending."""
        inbound = self._inbound
        self._leave("the request is too large")
        if inbound is not None:
            self._failing = asyncio.get_running_loop().call_soon(inbound.on_failure, failure)
