"""The protocol, as conversations between two ends."""

import msgspec
import pytest

from doorward.http1 import ResponseHead
from doorward.tunnel import endpoint as core
from doorward.tunnel import frames, messages
from doorward.tunnel.endpoint import Endpoint, Windows
from doorward.tunnel.frames import FIN, MANDATORY, FrameReader, ProtocolError, pack
from doorward.tunnel.liveness import Heartbeat
from doorward.tunnel.scheduler import QUANTUM
from doorward.tunnel.streams import INITIAL_WINDOW, Stream
from doorward.tunnel.window_budget import WindowBudget
from tests.tunnel.conversation import OK, VISITOR, Asked, Conversation, get, received, upload


def test_a_request_and_its_response_cross() -> None:
    talk = Conversation()
    edge_stream = talk.edge.open(Stream(), get(b"/a?b"), VISITOR)
    (opened,) = talk.edge_says()
    assert isinstance(opened, core.Opened)
    assert isinstance(opened.stream, Asked)
    assert (opened.stream.head.target, opened.stream.peer, opened.is_end) == (b"/a?b", VISITOR, True)
    talk.machine.reply(opened.stream, OK)
    talk.machine.send(opened.stream, b"hello", talk.now)
    talk.machine.end(opened.stream, [], talk.now)
    replied, data = talk.machine_says()
    assert isinstance(replied, core.Replied)
    assert (replied.stream, replied.head) == (edge_stream, OK)
    assert isinstance(data, core.DataReceived)
    assert (bytes(data.data), data.is_end) == (b"hello", True)
    assert not talk.edge.streams
    assert not talk.machine.streams


def test_the_wire_is_what_the_page_says_to_the_byte() -> None:
    edge = Endpoint(is_edge=True, now=0.0)
    edge.unlock(0.0)
    edge.data_to_send(0.0)
    edge.open(Stream(), get(), VISITOR)
    payload = msgspec.msgpack.encode(
        [b"GET", b"/", [[b"host", b"app.example"]], b"", 0, "198.51.100.7", True]
    )
    assert (
        b"".join(edge.data_to_send(0.0))
        == bytes([1, 2, 0, 0, 0, 2]) + len(payload).to_bytes(4, "big") + payload
    )


def test_interim_heads_and_trailers_cross() -> None:
    talk = Conversation()
    _, stream = talk.opened()
    talk.machine.reply(stream, ResponseHead(103, b"Early Hints", [(b"link", b"</a>")]))
    talk.machine.reply(stream, OK)
    talk.machine.send(stream, b"x", talk.now)
    talk.machine.end(stream, [(b"x-sum", b"1")], talk.now)
    interim, reply, data, end = talk.machine_says()
    assert interim.head.status == 103  # type: ignore[union-attr]
    assert reply.head.status == 200  # type: ignore[union-attr]
    assert isinstance(data, core.DataReceived)
    assert end == core.Ended(reply.stream, [(b"x-sum", b"1")])  # type: ignore[union-attr]


def test_a_sender_stops_at_the_window_and_goes_on_with_credit() -> None:
    talk = Conversation()
    edge_stream, machine_stream = talk.opened(upload())
    talk.edge.send(edge_stream, bytes(INITIAL_WINDOW + 1000), talk.now)
    assert len(received(talk.edge_says())) == INITIAL_WINDOW
    assert not talk.edge.has_output
    talk.machine.consumed(machine_stream, INITIAL_WINDOW, talk.now)
    talk.machine_says()
    assert len(received(talk.edge_says())) == 1000


def test_a_stream_that_is_not_read_does_not_hold_up_its_neighbour() -> None:
    talk = Conversation()
    stuck, _ = talk.opened(upload())
    lively, at_machine = talk.opened(upload())
    talk.edge.send(stuck, bytes(2 * INITIAL_WINDOW), talk.now)
    talk.edge_says()
    for _ in range(20):
        talk.edge.send(lively, bytes(100_000), talk.now)
        assert len(received(talk.edge_says())) == 100_000
        talk.machine.consumed(at_machine, 100_000, talk.now)
        talk.machine_says()


def test_control_frames_and_small_talkers_go_before_bulk() -> None:
    talk = Conversation()
    bulk, _ = talk.opened(upload())
    talk.edge.send(bulk, bytes(200_000), talk.now)
    talk.edge.data_to_send(talk.now, 100_000)  # by now it counts as bulk
    small, _ = (talk.edge.open(Stream(), upload(), VISITOR), None)
    talk.edge.send(small, b"hi", talk.now)
    talk.edge.ping(talk.now)
    reader = FrameReader()
    order = [
        (kind, stream)
        for kind, _, stream, _ in reader.feed(b"".join(talk.edge.data_to_send(talk.now, 40_000)))
    ]
    assert order[:3] == [(frames.OPEN, small.id), (frames.PING, 0), (frames.DATA, small.id)]
    assert order[3] == (frames.DATA, bulk.id)


