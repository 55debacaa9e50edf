"""A visitor's WebSocket: its own ends here, since the connector carries messages and not the bytes of the connection.

Pings are answered here, fragments pass both ways as they come, compression is not offered. RFC 6455.
"""

from __future__ import annotations

import asyncio
from typing import cast

from websockets.frames import Frame as Piece
from websockets.frames import Opcode
from websockets.protocol import SERVER, Protocol, State

from doorward.http1 import Data, Failure, Headers, Inbound, Peer, RequestHead, ResponseHead
from doorward.tunnel.refusals import BROKEN_OFF, TUNNEL_LOST
from doorward.tunnel.t3_relay import control, heads
from doorward.tunnel.t3_relay.frames import BINARY, MAX_MESSAGE, TEXT, Frame, MessageCutter
from doorward.tunnel.t3_relay.streams import StreamCarrier

_NORMAL = 1000
_SERVICE_RESTART = 1012
_INTERNAL_ERROR = 1011
_TOO_SLOW = 1013
_REASON_BYTES = 123
# The protocol has no credit for WebSockets: a visitor who reads so much slower than its machine writes is let go.
_HELD_BYTES = MAX_MESSAGE

NOT_A_WEBSOCKET = Failure(
    400,
    "bad_handshake",
    "This is no valid WebSocket handshake, and this machine's connector carries no other upgrade.",
)


