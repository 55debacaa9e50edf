"""Bodies are read piece by piece, whatever the pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.http1 import serialising
from doorward.http1.bodies import BodyError, BodyReader, ChunkedReader, LengthReader


def read(reader: BodyReader, wire: bytes, cuts: list[int]) -> tuple[bytes, bytes, bool]:
    body, position, is_end = b"", 0, False
    for cut in sorted({min(cut, len(wire)) for cut in cuts} | {len(wire)}):
        if is_end:
            break
        piece = reader.feed(wire[position:cut])
        position = cut
        body += b"".join(bytes(part) for part in piece.data)
        is_end = piece.is_end
        if is_end:
            return body, piece.rest + wire[position:], True
    return body, b"", is_end


CUTS = st.lists(st.integers(0, 400), max_size=30)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6), CUTS, st.binary(max_size=20))
def test_chunks_survive_any_cutting(parts: list[bytes], cuts: list[int], behind: bytes) -> None:
    wire = b"".join(b"".join(bytes(piece) for piece in serialising.chunk(part)) for part in parts)
    wire += serialising.last_chunk([(b"x-sum", b"42")]) + behind
    reader = ChunkedReader()
    assert read(reader, wire, cuts) == (b"".join(parts), behind, True)
    assert reader.trailers == [(b"x-sum", b"42")]


@given(st.binary(max_size=100), CUTS, st.binary(max_size=20))
def test_a_length_is_exact_whatever_the_cutting(body: bytes, cuts: list[int], behind: bytes) -> None:
    if body:
        assert read(LengthReader(len(body)), body + behind, cuts) == (body, behind, True)


@pytest.mark.parametrize(
    "wire",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"\r\n5\r\nhello\r\n",
        b"ffffffffffffffffff\r\n",
        b"5;a=\x00\r\nhello\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"5;" + b"x" * 5000 + b"\r\n",
        b"0\r\n" + b"a: b\r\n" * 4000,
    ],
)
def test_a_chunk_that_parsers_could_read_differently_is_refused(wire: bytes) -> None:
    with pytest.raises(BodyError):
        ChunkedReader().feed(wire)


def test_a_trailer_cannot_smuggle_a_framing_or_credential_header() -> None:
    reader = ChunkedReader()
    reader.feed(b"0\r\nContent-Length: 5\r\nAuthorization: x\r\nX-Fine: y\r\n\r\n")
    assert reader.trailers == [(b"x-fine", b"y")]


@given(st.binary(max_size=200))
def test_any_bytes_are_chunks_or_a_clear_refusal(noise: bytes) -> None:
    try:
        ChunkedReader().feed(noise)
    except BodyError as refusal:
        assert str(refusal)