def test_bulk_streams_take_turns_of_a_quantum() -> None:
    talk = Conversation()
    streams = [talk.opened(upload())[0] for _ in range(3)]
    for stream in streams:
        talk.edge.send(stream, bytes(100_000), talk.now)
    sizes: dict[int, int] = {}
    for kind, _, stream_id, payload in FrameReader().feed(
        b"".join(talk.edge.data_to_send(talk.now, 9 * QUANTUM))
    ):
        assert kind == frames.DATA
        sizes[stream_id] = sizes.get(stream_id, 0) + len(payload)
    assert set(sizes.values()) == {3 * QUANTUM}


def test_a_window_grows_on_a_fast_reader_up_to_its_cap_and_not_on_a_slow_one() -> None:
    for pause, grows in ((0.01, True), (5.0, False)):
        talk = Conversation(windows=Windows(stream_max=1024 * 1024))
        talk.edge.ping(talk.now)
        talk.machine.ping(talk.now)
        talk.edge.data_to_send(talk.now)
        out = talk.machine.data_to_send(talk.now)
        talk.now += 0.05
        talk.edge.receive_data(b"".join(out), talk.now)
        talk.machine_says()
        talk.edge_says()
        talk.machine.liveness.rtt = 0.05
        edge_stream, machine_stream = talk.opened(upload())
        for _ in range(200):
            talk.edge.send(edge_stream, bytes(32 * 1024), talk.now)
            size = len(received(talk.edge_says()))
            talk.now += pause
            talk.machine.consumed(machine_stream, size, talk.now)
            talk.machine_says()
        assert (machine_stream.window == 1024 * 1024) is grows
        assert (machine_stream.window == INITIAL_WINDOW) is not grows


def test_windows_together_stay_below_the_tunnels_cap() -> None:
    cap = 2 * 1024 * 1024
    talk = Conversation(windows=Windows(tunnel_max=cap))
    pairs = [talk.opened(upload()) for _ in range(4)]
    talk.machine.liveness.rtt = 10.0
    for _ in range(100):
        for edge_stream, machine_stream in pairs:
            talk.edge.send(edge_stream, bytes(64 * 1024), talk.now)
            size = len(received(talk.edge_says()))
            talk.machine.consumed(machine_stream, size, talk.now)
            talk.machine_says()
    total = sum(stream.window for _, stream in pairs)
    assert 4 * INITIAL_WINDOW < total <= cap


def test_windows_of_all_tunnels_grow_within_one_budget_and_shrink_when_it_is_tight() -> None:
    budget = WindowBudget(1024 * 1024)
    talk = Conversation(budget=budget)
    first, at_machine = talk.opened(upload())

    def consume_a_window(stream: Stream, there: Stream) -> None:
        """The machine takes a whole window at once, within a round trip."""
        size = there.window
        while size:
            talk.edge.send(stream, bytes(min(size, stream.credit)), talk.now)
            for event in talk.edge_says():
                assert isinstance(event, core.DataReceived)
                size -= len(event.data)
                talk.machine.consumed(there, len(event.data), talk.now)
            talk.machine_says()

    talk.machine.liveness.rtt = 1.0
    for _ in range(6):
        consume_a_window(first, at_machine)
    # Twice doubled (256 + 512 KiB granted); the third time does not fit.
    assert at_machine.window == 1024 * 1024
    assert budget.used == 768 * 1024
    budget.take(budget.limit - budget.used)
    consume_a_window(first, at_machine)
    assert at_machine.window == 512 * 1024
    assert budget.used == 512 * 1024
    # What was granted once is not granted again: the sender ends up with the smaller window.
    for _ in range(8):
        consume_a_window(first, at_machine)
    assert first.credit + at_machine.uncredited <= at_machine.window
    talk.edge.reset(first, core.CANCELLED)
    talk.edge_says()
    assert budget.used == 256 * 1024


def test_the_machine_refuses_streams_beyond_the_cap() -> None:
    talk = Conversation(windows=Windows(streams=2))
    for _ in range(3):
        last = talk.edge.open(Stream(), upload(), VISITOR)
    assert len(talk.edge_says()) == 2
    assert talk.machine_says() == [core.StreamReset(last, core.REFUSED)]


