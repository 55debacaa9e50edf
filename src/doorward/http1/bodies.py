"""Reading a body piece by piece, without holding it: by length, by chunks, or until the connection ends.

A reader takes the bytes at hand and says what of them is body and what lies behind it. RFC 9112 §6-7.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

from doorward.http1.exchange import Data
from doorward.http1.heads import Headers

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
_TRAILER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)\r\n")
_CHUNK_LINE_BYTES = 4096
_TRAILER_BYTES = 16 * 1024
# A trailer may not change framing, routing or credentials after the fact (RFC 9110 §6.5.1).
_FORBIDDEN_TRAILERS = frozenset(
    {b"transfer-encoding", b"content-length", b"host", b"connection", b"trailer", b"upgrade", b"te", b"keep-alive",
     b"authorization", b"cookie", b"set-cookie", b"content-encoding", b"content-type", b"content-range", b"expect"}
)  # fmt: skip


class BodyError(Exception):
    """The body breaks its framing; the message is safe to show."""


class Piece(NamedTuple):
    """`data` is body; `rest` follows the body when `is_end`, else it is empty."""

    data: list[Data]
    is_end: bool
    rest: bytes


class BodyReader(Protocol):
    def feed(self, data: bytes) -> Piece:
        """Raises BodyError."""

    @property
    def trailers(self) -> Headers: ...


class LengthReader:
    """Exactly `length` bytes."""

    __slots__ = ("remaining", "trailers")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.trailers: Headers = []

    def feed(self, data: bytes | memoryview) -> Piece:
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            return Piece([data], False, b"")
        end, self.remaining = self.remaining, 0
        if size == end:
            return Piece([data] if size else [], True, b"")
        return Piece([memoryview(data)[:end]] if end else [], True, bytes(data[end:]))


class UntilCloseReader:
    """Everything there is; the owner of the connection knows the end."""

    __slots__ = ("trailers",)

    def __init__(self) -> None:
        self.trailers: Headers = []

    def feed(self, data: bytes) -> Piece:
        return Piece([data], False, b"")


class ChunkedReader:
    """The chunked coding, strictly: CRLF only, no whitespace around sizes, extensions and trailers bounded."""

    __slots__ = ("_after_chunk", "_in_trailers", "_kept", "_remaining", "_trailer_bytes", "trailers")

    def __init__(self) -> None:
        self.trailers: Headers = []
        self._remaining = 0
        self._after_chunk = False
        self._in_trailers = False
        self._trailer_bytes = 0
        self._kept = b""

    def feed(self, data: bytes) -> Piece:
        if self._kept:
            data, self._kept = self._kept + data, b""
        pieces: list[Data] = []
        position, size = 0, len(data)
        view = memoryview(data)
        while True:
            if self._remaining:
                take = min(self._remaining, size - position)
                if take:
                    pieces.append(view[position : position + take])
                    position += take
                    self._remaining -= take
                if self._remaining:
                    return Piece(pieces, False, b"")
            line_end = data.find(b"\n", position)
            if line_end < 0:
                self._keep(data, position, size)
                return Piece(pieces, False, b"")
            line, position = data[position : line_end + 1], line_end + 1
            if self._after_chunk:
                if line != b"\r\n":
                    raise BodyError("a chunk is longer than its size")
                self._after_chunk = False
            elif self._in_trailers:
                if line == b"\r\n":
                    return Piece(pieces, True, data[position:])
                self._trailer(line)
            else:
                self._chunk_line(line)

    def _keep(self, data: bytes, position: int, size: int) -> None:
        if size - position > _CHUNK_LINE_BYTES:
            raise BodyError("a chunk's size line is too long")
        self._kept = data[position:]

    def _chunk_line(self, line: bytes) -> None:
        match = _CHUNK_LINE.fullmatch(line) if len(line) <= _CHUNK_LINE_BYTES else None
        if match is None:
            raise BodyError("a chunk's size line is malformed")
        self._remaining = int(match[1], 16)
        if self._remaining:
            self._after_chunk = True
        else:
            self._in_trailers = True

    def _trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        match = _TRAILER.fullmatch(line)
        if match is None or self._trailer_bytes > _TRAILER_BYTES:
            raise BodyError("the trailers are malformed or too large")
        name = match[1].lower()
        if name not in _FORBIDDEN_TRAILERS:
            self.trailers = [*self.trailers, (name, match[2].rstrip(b" \t"))]