class Messages:
    """The answering end of an upgrade to WebSocket. `visitor` is an address."""

    def __init__(
        self,
        link: StreamCarrier,
        head: RequestHead,
        peer: Peer,
        inbound: Inbound,
        *,
        accept: bytes,
        protocols: list[str],
    ) -> None:
        """`accept` goes into the 101, `protocols` are those offered. Raises control.TooLong."""
        self.visitor = peer.ip
        self._link = link
        self._inbound: Inbound | None = inbound
        self._ending: asyncio.Handle | None = None
        self._accept = accept
        self._protocols = protocols
        self._socket = Protocol(SERVER, state=State.OPEN, max_size=MAX_MESSAGE)
        self._is_accepted = False
        self._kind: int | None = None
        self._is_held = False
        self._held: list[bytes] = []
        self._held_bytes = 0
        start = control.WebSocketOpen(heads.url_of(head, peer), heads.websocket_headers(head), protocols)
        self.id = link.attach(self, start)
        self._cutter = MessageCutter(self.id)

    @property
    def is_websocket(self) -> bool:
        return self._is_accepted and self._inbound is not None

    def close_for_restart(self) -> None:
        self._close_visitor(_SERVICE_RESTART, "")
        self._leave(_NORMAL, "")

    # The asking end's side.

    def send_data(self, data: Data) -> None:
        if not self.is_websocket:
            return
        self._socket.receive_data(bytes(data))
        for event in self._socket.events_received():
            self._piece(cast("Piece", event))
        if self._socket.state is State.OPEN:
            self._flush()
        else:
            self._closed_by_visitor()

    def send_end(self, trailers: Headers) -> None:
        self._end_soon()
        self._leave(_NORMAL, "")

    def abort(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._leave(_NORMAL, "")

    def pause_receiving(self) -> None:
        self._is_held = True

    def resume_receiving(self) -> None:
        self._is_held = False
        held, self._held, self._held_bytes = self._held, [], 0
        for data in held:
            if self._inbound is not None:
                self._inbound.on_data(data)

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
            case control.WebSocketAccept() if not self._is_accepted:
                self._accepted(message.protocol, inbound)
            case control.WebSocketReject() if not self._is_accepted:
                self._over()
                inbound.on_failure(
                    Failure(message.status, "websocket_refused", "The machine refused the WebSocket.")
                )
            case control.WebSocketClose() if self._is_accepted:
                self._close_visitor(message.code, message.reason)
                self._over()
            case control.WebSocketClose():
                self._over()
                inbound.on_failure(BROKEN_OFF)
            case _:
                self._broken()

    def received(self, frame: Frame) -> None:
        if self._inbound is None:
            return
        if (
            not self._is_accepted
            or frame.kind not in (TEXT, BINARY)
            or frame.is_continuation != (self._kind is not None)
            or (self._kind is not None and frame.kind != self._kind)
        ):
            self._broken()
            return
        if self._kind is not None:
            self._socket.send_continuation(frame.payload, fin=frame.is_end)
        elif frame.kind == TEXT:
            self._socket.send_text(frame.payload, fin=frame.is_end)
        else:
            self._socket.send_binary(frame.payload, fin=frame.is_end)
        self._kind = None if frame.is_end else frame.kind
        self._flush()
        if self._held_bytes > _HELD_BYTES:
            self._held, self._held_bytes = [], 0
            self._close_visitor(_TOO_SLOW, "")
            self._leave(_NORMAL, "")

    def lost(self) -> None:
        inbound, self._inbound = self._inbound, None
        if inbound is not None:
            inbound.on_failure(TUNNEL_LOST)

    # Inside.

    def _accepted(self, protocol: str | object, inbound: Inbound) -> None:
        answer = [(b"sec-websocket-accept", self._accept)]
        if isinstance(protocol, str) and protocol in self._protocols:
            answer.append((b"sec-websocket-protocol", protocol.encode("latin-1")))
        self._is_accepted = True
        inbound.on_response(ResponseHead(101, b"Switching Protocols", answer, b"websocket"))

    def _piece(self, piece: Piece) -> None:
        if piece.opcode is Opcode.TEXT:
            self._cutter.begin(TEXT)
        elif piece.opcode is Opcode.BINARY:
            self._cutter.begin(BINARY)
        elif piece.opcode is not Opcode.CONT:
            return
        for frame in self._cutter.feed(bytes(piece.data), is_last=piece.fin):
            self._link.write(frame)

    def _closed_by_visitor(self) -> None:
        """It said goodbye, or broke the protocol; the answer to either is in the socket's output already."""
        said = self._socket.close_rcvd
        self._flush()
        self._end_soon()
        self._leave(said.code if said is not None else _NORMAL, said.reason if said is not None else "")

    def _end_soon(self) -> None:
        """Not at once: the asking end is in the middle of sending."""
        if self._inbound is not None:
            self._ending = asyncio.get_running_loop().call_soon(self._inbound.on_end, [])

    def _close_visitor(self, code: int, reason: str) -> None:
        inbound = self._inbound
        if inbound is None or not self._is_accepted or self._socket.state is not State.OPEN:
            return
        cut = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        self._socket.send_close(code if _is_sendable(code) else _INTERNAL_ERROR, cut)
        self._is_held = False
        self.resume_receiving()
        self._flush()
        inbound.on_end([])

    def _flush(self) -> None:
        data = b"".join(self._socket.data_to_send())
        if not data or self._inbound is None:
            return
        if self._is_held:
            self._held.append(data)
            self._held_bytes += len(data)
        else:
            self._inbound.on_data(data)

    def _over(self) -> None:
        self._inbound = None
        self._link.detach(self.id)

    def _leave(self, code: int, reason: str) -> None:
        """The machine is told in a code that `WebSocket.close` takes; with any other, a connector on Node would keep
        its own socket open for ever."""
        if self._inbound is None:
            return
        self._over()
        said = code if code == _NORMAL or 3000 <= code <= 4999 else _NORMAL
        self._link.say(self.id, control.WebSocketClose(said, reason))

    def _broken(self) -> None:
        inbound, was_accepted = self._inbound, self._is_accepted
        self._close_visitor(_INTERNAL_ERROR, "")
        self._leave(_NORMAL, "")
        if inbound is not None and not was_accepted:
            inbound.on_failure(BROKEN_OFF)


def _is_sendable(code: int) -> bool:
    """RFC 6455 §7.4: 1005, 1006 and 1015 are never sent."""
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999
