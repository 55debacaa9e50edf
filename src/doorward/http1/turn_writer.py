"""One write for everything a turn of the loop produces for a connection: a head and its body leave in one segment.

uvloop writes through at once, so that every small `write` would be a system call and, under TLS, a record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from doorward.http1.exchange import Data

_JOIN_BYTES = 8 * 1024
_FLUSH_BYTES = 256 * 1024


class Turn:
    """One callback at the end of a loop's turn for all its writers."""

    __slots__ = ("_loop", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.due: list[TurnWriter] = []

    def begin(self) -> None:
        """Before the first writer becomes due."""
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        due, self.due = self.due, []
        for writer in due:
            writer.is_due = False
            try:
                writer.flush()
            except Exception as error:
                # One connection's trouble is not its neighbours'.
                self._loop.call_exception_handler(
                    {"message": "a turn could not be written", "exception": error}
                )


class TurnWriter:
    """Holds at most `_FLUSH_BYTES` and only until the loop's next turn; back-pressure is the transport's own."""

    __slots__ = ("_pieces", "_size", "_transport", "_turn", "is_due")

    def __init__(self, turn: Turn, transport: asyncio.WriteTransport) -> None:
        self._turn = turn
        self._transport = transport
        self._pieces: list[Data] = []
        self._size = 0
        self.is_due = False

    def write(self, data: Data) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _FLUSH_BYTES:
            self.flush()
        elif not self.is_due:
            self.is_due = True
            due = self._turn.due
            if not due:
                self._turn.begin()
            due.append(self)

    def writelines(self, pieces: Iterable[Data]) -> None:
        for piece in pieces:
            self.write(piece)

    def flush(self) -> None:
        pieces = self._pieces
        if not pieces:
            return
        size, self._pieces, self._size = self._size, [], 0
        transport = self._transport
        if transport.is_closing():
            return
        if len(pieces) == 1:
            transport.write(pieces[0])
        elif size <= _JOIN_BYTES or transport.get_write_buffer_size():
            # What the socket does not take at once must not keep the buffers it was received in.
            transport.write(b"".join(pieces))
        else:
            transport.writelines(pieces)

    def close(self) -> None:
        """Close the connection after what was written."""
        self.flush()
        self._transport.close()
