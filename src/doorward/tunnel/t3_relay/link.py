"""One connector's WebSocket at the edge, as the edge sees any machine."""

from __future__ import annotations

import asyncio
import random
import time
from typing import cast

from websockets.frames import Frame as Piece
from websockets.frames import Opcode
from websockets.protocol import SERVER, State
from websockets.protocol import Protocol as WebSocket

from doorward.http1 import Failure, Inbound, Outbound, Peer, RequestHead
from doorward.tunnel.admission import TunnelGrant
from doorward.tunnel.admitting import Admitted
from doorward.tunnel.allowances import AccountUse
from doorward.tunnel.frames import ProtocolError
from doorward.tunnel.link import tune
from doorward.tunnel.liveness import Advice, Liveness
from doorward.tunnel.machine_link import LinkKeeper
from doorward.tunnel.refusals import TUNNEL_BUSY, TUNNEL_LOST, Refused, refusal_of_one_more, streams_of
from doorward.tunnel.t3_relay import control, frames
from doorward.tunnel.t3_relay.exchange import HEAD_TOO_LARGE, UPLOAD_TOO_LARGE, Exchange
from doorward.tunnel.t3_relay.frames import CONTROL, HEADER, MAX_MESSAGE, MAX_PAYLOAD, MAX_STREAM_ID, Frame
from doorward.tunnel.t3_relay.messages import NOT_A_WEBSOCKET, Messages
from doorward.tunnel.t3_relay.streams import T3Stream
from doorward.tunnel.websocket_upgrade import offered_protocols, websocket_accept

MAX_STREAMS = 256
_WRITE_BUFFER_BYTES = 256 * 1024
_MESSAGE_BYTES = HEADER.size + MAX_PAYLOAD

#: Close codes: T3's own for a connection that another took over and for one that was revoked, else RFC 6455's.
_CODES = {"superseded": 4000, "moved": 4000, "unlinked": 4001, "protocol_error": 1002}
_SERVICE_RESTART = 1012


