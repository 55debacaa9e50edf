"""Random schedules and random bytes: nothing is lost, nothing stalls, no window is exceeded, nothing crashes."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.http1 import ResponseHead
from doorward.tunnel import endpoint as core
from doorward.tunnel import frames, messages
from doorward.tunnel.endpoint import Endpoint, Windows
from doorward.tunnel.frames import FrameReader, ProtocolError, pack
from doorward.tunnel.message_frames import MessageFrames
from doorward.tunnel.streams import Stream
from tests.tunnel.conversation import OK, VISITOR, Conversation, get, upload


class Wire:
    """One direction of a connection that delivers bytes late and in pieces of any size."""

    def __init__(self, sender: Endpoint, receiver: Endpoint) -> None:
        self.sender = sender
        self.receiver = receiver
        self.bytes = b""

    def fill(self, now: float, limit: int) -> None:
        self.bytes += b"".join(self.sender.data_to_send(now, limit))

    def deliver(self, now: float, size: int) -> list[core.Event]:
        piece, self.bytes = self.bytes[:size], self.bytes[size:]
        return self.receiver.receive_data(piece, now) if piece else []


class Party:
    """One end with what it sent, what it heard and what it has not yet given credit for."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.streams: dict[int, Stream] = {}
        self.sent: dict[int, bytes] = {}
        self.heard: dict[int, bytes] = {}
        self.owed: dict[int, int] = {}
        self.over: set[int] = set()

    def add(self, stream: Stream) -> None:
        self.streams[stream.id] = stream
        self.sent[stream.id] = self.heard[stream.id] = b""
        self.owed[stream.id] = 0

    def send(self, number: int, size: int, now: float) -> None:
        ids = list(self.streams)
        if ids:
            stream = self.streams[ids[number % len(ids)]]
            if stream.fin is None and not stream.is_local_ended:
                seed = len(self.sent[stream.id])
                data = bytes((seed + n) % 251 for n in range(size))
                self.sent[stream.id] += data
                self.endpoint.send(stream, data, now)

    def hear(self, events: list[core.Event]) -> None:
        for event in events:
            if isinstance(event, core.Opened):
                self.add(event.stream)
                self.endpoint.reply(event.stream, OK)
            elif isinstance(event, core.DataReceived):
                self.heard[event.stream.id] += bytes(event.data)
                self.owed[event.stream.id] += len(event.data)
                # What waits for credit never exceeds the window.
                assert self.owed[event.stream.id] <= event.stream.window
                if event.is_end:
                    self.over.add(event.stream.id)
            elif isinstance(event, core.Ended):
                self.over.add(event.stream.id)

    def pay(self, number: int, size: int, now: float) -> None:
        ids = [stream_id for stream_id, owed in self.owed.items() if owed]
        if ids:
            stream_id = ids[number % len(ids)]
            size = min(size, self.owed[stream_id])
            self.owed[stream_id] -= size
            self.endpoint.consumed(self.streams[stream_id], size, now)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "send", "fill", "deliver", "pay", "wait"]),
        st.booleans(),
        st.integers(0, 7),
        st.integers(1, 120_000),
    ),
    max_size=80,
)


@settings(deadline=None, max_examples=150)
@given(STEPS)
def test_no_byte_is_lost_and_nothing_stalls_whatever_the_schedule(
    steps: list[tuple[str, bool, int, int]],
) -> None:
    talk = Conversation(windows=Windows(stream_max=1024 * 1024, tunnel_max=2 * 1024 * 1024))
    parties = {True: Party(talk.edge), False: Party(talk.machine)}
    wires = {True: Wire(talk.edge, talk.machine), False: Wire(talk.machine, talk.edge)}
    now = talk.now

    def deliver(from_edge: bool, size: int) -> None:
        parties[not from_edge].hear(wires[from_edge].deliver(now, size))

    for action, is_edge, number, size in steps:
        if action == "open" and talk.edge.has_room:
            parties[True].add(talk.edge.open(Stream(), upload(), VISITOR))
        elif action == "send":
            parties[is_edge].send(number, size, now)
        elif action == "fill":
            wires[is_edge].fill(now, size)
        elif action == "deliver":
            deliver(is_edge, size)
        elif action == "pay":
            parties[is_edge].pay(number, size, now)
        else:
            now += size / 100_000

    for _ in range(2000):
        for is_edge in (True, False):
            wires[is_edge].fill(now, 1 << 18)
            deliver(is_edge, 1 << 20)
        for is_edge in (True, False):
            for _ in range(8):
                parties[is_edge].pay(0, 1 << 20, now)
            for stream in list(parties[is_edge].streams.values()):
                if parties[is_edge].endpoint.streams.get(stream.id) is stream:
                    parties[is_edge].endpoint.end(stream, [(b"x-end", b"1")] if stream.id % 4 else [], now)
        if not (talk.edge.streams or talk.machine.streams or talk.edge.has_output or talk.machine.has_output):
            break
    else:
        raise AssertionError("the tunnel stalled")
    edge, machine = parties[True], parties[False]
    assert machine.heard == edge.sent
    assert edge.heard == machine.sent
    assert edge.over == machine.over == set(edge.sent)


