"""Random schedules and random bytes: nothing is lost, nothing stalls, no window is exceeded, nothing crashes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.tunnel import endpoint as core
from doorward.tunnel.endpoint import Endpoint, Windows
from doorward.tunnel.frames import FrameReader, ProtocolError, pack
from doorward.tunnel.streams import Stream
from tests.tunnel.conversation import OK, VISITOR, Conversation, upload


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
            parties[True].add(talk.edge.open(upload(), VISITOR))
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