class T3RelayLink(asyncio.Protocol):
    """From the 101 on; who it is was proved before."""

    def __init__(self, edge: LinkKeeper, peer: Peer, admitted: Admitted) -> None:
        self.edge = edge
        self.peer = peer
        self.grant: TunnelGrant | None = admitted.grant
        self.use: AccountUse | None = admitted.use
        self.epoch = admitted.epoch
        self.hosts: set[str] = set()
        self.has_moved = False
        self.requests = self.bytes_received = self.bytes_sent = 0
        self._loop = asyncio.get_running_loop()
        self._liveness = Liveness(edge.heartbeat, self._loop.time())
        self._meter = admitted.use.meter(self._loop.time())
        self._socket = WebSocket(SERVER, state=State.OPEN, max_size=_MESSAGE_BYTES)
        self._transport: asyncio.Transport | None = None
        self._streams: dict[int, T3Stream] = {}
        self._last_id = 0
        self._message: list[bytes] = []
        self._is_paused = self._is_throttled = self._is_leaving = self._is_over = False
        self._timer: asyncio.TimerHandle | None = None

    # What the edge asks.

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._is_over

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    def websockets(self) -> list[Messages]:
        return [
            stream
            for stream in self._streams.values()
            if isinstance(stream, Messages) and stream.is_websocket
        ]

    def open(self, head: RequestHead, peer: Peer, inbound: Inbound) -> Outbound:
        refusal = self._cannot_carry(head)
        if refusal is not None:
            return Refused(inbound, refusal)
        self.requests += 1
        try:
            if not head.is_upgrade:
                return Exchange(self, head, peer, inbound)
            accept = websocket_accept(head)
            if accept is None:
                return Refused(inbound, NOT_A_WEBSOCKET)
            protocols = offered_protocols(head)
            return Messages(self, head, peer, inbound, accept=accept, protocols=protocols)
        except control.TooLong:
            return Refused(inbound, HEAD_TOO_LARGE)

    def _cannot_carry(self, head: RequestHead) -> Failure | None:
        if not self.is_open:
            return TUNNEL_LOST
        if len(self._streams) >= MAX_STREAMS:
            return TUNNEL_BUSY
        return UPLOAD_TOO_LARGE if head.length > MAX_MESSAGE else None

    def refusal(self, visitor: str) -> tuple[Failure, int] | None:
        if self.use is None:
            return None
        return refusal_of_one_more(
            self.use,
            streams=len(self._streams),
            visitor=visitor,
            of_visitor=self._streams_of,
            now=self._loop.time(),
        )

    def _streams_of(self, visitor: str) -> int:
        return streams_of(visitor, (stream.visitor for stream in self._streams.values()))

    def want_elsewhere(self, hostname: str) -> None:
        """The protocol cannot say it. A machine's one name leads its visitors and itself to the same node."""

    def turn_away(
        self, reason: str, message: str, *, spread: float, drain: float, alternates: list[str]
    ) -> None:
        """The protocol cannot ask for it either: the connection ends when nothing is open, and comes back elsewhere."""
        self.has_moved = self._is_leaving = True
        self._loop.call_later(random.uniform(0.0, spread), self._leave_if_idle)  # noqa: S311

    def retire(self) -> None:
        self.go_away("moved")

    def go_away(self, reason: str, message: str = "", *, spread_ms: int = 0, is_final: bool = False) -> None:
        if self._transport is not None and self._socket.state is State.OPEN:
            self._socket.send_close(_CODES.get(reason, _SERVICE_RESTART), message[:120])
            self._flush()
            self._transport.close()
        self._finish(reason)

    def abort(self, reason: str) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._finish(reason)

    # What streams ask.

    def attach(self, stream: T3Stream, start: control.Control) -> int:
        """The id of a new stream, whose first message is sent. Raises control.TooLong."""
        while True:
            self._last_id = self._last_id % MAX_STREAM_ID + 1
            if self._last_id not in self._streams:
                break
        opening = control.encode(self._last_id, start)
        self._streams[self._last_id] = stream
        self.write(opening)
        if self._is_paused or self._is_throttled:
            self._loop.call_soon(stream.choke)
        return self._last_id

    def detach(self, stream_id: int) -> None:
        self._streams.pop(stream_id, None)
        if self._is_leaving and not self._streams:
            self._loop.call_soon(self._leave_if_idle)

    def say(self, stream_id: int, message: control.Control) -> None:
        self.write(control.encode(stream_id, message))

    def write(self, frame: bytes) -> None:
        if self._socket.state is State.OPEN and not self._is_over:
            self._socket.send_binary(frame)
            self._flush()

    # The connection's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        tune(self._transport.get_extra_info("socket"))
        self.edge.links.add(self)
        self.say(0, control.ConnectorReady())
        self._schedule_poll()
        if self.grant is not None:
            self.edge.link_ready(self, self.grant)

    def data_received(self, data: bytes) -> None:
        self.bytes_received += len(data)
        self._liveness.heard(self._loop.time())
        self._socket.receive_data(data)
        try:
            for event in self._socket.events_received():
                self._piece(cast("Piece", event))
        except ProtocolError as error:
            self.go_away("protocol_error", str(error))
            return
        if self._socket.state is State.OPEN and self._is_paused:
            # Only pongs can be waiting here: answers to a flood of pings must not pile up in memory.
            self._socket.data_to_send()
        else:
            self._flush()
        if self._socket.state is not State.OPEN:
            if self._transport is not None:
                self._transport.close()
            self._finish("connector_closed")
        elif self._meter is not None and self._transport is not None:
            delay = self._meter.moved(len(data), self._loop.time())
            if delay > 0 and not self._transport.is_closing():
                self._transport.pause_reading()
                self._loop.call_later(delay, self._read_on)

    def eof_received(self) -> None:
        """Close: the transport never stays half open."""

    def pause_writing(self) -> None:
        self._is_paused = True
        self._choke()

    def resume_writing(self) -> None:
        self._is_paused = False
        self._unchoke()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish("connection_lost")

    # Inside.

    def _piece(self, piece: Piece) -> None:
        """Text is nothing of this protocol and passed over, as the other side does."""
        if piece.opcode not in (Opcode.BINARY, Opcode.CONT) or self._is_over:
            return
        self._message.append(bytes(piece.data))
        if piece.fin:
            message, self._message = b"".join(self._message), []
            self._frame(frames.unpack(message))

    def _frame(self, frame: Frame) -> None:
        said = control.decode(frame) if frame.kind == CONTROL else None
        stream = self._streams.get(frame.stream)
        if stream is None:
            # It ended here while this was on its way.
            return
        if said is not None:
            stream.told(said)
        else:
            stream.received(frame)

    def _flush(self) -> None:
        pieces = [piece for piece in self._socket.data_to_send() if piece]
        if not pieces or self._transport is None or self._transport.is_closing():
            return
        self._transport.writelines(pieces)
        size = sum(map(len, pieces))
        self.bytes_sent += size
        if self._meter is not None:
            delay = self._meter.moved(size, self._loop.time())
            if delay > 0 and not self._is_throttled:
                self._is_throttled = True
                self._choke()
                self._loop.call_later(delay, self._write_on)

    def _write_on(self) -> None:
        self._is_throttled = False
        self._unchoke()

    def _read_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _choke(self) -> None:
        """The protocol has no credit for what visitors send: they wait while the connector's path is full."""
        for stream in list(self._streams.values()):
            stream.choke()

    def _unchoke(self) -> None:
        if not (self._is_paused or self._is_throttled):
            for stream in list(self._streams.values()):
                stream.unchoke()

    def _leave_if_idle(self) -> None:
        if not self._streams and not self._is_over:
            self.go_away("edge_restarting", "The edge is restarting.")

    def _schedule_poll(self) -> None:
        self._timer = self._loop.call_later(min(1.0, self.edge.heartbeat.interval / 4), self._poll)

    def _poll(self) -> None:
        advice = self._liveness.poll(self._loop.time(), time.time())
        if advice is Advice.DEAD:
            self.abort("peer_silent")
            return
        if advice is Advice.PING and self._socket.state is State.OPEN:
            self._socket.send_ping(self._liveness.ping(self._loop.time()))
            self._flush()
        self._schedule_poll()

    def _finish(self, reason: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        streams, self._streams = list(self._streams.values()), {}
        for stream in streams:
            stream.lost()
        self.edge.link_closed(self, reason)