def test_a_reset_drops_what_was_queued_and_late_frames_are_ignored() -> None:
    talk = Conversation()
    edge_stream, machine_stream = talk.opened(upload())
    talk.machine.reply(machine_stream, OK)
    talk.machine.send(machine_stream, b"late", talk.now)
    talk.edge.send(edge_stream, bytes(500_000), talk.now)
    talk.edge.reset(edge_stream, core.CANCELLED)
    assert talk.edge_says() == [core.StreamReset(machine_stream, core.CANCELLED)]
    assert talk.machine_says() == []


def test_unknown_frames_are_skipped_unless_they_are_mandatory() -> None:
    talk = Conversation()
    edge_stream, _ = talk.opened(upload())
    talk.edge.send(edge_stream, b"x", talk.now)
    known = b"".join(bytes(piece) for piece in talk.edge.data_to_send(talk.now))
    assert received(talk.machine.receive_data(pack(99, 0, 7, b"new") + known, talk.now)) == b"x"
    with pytest.raises(ProtocolError):
        talk.machine.receive_data(pack(99, MANDATORY, 7, b"new"), talk.now)


def encoded_open(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "method": b"GET", "target": b"/", "headers": [(b"host", b"a")], "upgrade": b"", "length": 0, "ip": "", "tls": False,
    }  # fmt: skip
    return msgspec.msgpack.encode(list((fields | changes).values()))


HOSTILE_TO_MACHINE = {
    "an odd stream id": pack(frames.OPEN, FIN, 3, encoded_open()),
    "stream 0": pack(frames.OPEN, FIN, 0, encoded_open()),
    "a line break in a header": pack(frames.OPEN, FIN, 2, encoded_open(headers=[(b"host", b"a"), (b"x", b"a\r\nb: c")])),
    "a line break in the target": pack(frames.OPEN, FIN, 2, encoded_open(target=b"/ HTTP/1.1\r\nx: y")),
    "a space in the method": pack(frames.OPEN, FIN, 2, encoded_open(method=b"GET /x")),
    "a colon in a name": pack(frames.OPEN, FIN, 2, encoded_open(headers=[(b"host", b"a"), (b"x:y", b"z")])),
    "an upper-case name": pack(frames.OPEN, FIN, 2, encoded_open(headers=[(b"host", b"a"), (b"Host", b"b")])),
    "two hosts": pack(frames.OPEN, FIN, 2, encoded_open(headers=[(b"host", b"a"), (b"host", b"b")])),
    "a hop-by-hop header": pack(frames.OPEN, FIN, 2, encoded_open(headers=[(b"host", b"a"), (b"transfer-encoding", b"chunked")])),
    "a length that lies": pack(frames.OPEN, 0, 2, encoded_open(headers=[(b"host", b"a"), (b"content-length", b"5")], length=7)),
    "a line break in the upgrade": pack(frames.OPEN, 0, 2, encoded_open(upgrade=b"x\r\ny: z")),
    "not MessagePack": pack(frames.OPEN, FIN, 2, b"\xc1"),
    "DATA for no stream": pack(frames.DATA, 0, 2, b"x"),
    "a REPLY to the machine": pack(frames.OPEN, FIN, 2, encoded_open()) + pack(frames.REPLY, 0, 2, messages.encode_reply(OK)),
    "AUTH to the machine": pack(frames.AUTH, 1, 0, b"x"),
    "DATA after the end": pack(frames.OPEN, FIN, 2, encoded_open()) + pack(frames.DATA, 0, 2, b"x"),
    "more DATA than the window": pack(frames.OPEN, 0, 2, encoded_open(length=-1)) + pack(frames.DATA, 0, 2, bytes(65536)) * 5,
    "a DATA frame that is too long": bytes([3, 0, 0, 0, 0, 2]) + (65537).to_bytes(4, "big"),
    "a head that is too long": bytes([1, 0, 0, 0, 0, 2]) + (1 << 20).to_bytes(4, "big"),
    "credit beyond reason": pack(frames.OPEN, FIN, 2, encoded_open()) + pack(frames.WINDOW, 0, 2, b"\xff\xff\xff\xff"),
    "a short PING": pack(frames.PING, 0, 0, b"x"),
    "the same id again": pack(frames.OPEN, FIN, 2, encoded_open()) * 2,
}  # fmt: skip


@pytest.mark.parametrize("wire", HOSTILE_TO_MACHINE.values(), ids=HOSTILE_TO_MACHINE.keys())
def test_a_broken_protocol_ends_the_tunnel(wire: bytes) -> None:
    machine = Endpoint(is_edge=False, now=0.0)
    machine.unlock(0.0)
    with pytest.raises(ProtocolError):
        machine.receive_data(wire, 0.0)


