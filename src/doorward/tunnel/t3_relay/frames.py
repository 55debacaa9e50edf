"""The binary frames, one in each WebSocket message: twelve bytes of header, then up to 64 KiB.

    magic "T3R1" | version 1 | kind | flags (2 bytes) | stream (4 bytes), all big-endian

Pure. A frame that breaks these rules ends the connection: whoever sends one speaks another protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from doorward.http1 import Data
from doorward.tunnel.frames import ProtocolError

HEADER = struct.Struct(">IBBHI")
VERSION = 1
MAX_PAYLOAD = 64 * 1024
MAX_MESSAGE = 16 * 1024 * 1024
"""Of a WebSocket message, and of a request's body: a connector buffers either."""
MAX_STREAM_ID = 2**32 - 1

CONTROL, REQUEST_BODY, RESPONSE_BODY, TEXT, BINARY = range(1, 6)

_MAGIC = 0x54335231
_END = 1
_CONTINUATION = 2


class Frame(msgspec.Struct, frozen=True, gc=False):
    """`is_end` closes a WebSocket message, or a control frame; `is_continuation` goes on with a message."""

    kind: int
    stream: int
    payload: bytes
    is_end: bool = False
    is_continuation: bool = False


def pack(
    kind: int, stream: int, payload: Data, *, is_end: bool = False, is_continuation: bool = False
) -> bytes:
    """`payload` has at most `MAX_PAYLOAD` bytes."""
    flags = (_END if is_end else 0) | (_CONTINUATION if is_continuation else 0)
    return HEADER.pack(_MAGIC, VERSION, kind, flags, stream) + bytes(payload)


def unpack(message: bytes) -> Frame:
    """Raises ProtocolError."""
    if len(message) < HEADER.size:
        raise ProtocolError("a frame is shorter than its header")
    magic, version, kind, flags, stream = HEADER.unpack_from(message)
    payload = message[HEADER.size :]
    frame = Frame(kind, stream, payload, bool(flags & _END), bool(flags & _CONTINUATION))
    if magic != _MAGIC or version != VERSION:
        raise ProtocolError("a frame is of another protocol or version")
    if not CONTROL <= kind <= BINARY or flags & ~(_END | _CONTINUATION):
        raise ProtocolError("a frame has an unknown kind or flag")
    if stream == 0 and kind != CONTROL:
        raise ProtocolError("data belongs to no stream")
    if len(payload) > MAX_PAYLOAD:
        raise ProtocolError("a frame is too long")
    if kind in (TEXT, BINARY) and not payload and not frame.is_end:
        raise ProtocolError("a fragment is empty")
    if kind == CONTROL and not frame.is_end:
        raise ProtocolError("a control message is not whole")
    return frame


def pieces(data: Data) -> Iterator[memoryview]:
    """`data` in payloads."""
    view = memoryview(data)
    for position in range(0, len(view), MAX_PAYLOAD):
        yield view[position : position + MAX_PAYLOAD]


class MessageCutter:
    """Cuts one WebSocket's messages into frames as they come, however small a visitor's own fragments are.

    A receiver takes at most 1,024 fragments of a message and none that is empty: all but the last are full here.
    """

    __slots__ = ("_is_continuation", "_kind", "_pending", "_stream")

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._kind: int = BINARY
        self._is_continuation = False
        self._pending = b""

    def begin(self, kind: int) -> None:
        """The next message is TEXT or BINARY."""
        self._kind = kind

    def feed(self, data: bytes, *, is_last: bool) -> list[bytes]:
        """The frames that are due; the message ends with `is_last`."""
        data = self._pending + data
        whole = max(0, len(data) - 1) // MAX_PAYLOAD * MAX_PAYLOAD
        out = [self._frame(piece) for piece in pieces(data[:whole])]
        self._pending = data[whole:]
        if is_last:
            out.append(self._frame(self._pending, is_end=True))
            self._pending, self._is_continuation = b"", False
        return out

    def _frame(self, payload: Data, *, is_end: bool = False) -> bytes:
        frame = pack(self._kind, self._stream, payload, is_end=is_end, is_continuation=self._is_continuation)
        self._is_continuation = True
        return frame