FRAMES = st.tuples(st.integers(0, 14), st.integers(0, 3), st.integers(0, 6), st.binary(max_size=40)).map(
    lambda fields: pack(*fields)
)


@settings(max_examples=400)
@given(st.lists(st.one_of(FRAMES, st.binary(max_size=30)), max_size=12), st.booleans())
def test_any_bytes_are_frames_or_a_protocol_error(noise: list[bytes], is_edge: bool) -> None:
    talk = Conversation()
    talk.opened(upload())
    victim = talk.edge if is_edge else talk.machine
    try:
        victim.receive_data(b"".join(noise), talk.now)
    except ProtocolError as error:
        assert str(error)
    victim.data_to_send(talk.now)


@given(st.lists(FRAMES, max_size=10), st.lists(st.integers(1, 60), max_size=20))
def test_frames_are_the_same_whatever_the_cutting(wire: list[bytes], cuts: list[int]) -> None:
    def read(pieces: list[bytes]) -> tuple[list[tuple[int, int, bytes]], str]:
        """Frames with the parts of DATA joined, and how it ended."""
        reader, found, ending = FrameReader(), [], ""
        data: dict[int, bytes] = {}
        try:
            for piece in pieces:
                for kind, flags, stream, payload in reader.feed(piece):
                    if kind == 3:
                        data[stream] = data.get(stream, b"") + bytes(payload)
                    else:
                        found.append((kind, stream, bytes(payload) + bytes([flags])))
        except ProtocolError as error:
            ending = str(error)
        return (sorted(found) if not ending else []), ending

    whole = b"".join(wire)
    pieces, position = [], 0
    for cut in cuts:
        pieces.append(whole[position : position + cut])
        position += cut
    pieces.append(whole[position:])
    assert read(pieces) == read([whole])


