"""Whatever bytes come: frames are read as they were written, or refused; nothing else happens."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.tunnel.admission import TunnelHello
from doorward.tunnel.frames import ProtocolError
from doorward.tunnel.t3_relay import control, heads
from doorward.tunnel.t3_relay.frames import (
    BINARY,
    CONTROL,
    MAX_PAYLOAD,
    REQUEST_BODY,
    TEXT,
    MessageCutter,
    pack,
    unpack,
)
from doorward.tunnel.t3_relay.tickets import TICKET_SECONDS, Tickets
from tests.tunnel.t3_relay.machine import CONTINUATION, END, frame


@given(
    kind=st.integers(REQUEST_BODY, BINARY),
    stream=st.integers(1, 2**32 - 1),
    payload=st.binary(min_size=1, max_size=300),
    is_end=st.booleans(),
    is_continuation=st.booleans(),
)
def test_a_frame_is_read_as_it_was_written(
    kind: int, stream: int, payload: bytes, is_end: bool, is_continuation: bool
) -> None:
    wire = pack(kind, stream, payload, is_end=is_end, is_continuation=is_continuation)
    assert wire == frame(kind, stream, payload, is_end * END + is_continuation * CONTINUATION)
    read = unpack(wire)
    assert (read.kind, read.stream, read.payload) == (kind, stream, payload)
    assert (read.is_end, read.is_continuation) == (is_end, is_continuation)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: b"T3R1\x01" + rest))
def test_any_other_bytes_are_refused_by_name(message: bytes) -> None:
    try:
        read = unpack(message)
        if read.kind == CONTROL:
            control.decode(read)
    except ProtocolError:
        return
    assert message.startswith(b"T3R1\x01")


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        frame(TEXT, 1, b"x")[:11],
        b"T3R2" + frame(TEXT, 1, b"x")[4:],
        frame(TEXT, 1, b"x").replace(b"R1\x01", b"R1\x02"),
        frame(0, 1, b"x"),
        frame(6, 1, b"x"),
        frame(TEXT, 1, b"x", 4),
        frame(TEXT, 0, b"x"),
        frame(TEXT, 1, b""),
        frame(CONTROL, 1, b"{}"),
        frame(BINARY, 1, bytes(MAX_PAYLOAD + 1)),
    ],
)
def test_what_the_protocol_forbids_is_refused(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        unpack(wire)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([TEXT, BINARY]),
            st.lists(st.integers(0, 3 * MAX_PAYLOAD // 2), min_size=1, max_size=5),
        ),
        max_size=3,
    )
)
def test_messages_cut_anywhere_come_out_whole(messages: list[tuple[int, list[int]]]) -> None:
    cutter = MessageCutter(7)
    for kind, sizes in messages:
        cutter.begin(kind)
        fragments = [
            piece
            for number, size in enumerate(sizes, 1)
            for piece in cutter.feed(bytes([number]) * size, is_last=number == len(sizes))
        ]
        assert all(struct.unpack_from(">B", piece, 5) == (kind,) for piece in fragments)
        read = [unpack(piece) for piece in fragments]
        assert b"".join(piece.payload for piece in read) == b"".join(
            bytes([number]) * size for number, size in enumerate(sizes, 1)
        )
        assert [piece.is_end for piece in read] == [False] * (len(read) - 1) + [True]
        assert [piece.is_continuation for piece in read] == [False] + [True] * (len(read) - 1)
        assert all(len(piece.payload) == MAX_PAYLOAD for piece in read[:-1])


def test_a_message_of_the_tiniest_fragments_stays_within_what_a_receiver_takes() -> None:
    cutter = MessageCutter(1)
    cutter.begin(BINARY)
    pieces = [piece for n in range(5000) for piece in cutter.feed(b"x", is_last=n == 4999)]
    assert len(pieces) == 1


_NAMES = st.sampled_from(["content-type", "content-length", "x", "set-cookie", "connection"]) | st.text(
    max_size=5
)


@given(st.integers(100, 599), st.lists(st.tuples(_NAMES, st.text(max_size=8))), st.booleans())
def test_no_response_head_can_be_split_or_framed_by_its_machine(
    status: int, headers: list[tuple[str, str]], is_head: bool
) -> None:
    try:
        head = heads.response_head(status, headers, is_head=is_head)
    except ProtocolError:
        return
    assert status >= 200
    block = b"".join(b"%b: %b\r\n" % item for item in head.headers)
    assert block.count(b"\n") == len(head.headers)
    assert not {b"connection", b"transfer-encoding", b"upgrade"} & {name for name, _ in head.headers}
    told = [value for name, value in head.headers if name == b"content-length"]
    assert len(told) <= 1
    if head.length > 0:
        assert [int(value) for value in told] == [head.length]


def hello(environment: str, word: str) -> TunnelHello:
    return TunnelHello(environment, 1, "proof", "127.0.0.1", word)


def test_a_ticket_lives_for_half_a_minute_and_once() -> None:
    tickets = Tickets()
    issued = tickets.issue(hello("env-1", "a"), now=100.0)
    assert tickets.redeem("b", "env-1", now=100.0) is None
    assert tickets.redeem("a", "env-2", now=100.0) is None
    assert tickets.redeem("a", "env-1", now=100.0 + TICKET_SECONDS - 1) == issued.hello
    assert tickets.redeem("a", "env-1", now=100.0) is None
    tickets.issue(hello("env-1", "c"), now=100.0)
    assert tickets.redeem("c", "env-1", now=100.0 + TICKET_SECONDS) is None


def test_a_newer_ticket_takes_an_unused_one_s_place() -> None:
    tickets = Tickets()
    tickets.issue(hello("env-1", "a"), now=0.0)
    tickets.issue(hello("env-1", "b"), now=0.0)
    assert tickets.redeem("a", "env-1", now=0.0) is None
    assert tickets.redeem("b", "env-1", now=0.0) is not None
