"""Where the frames of a WebSocket end that only passes by, so that a close can be put between two of them.

Reads nothing but lengths: the edge forwards these bytes as they are. RFC 6455 §5.2.
"""

from __future__ import annotations

from doorward.http1 import Data

SERVICE_RESTART = b"\x88\x02" + (1012).to_bytes(2, "big")
"""A server's close frame: come back at once. RFC 6455 §7.4.2's registry."""


class MessageFrames:
    """One direction of one WebSocket, from its first byte on."""

    __slots__ = ("_header", "_left")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    @property
    def is_between(self) -> bool:
        """The last byte seen was the last of a frame."""
        return not self._left and not self._header

    def feed(self, data: Data) -> None:
        position, size = 0, len(data)
        while position < size:
            position += self._step(data, position)

    def end_of_frame(self, data: Data) -> int | None:
        """How many of the next bytes still belong to the frame under way; None when it goes on behind them."""
        position, size = 0, len(data)
        while not self.is_between:
            if position == size:
                return None
            position += self._step(data, position)
        return position

    def _step(self, data: Data, position: int) -> int:
        """Take payload, or a piece of the header; how many bytes."""
        if self._left:
            taken = min(self._left, len(data) - position)
            self._left -= taken
            return taken
        missing = _header_bytes(self._header) - len(self._header)
        piece = bytes(data[position : position + missing])
        self._header += piece
        if len(self._header) == _header_bytes(self._header):
            self._left, self._header = _payload_bytes(self._header), b""
        return len(piece)


def _header_bytes(header: bytes) -> int:
    """The header's length, as far as it is known from its beginning."""
    if len(header) < 2:
        return 2
    length = header[1] & 0x7F
    return 2 + (2 if length == 126 else 8 if length == 127 else 0) + (4 if header[1] & 0x80 else 0)


def _payload_bytes(header: bytes) -> int:
    length = header[1] & 0x7F
    if length == 126:
        return int.from_bytes(header[2:4], "big")
    if length == 127:
        return int.from_bytes(header[2:10], "big")
    return length