@pytest.mark.parametrize(
    "reply",
    [
        [200, b"OK", [(b"x", b"a\nb")], b"", -1],
        [200, b"OK\r\nx: y", [], b"", -1],
        [99, b"", [], b"", 0],
        [200, b"OK", [(b"content-length", b"5"), (b"content-length", b"5")], b"", 5],
        [200, b"OK", [(b"connection", b"close")], b"", -1],
        [200, b"OK", [], b"websocket", -1],
        [101, b"", [], b"", -1],
        [200, b"OK", [], b"", -7],
        [200, b"OK", [], b"", 7],
    ],
)
def test_a_response_head_from_a_machine_is_checked_before_a_visitor_sees_it(reply: list[object]) -> None:
    talk = Conversation()
    stream, _ = talk.opened()
    with pytest.raises(ProtocolError):
        talk.edge.receive_data(pack(frames.REPLY, 0, stream.id, msgspec.msgpack.encode(reply)), talk.now)


def test_no_stream_is_taken_before_the_proof() -> None:
    machine = Endpoint(is_edge=False, now=0.0)
    with pytest.raises(ProtocolError):
        machine.receive_data(pack(frames.OPEN, FIN, 2, encoded_open()), 0.0)


def test_a_flood_of_pings_does_not_pile_up_answers() -> None:
    talk = Conversation()
    for _ in range(30):
        talk.edge.receive_data(pack(frames.PING, 0, 0, bytes(8)) * 1000, talk.now)
    assert len(talk.edge.data_to_send(talk.now)) <= 10_000


def test_silence_is_pinged_twice_and_declared_dead_after_forty_seconds() -> None:
    alone = Endpoint(is_edge=True, now=0.0)
    alone.unlock(0.0)
    alone.data_to_send(0.0)
    pings, dead_at = [], None
    for second in range(60):
        if not alone.poll(float(second), 1e9 + second):
            dead_at = second
            break
        if alone.data_to_send(float(second)):
            pings.append(second)
    assert (pings, dead_at) == ([15, 30], 40)


def test_an_answered_ping_keeps_the_tunnel_alive_and_measures_the_round_trip() -> None:
    talk = Conversation()
    for _ in range(20):
        talk.now += 10
        assert talk.edge.poll(talk.now, talk.now)
        out = talk.edge.data_to_send(talk.now)
        if out:
            talk.machine.receive_data(b"".join(out), talk.now)
            answer = talk.machine.data_to_send(talk.now)
            talk.now += 0.25
            talk.edge.receive_data(b"".join(answer), talk.now)
    assert talk.edge.liveness.rtt is not None
    assert 0.1 < talk.edge.liveness.rtt <= 0.25


def test_waking_from_sleep_is_noticed_by_the_clock_and_probed_at_once() -> None:
    talk = Conversation(heartbeat=Heartbeat())
    assert talk.machine.poll(talk.now, 1000.0)
    # Ten minutes passed for the wall, one second for the process.
    assert talk.machine.poll(talk.now + 1, 1601.0)
    assert talk.machine.data_to_send(talk.now + 1)
    assert talk.machine.poll(talk.now + 3, 1603.0)
    assert not talk.machine.poll(talk.now + 4.1, 1604.1)


def test_a_whole_answer_is_what_its_three_parts_would_be_short_or_long() -> None:
    for size in (1, 2, 5000, 300_000):
        body = bytes(size)
        head = ResponseHead(200, b"OK", [(b"content-length", b"%d" % size)], length=size)
        talk = Conversation()
        _, stream = talk.opened()
        talk.machine.answer(stream, head, body, talk.now)
        replied, *rest = talk.machine_says()
        assert isinstance(replied, core.Replied)
        assert replied.head == head
        assert received(rest) == body[:INITIAL_WINDOW]
        assert bool(talk.machine.streams) == (size > INITIAL_WINDOW)


def test_whole_answers_that_nobody_takes_wait_in_their_streams() -> None:
    talk = Conversation(windows=Windows(streams=256))
    head = ResponseHead(200, b"OK", [(b"content-length", b"4000")], length=4000)
    for _ in range(250):
        _, stream = talk.opened()
        talk.machine.answer(stream, head, bytes(4000), talk.now)
    waiting = sum(map(len, talk.machine._control))
    assert waiting < 400_000
    assert len(talk.machine.streams) > 100


def test_a_stream_that_was_reset_is_not_answered() -> None:
    talk = Conversation()
    edge_stream, stream = talk.opened()
    talk.edge.reset(edge_stream, core.CANCELLED)
    talk.edge_says()
    talk.machine.answer(stream, OK, b"hello", talk.now)
    assert not talk.machine.has_output