HEADS = st.sampled_from(
    [
        [b"GET", b"/", [(b"host", b"a")], b"", 0, "192.0.2.1", True],
        [b"POST", b"/", [(b"host", b"a")], b"", -1, "192.0.2.1", True],
        [b"GET", b"/", [(b"host", b"a")], b"websocket", 0, "192.0.2.1", True],
        [200, b"OK", [], b"", -1],
        [200, b"OK", [(b"content-length", b"3")], b"", 3],
        [204, b"", [], b"", 0],
        [103, b"", [], b"", 0],
        [101, b"", [], b"websocket", -1],
        [[b"x", b"y"]],
        ["superseded", "", 0, True],
        ["moved", "", 5, False, 7, ["https://a"]],
        ["env", 1, ["a"]],
        ["nonce", 1],
        ["host.example"],
        [],
    ]
).map(msgspec.msgpack.encode)
PAYLOADS = st.one_of(
    HEADS,
    st.binary(max_size=20),
    st.integers(0, 2**32 - 1).map(lambda number: number.to_bytes(4, "big")),
    st.integers(1, 65536).map(bytes),
)
HOSTILE = st.lists(
    st.one_of(
        st.tuples(
            st.integers(1, 13),
            st.sampled_from([0, 0, 1, 2, 2]),
            st.integers(0, 9).map(lambda n: 2 * n),
            PAYLOADS,
        ).map(lambda fields: pack(*fields)),
        st.binary(min_size=1, max_size=12),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(HOSTILE, st.booleans(), st.booleans(), st.lists(st.integers(1, 4000), max_size=60))
def test_an_end_that_obeys_no_rule_gets_an_error_and_no_memory(
    wire: list[bytes], is_edge: bool, is_read: bool, cuts: list[int]
) -> None:
    """Plausible frames in no plausible order, cut anywhere, by an end that may never read what we answer."""
    windows = Windows(streams=4, stream_max=1024 * 1024, tunnel_max=2 * 1024 * 1024)
    talk = Conversation(windows=windows)
    victim = talk.edge if is_edge else talk.machine
    if is_edge:
        for _ in range(3):
            talk.edge.open(Stream(), upload(), VISITOR)
        talk.edge_says()
    whole, position = b"".join(wire), 0
    owed: dict[int, int] = {}
    for cut in [*cuts, len(whole)]:
        piece = whole[position : position + cut]
        position += len(piece)
        try:
            events = victim.receive_data(piece, talk.now)
        except ProtocolError as error:
            assert str(error)
            break
        for event in events:
            if isinstance(event, core.Opened):
                victim.reply(event.stream, OK)
                victim.send(event.stream, bytes(300_000), talk.now)
            elif isinstance(event, core.DataReceived):
                # Nobody takes it: what is held stays within the window.
                owed[event.stream.id] = owed.get(event.stream.id, 0) + len(event.data)
                assert owed[event.stream.id] <= event.stream.window
        assert len(victim.streams) <= windows.streams
        assert sum(stream.queued for stream in victim.streams.values()) <= windows.streams * 300_000
        assert len(victim._control) <= 10_000
        if is_read:
            victim.data_to_send(talk.now)
    for stream in list(victim.streams.values()):
        victim.reset(stream, core.CANCELLED)
    assert not victim.streams
    assert victim._grown == 0
    assert victim._budget.used == 0


def test_an_end_that_asks_and_never_reads_is_given_up() -> None:
    talk = Conversation()
    request = messages.encode_open(get(), VISITOR)
    refused = ResponseHead(404, b"", [], b"", 0)
    with pytest.raises(ProtocolError, match="does not read"):
        for number in range(1, 30_000):
            wire = pack(frames.OPEN, frames.FIN, 2 * number, request)
            for event in talk.machine.receive_data(wire, talk.now):
                assert isinstance(event, core.Opened)
                talk.machine.reply(event.stream, refused)
    assert len(talk.machine._control) <= 10_001


def test_an_edge_opens_nothing_more_towards_a_machine_that_does_not_read() -> None:
    talk = Conversation()
    opened = 0
    while talk.edge.has_room:
        stream = talk.edge.open(Stream(), get(), VISITOR)
        opened += 1
        # It ends every request unread: the next stream id is no secret.
        talk.edge.receive_data(pack(frames.RESET, 1, stream.id, (1).to_bytes(4, "big")), talk.now)
    assert opened < 10_000


def websocket_frame(size: int, is_masked: bool) -> bytes:
    mask, key = (0x80, b"mask") if is_masked else (0, b"")
    if size < 126:
        return bytes([0x82, mask | size]) + key + bytes(size)
    if size < 65536:
        return bytes([0x82, mask | 126]) + size.to_bytes(2, "big") + key + bytes(size)
    return bytes([0x82, mask | 127]) + size.to_bytes(8, "big") + key + bytes(size)


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 125, 126, 300, 65535, 70000]), st.booleans()), min_size=1, max_size=5
    ),
    st.lists(st.integers(1, 5000), max_size=20),
    st.data(),
)
def test_the_end_of_a_websocket_frame_is_found_whatever_the_cutting(
    sizes: list[tuple[int, bool]], cuts: list[int], data: st.DataObject
) -> None:
    wire = [websocket_frame(*size) for size in sizes]
    whole = b"".join(wire)
    ends = [sum(map(len, wire[:count])) for count in range(len(wire) + 1)]
    asked_at = data.draw(st.integers(0, len(whole)))
    frames_seen, position = MessageFrames(), 0
    for cut in [*cuts, len(whole)]:
        step = min(cut, asked_at - position)
        frames_seen.feed(whole[position : position + step])
        position += step
    assert frames_seen.is_between == (asked_at in ends)
    taken = frames_seen.end_of_frame(whole[position:])
    assert taken is not None
    assert position + taken == min(end for end in ends if end >= asked_at)
