"""The frames: how bytes on the tunnel's connection are cut. docs/tunnel.md gives every field.

A frame is `type u8 | flags u8 | stream u32 | length u32` in network order, then `length` bytes.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

from doorward.http1 import Data

HEADER = struct.Struct(">BBII")
HEADER_BYTES = HEADER.size

OPEN = 1
REPLY = 2
DATA = 3
WINDOW = 4
END = 5
RESET = 6
PING = 7
PONG = 8
GOAWAY = 9
CONFIG = 10
NONCE = 11
AUTH = 12
WANTED = 13
HEALTH = 14
_KNOWN = frozenset(range(OPEN, HEALTH + 1))

MANDATORY = 0x01
"""A receiver that does not know the type must give up the connection instead of skipping the frame."""
FIN = 0x02
"""On OPEN, REPLY and DATA: nothing more follows in this direction."""

DATA_BYTES = 64 * 1024
_COPY_BYTES = 8 * 1024
MESSAGE_BYTES = 128 * 1024
"""Cap of every other payload: a head of 64 KiB, encoded, with the fields the edge adds."""


class ProtocolError(Exception):
    """The other end broke the protocol: the tunnel is over."""


Frame: TypeAlias = tuple[int, int, int, Data]
"""Type, flags, stream, payload: one frame, or one part of a DATA frame; FIN stands on the last part only."""


def pack(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, flags, stream, len(payload)) + payload


class FrameReader:
    """Cuts a byte stream into frames. DATA is passed on as it comes, never assembled; other frames are whole."""

    __slots__ = ("_flags", "_kept", "_left", "_stream", "_type")

    def __init__(self) -> None:
        self._kept = b""
        self._type = self._flags = self._stream = self._left = 0

    def feed(self, data: bytes | memoryview) -> list[Frame]:
        """Raises ProtocolError."""
        if self._kept:
            data, self._kept = self._kept + bytes(data), b""
        frames: list[Frame] = []
        # A part of DATA from a large read is a view of it; short ones are copied, which costs less than a view.
        large = memoryview(data) if len(data) > _COPY_BYTES else None
        position, size = 0, len(data)
        while True:
            if self._left:
                # Inside a DATA frame, or inside one that is skipped.
                take = min(self._left, size - position)
                if not take:
                    return frames
                self._left -= take
                if self._type == DATA:
                    flags = 0 if self._left else self._flags
                    end = position + take
                    part: Data
                    if large is not None and take > _COPY_BYTES:
                        part = large[position:end]
                    else:
                        part = bytes(data[position:end])
                    frames.append((DATA, flags, self._stream, part))
                position += take
                continue
            if size - position < HEADER_BYTES:
                self._kept = bytes(data[position:])
                return frames
            kind, flags, stream, length = HEADER.unpack_from(data, position)
            if kind == DATA:
                if length > DATA_BYTES:
                    raise ProtocolError("a DATA frame is too long")
                position += HEADER_BYTES
                if length:
                    self._type, self._flags, self._stream, self._left = DATA, flags, stream, length
                else:
                    frames.append((DATA, flags, stream, b""))
                continue
            if length > MESSAGE_BYTES:
                raise ProtocolError("a frame is too long")
            if kind not in _KNOWN:
                if flags & MANDATORY:
                    raise ProtocolError(f"frame type {kind} is unknown and must not be skipped")
                position += HEADER_BYTES
                self._type, self._left = kind, length
                continue
            end = position + HEADER_BYTES + length
            if end > size:
                self._kept = bytes(data[position:])
                return frames
            frames.append((kind, flags, stream, bytes(data[position + HEADER_BYTES : end])))
            position = end
