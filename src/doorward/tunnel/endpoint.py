"""The multiplexing protocol, without sockets and without a clock: bytes in, events and bytes out.

The edge opens streams (even ids), the connector answers them. Every call that depends on time takes `now` in
seconds of a monotonic clock. `ProtocolError` from `receive_data` means: send what `data_to_send` has, then close.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from doorward.http1 import Data, Headers, Peer, RequestHead, ResponseHead
from doorward.tunnel import frames, messages
from doorward.tunnel.frames import DATA, FIN, HEADER, MANDATORY, Frame, FrameReader, ProtocolError, pack
from doorward.tunnel.liveness import Advice, Heartbeat, Liveness
from doorward.tunnel.scheduler import Scheduler
from doorward.tunnel.streams import INITIAL_WINDOW, Stream
from doorward.tunnel.window_budget import WindowBudget

# Why a stream was reset.
DONE = 0
CANCELLED = 1
REFUSED = 2
BROKEN = 3
PROTOCOL = 4


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """Receive windows, in bytes."""

    stream_max: int = 16 * 1024 * 1024
    tunnel_max: int = 64 * 1024 * 1024
    streams: int = 256


class Opened(msgspec.Struct, gc=False):
    """`stream` is what the shell's `NewStream` made of the visitor's request."""

    stream: Stream
    is_end: bool


class Replied(msgspec.Struct, gc=False):
    stream: Stream
    head: ResponseHead
    is_end: bool


class DataReceived(msgspec.Struct, gc=False):
    """Return the credit with `consumed` when the bytes are out of our hands."""

    stream: Stream
    data: Data
    is_end: bool


class Ended(msgspec.Struct, gc=False):
    stream: Stream
    trailers: Headers


class StreamReset(msgspec.Struct, gc=False):
    stream: Stream
    code: int


class NonceReceived(msgspec.Struct):
    message: messages.NonceMessage


class AuthReceived(msgspec.Struct):
    token: str


class Configured(msgspec.Struct):
    message: messages.ConfigMessage


class GoAwayReceived(msgspec.Struct):
    message: messages.GoAwayMessage


class Wanted(msgspec.Struct):
    hostname: str


class HealthReceived(msgspec.Struct):
    message: messages.HealthMessage


Event: TypeAlias = (
    Opened
    | Replied
    | DataReceived
    | Ended
    | StreamReset
    | NonceReceived
    | AuthReceived
    | Configured
    | GoAwayReceived
    | Wanted
    | HealthReceived
)


S = TypeVar("S", bound=Stream)
NewStream: TypeAlias = Callable[[int, RequestHead, Peer], Stream]


def _bare_stream(stream_id: int, _head: RequestHead, _peer: Peer) -> Stream:
    return Stream(stream_id)


class Endpoint:
    """One end of a tunnel. Until `unlock` it refuses every frame about streams."""

    def __init__(
        self,
        *,
        is_edge: bool,
        now: float,
        windows: Windows | None = None,
        heartbeat: Heartbeat | None = None,
        budget: WindowBudget | None = None,
        new_stream: NewStream = _bare_stream,
    ) -> None:
        self.is_edge = is_edge
        self.windows = windows or Windows()
        self._budget = budget or WindowBudget(self.windows.tunnel_max)
        self.streams: dict[int, Stream] = {}
        self.liveness = Liveness(heartbeat or Heartbeat(), now)
        self.unchoked: list[Stream] = []
        """Streams marked `is_choked` whose queue ran low; the shell empties the list."""
        self._new_stream = new_stream
        self._reader = FrameReader()
        self._control: list[bytes] = []
        self._scheduler = Scheduler()
        self._next_id = 2
        self._last_opened = 0
        self._is_unlocked = False
        #: What the windows of all streams have grown to beyond their initial size, together.
        self._grown = 0

    # What the shell asks for.

    def unlock(self, now: float) -> None:
        """The other end is who it says: streams may come. Measures the first round trip."""
        self._is_unlocked = True
        self.ping(now)

    @property
    def has_room(self) -> bool:
        return len(self.streams) < self.windows.streams and len(self._control) < _CONTROL_MAX

    @property
    def frames_waiting(self) -> int:
        """Heads, whole answers and control frames that `data_to_send` would give first."""
        return len(self._control)

    @property
    def has_output(self) -> bool:
        return bool(self._control) or bool(self._scheduler)

    def open(self, stream: S, head: RequestHead, peer: Peer) -> S:
        """Begin `stream`, a fresh one; a request without body and upgrade has ended with its head."""
        stream_id = stream.id = self._next_id
        self._next_id = stream_id + 2
        self.streams[stream_id] = stream
        is_end = stream.is_local_ended = head.length == 0 and not head.upgrade
        payload = messages.encode_open(head, peer)
        self._control.append(
            HEADER.pack(frames.OPEN, FIN if is_end else 0, stream_id, len(payload)) + payload
        )
        return stream

    def reply(self, stream: Stream, head: ResponseHead) -> None:
        """An interim head or the real one; a real one without body ends our direction."""
        is_end = head.length == 0 and not head.is_interim
        self._control.append(pack(frames.REPLY, FIN if is_end else 0, stream.id, messages.encode_reply(head)))
        if is_end:
            self._end_local(stream)

    def answer(self, stream: Stream, head: ResponseHead, data: Data, now: float) -> None:
        """`reply`, `send` and `end` at once. A short one waits for nobody's turn, as a fresh stream's would not."""
        if stream.is_local_ended:
            return
        size = len(data)
        control = self._control
        if size > _ANSWER_BYTES or size > stream.credit or len(control) > _ANSWERS_MAX or head.length == 0:
            self.reply(stream, head)
            self.send(stream, data, now)
            self.end(stream, [], now)
            return
        payload = messages.encode_reply(head)
        reply = HEADER.pack(frames.REPLY, 0, stream.id, len(payload))
        control.append(b"".join((reply, payload, HEADER.pack(DATA, FIN, stream.id, size), data)))
        self._end_local(stream)

    def send(self, stream: Stream, data: Data, now: float) -> None:
        if stream.is_local_ended or stream.fin is not None or not len(data):
            return
        stream.put(data)
        if stream.credit > 0:
            self._scheduler.add(stream, now)

    def end(self, stream: Stream, trailers: Headers, now: float) -> None:
        """No more bytes in our direction, after those in the queue."""
        if stream.is_local_ended or stream.fin is not None:
            return
        stream.fin = trailers
        if stream.queued:
            if stream.credit > 0:
                self._scheduler.add(stream, now)
            return
        self._control.append(self._end_frame(stream))
        self._end_local(stream)

    def reset(self, stream: Stream, code: int) -> None:
        """Give up both directions; harmless when the stream is over."""
        if self._remove(stream):
            self._control.append(pack(frames.RESET, MANDATORY, stream.id, code.to_bytes(4, "big")))

    def consumed(self, stream: Stream, size: int, now: float) -> None:
        """`size` received bytes were taken by the local socket: let the other end send as many again."""
        if stream.is_remote_ended:
            return
        stream.uncredited += size
        stream.window_consumed += size
        if stream.window_consumed >= stream.window:
            self._grow(stream, now)
        if stream.uncredited * 2 >= stream.window:
            credit, stream.uncredited = stream.uncredited, 0
            if stream.debt:
                paid = min(stream.debt, credit)
                stream.debt -= paid
                credit -= paid
                if not credit:
                    return
            stream.allowance += credit
            self._control.append(pack(frames.WINDOW, 0, stream.id, credit.to_bytes(4, "big")))

    def ping(self, now: float) -> None:
        self._control.append(pack(frames.PING, 0, 0, self.liveness.ping(now)))

    def probe(self, now: float) -> None:
        """Is the other end still there? Without an answer within the heartbeat's `probe` seconds it counts as gone."""
        self.ping(now)
        self.liveness.doubt(now)

    def notify(self, kind: int, payload: bytes) -> None:
        """Send NONCE, AUTH, CONFIG, GOAWAY, WANTED or HEALTH."""
        flags = 0 if kind in (frames.GOAWAY, frames.WANTED, frames.HEALTH) else MANDATORY
        self._control.append(pack(kind, flags, 0, payload))

    def poll(self, now: float, wall: float) -> bool:
        """Call about once a second. False: the other end is gone."""
        advice = self.liveness.poll(now, wall)
        if advice is Advice.PING:
            self.ping(now)
        return advice is not Advice.DEAD

    # Bytes out.

    def data_to_send(self, now: float, limit: int = 128 * 1024) -> list[Data]:
        """About `limit` bytes, control frames first; empty when there is nothing."""
        out: list[Data] = list(self._control)
        self._control.clear()
        size = sum(map(len, out))
        while size < limit:
            turn = self._scheduler.next()
            if turn is None:
                break
            stream, quantum = turn
            length = min(stream.queued, stream.credit, quantum)
            pieces = stream.take(length)
            stream.credit -= length
            stream.recent_bytes += length
            flags = 0
            if not stream.queued:
                if stream.fin is not None and not stream.fin:
                    flags = FIN
                    self._end_local(stream)
            elif stream.credit > 0:
                self._scheduler.add(stream, now)
            out.append(HEADER.pack(frames.DATA, flags, stream.id, length))
            out += pieces
            size += length
            if stream.fin and not stream.queued:
                out.append(self._end_frame(stream))
                self._end_local(stream)
            elif stream.is_choked and stream.queued < QUEUE_LOW:
                stream.is_choked = False
                self.unchoked.append(stream)
        return out

    # Bytes in.

    def receive_data(self, data: bytes | memoryview, now: float) -> list[Event]:
        """Raises ProtocolError."""
        self.liveness.heard(now)
        events: list[Event] = []
        for frame in self._reader.feed(data):
            kind = frame[0]
            if kind == DATA:
                self._data(frame, events, now)
            elif kind in _STREAM_TYPES:
                self._about_stream(frame, events, now)
            else:
                self._about_tunnel(frame, events, now)
        if len(self._control) > 2 * _CONTROL_MAX:
            # More than all open streams can need: what asks and never takes the answers would fill our memory.
            raise ProtocolError("the other end sends and does not read")
        return events

    def _data(self, frame: Frame, events: list[Event], now: float) -> None:
        _, flags, stream_id, payload = frame
        stream = self.streams.get(stream_id) or self._known(stream_id)
        if stream is None:
            return
        if stream.is_remote_ended:
            raise ProtocolError("DATA after the end of its stream")
        stream.allowance -= len(payload)
        if stream.allowance < 0:
            raise ProtocolError("more DATA than the window allows")
        if stream.window_since is None:
            stream.window_since = now
        is_end = flags & FIN != 0
        if is_end:
            stream.is_remote_ended = True
            if stream.is_local_ended:
                self._remove(stream)
        events.append(DataReceived(stream, payload, is_end))

    def _about_stream(self, frame: Frame, events: list[Event], now: float) -> None:
        kind, flags, stream_id, data = frame
        payload = bytes(data)
        if kind == frames.OPEN:
            self._opened(stream_id, flags, payload, events)
            return
        stream = self.streams.get(stream_id) or self._known(stream_id)
        if stream is None:
            return
        if kind == frames.REPLY:
            if not self.is_edge or stream.is_remote_ended:
                raise ProtocolError("a REPLY where none can be")
            is_end = flags & FIN != 0
            head = messages.decode_reply(payload)
            if is_end:
                self._end_remote(stream)
            events.append(Replied(stream, head, is_end))
        elif kind == frames.WINDOW:
            credit = _u32(payload)
            stream.credit += credit
            if stream.credit > _CREDIT_MAX:
                raise ProtocolError("more credit than a window can have")
            if stream.queued and stream.credit > 0:
                self._scheduler.add(stream, now)
        elif kind == frames.END:
            if stream.is_remote_ended:
                raise ProtocolError("END twice")
            trailers = messages.decode_trailers(payload)
            self._end_remote(stream)
            events.append(Ended(stream, trailers))
        else:
            code = _u32(payload)
            self._remove(stream)
            events.append(StreamReset(stream, code))

    def _opened(self, stream_id: int, flags: int, payload: bytes, events: list[Event]) -> None:
        if self.is_edge or not self._is_unlocked:
            raise ProtocolError("an OPEN where none can be")
        if stream_id <= self._last_opened or stream_id % 2:
            raise ProtocolError("an OPEN with a stream id that is used or odd")
        self._last_opened = stream_id
        head, peer = messages.decode_open(payload)
        if not self.has_room:
            self._control.append(pack(frames.RESET, MANDATORY, stream_id, REFUSED.to_bytes(4, "big")))
            return
        stream = self.streams[stream_id] = self._new_stream(stream_id, head, peer)
        is_end = stream.is_remote_ended = flags & FIN != 0
        events.append(Opened(stream, is_end))

    def _about_tunnel(self, frame: Frame, events: list[Event], now: float) -> None:
        kind, payload = frame[0], bytes(frame[3])
        if kind == frames.PING:
            if len(payload) != 8:
                raise ProtocolError("a PING has 8 bytes")
            # An end that is too slow to hear answers may do without some.
            if len(self._control) < _CONTROL_MAX:
                self._control.append(pack(frames.PONG, 0, 0, payload))
        elif kind == frames.PONG:
            self.liveness.ponged(payload, now)
        elif kind == frames.GOAWAY:
            events.append(GoAwayReceived(messages.decode(messages.GoAwayMessage, payload)))
        elif kind == frames.CONFIG and not self.is_edge:
            # Streams may follow in the same bytes, before the shell has seen this event.
            self._is_unlocked = True
            events.append(Configured(messages.decode(messages.ConfigMessage, payload)))
        elif kind == frames.NONCE and not self.is_edge:
            events.append(NonceReceived(messages.decode(messages.NonceMessage, payload)))
        elif kind == frames.WANTED and not self.is_edge:
            events.append(Wanted(messages.decode(messages.WantedMessage, payload).hostname))
        elif kind == frames.HEALTH and not self.is_edge:
            events.append(HealthReceived(messages.decode(messages.HealthMessage, payload)))
        elif kind == frames.AUTH and self.is_edge and not self._is_unlocked:
            events.append(AuthReceived(payload.decode("ascii", "replace")))
        else:
            raise ProtocolError("a frame from the wrong end")

    # Inside.

    def _known(self, stream_id: int) -> Stream | None:
        """None for a stream that is over: its last frames may still be under way."""
        stream = self.streams.get(stream_id)
        if stream is None and (
            stream_id % 2 or not 0 < stream_id <= (self._next_id - 2 if self.is_edge else self._last_opened)
        ):
            raise ProtocolError("a frame for a stream that was never opened")
        return stream

    def _end_frame(self, stream: Stream) -> bytes:
        return pack(frames.END, 0, stream.id, messages.encode_trailers(stream.fin or []))

    def _end_local(self, stream: Stream) -> None:
        stream.is_local_ended = True
        if stream.is_remote_ended:
            self._remove(stream)

    def _end_remote(self, stream: Stream) -> None:
        stream.is_remote_ended = True
        if stream.is_local_ended:
            self._remove(stream)

    def _remove(self, stream: Stream) -> bool:
        if self.streams.pop(stream.id, None) is None:
            return False
        if stream.window > INITIAL_WINDOW:
            self._grown -= stream.window - INITIAL_WINDOW
            self._budget.give_back(stream.window - INITIAL_WINDOW)
        if stream.is_scheduled:
            self._scheduler.remove(stream)
        stream.queue = None
        stream.queued = 0
        stream.is_local_ended = stream.is_remote_ended = True
        return True

    def _grow(self, stream: Stream, now: float) -> None:
        """A whole window was consumed: double it if that took less than four round trips from its first byte."""
        since, rtt = stream.window_since, self.liveness.rtt
        stream.window_consumed = 0
        stream.window_since = None
        if self.liveness.may_measure(now):
            self.ping(now)
        if self._budget.is_tight and stream.window > INITIAL_WINDOW:
            self._shrink(stream)
            return
        if since is None or rtt is None or now - since >= 4 * rtt:
            return
        room = self.windows.tunnel_max - len(self.streams) * INITIAL_WINDOW - self._grown
        more = min(stream.window, self.windows.stream_max - stream.window, room)
        if more > 0 and self._budget.take(more):
            stream.window += more
            stream.uncredited += more
            self._grown += more

    def _shrink(self, stream: Stream) -> None:
        """Halve a grown window: credit that was given cannot be taken back, so as much is not given again."""
        less = min(stream.window // 2, stream.window - INITIAL_WINDOW)
        stream.window -= less
        stream.debt += less
        self._grown -= less
        self._budget.give_back(less)


QUEUE_HIGH = 256 * 1024
"""A stream with more than this queued pauses whoever feeds it."""
QUEUE_LOW = 64 * 1024
_ANSWER_BYTES = 4 * 1024
_ANSWERS_MAX = 64
"""Whole answers that may wait among the control frames: what does not fit queues in its stream, as anything does."""
_CREDIT_MAX = 1 << 31
_CONTROL_MAX = 5_000
_STREAM_TYPES = frozenset({frames.OPEN, frames.REPLY, frames.WINDOW, frames.END, frames.RESET})


def _u32(payload: bytes) -> int:
    if len(payload) != 4:
        raise ProtocolError("a number has 4 bytes")
    return int.from_bytes(payload, "big")
