"""What a person types, without keeping the event loop or the end of the program waiting for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading


class Input:
    """Standard input, read by a thread of its own that does not outlive the program.

    It reads the descriptor and not `sys.stdin`: a thread that still holds that object's lock when the interpreter ends
    takes the interpreter down with it.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._unread = b""
        self._is_started = False

    async def piece(self) -> bytes:
        """What was typed next; empty at the end of input, then ever again."""
        if not self._is_started:
            self._is_started = True
            threading.Thread(target=self._read, daemon=True, name="standard input").start()
        found = await self._pieces.get()
        if not found:
            self._pieces.put_nowait(b"")
        return found

    async def line(self) -> str | None:
        """The next line without its end; None at the end of input."""
        while b"\n" not in self._unread:
            found = await self.piece()
            if not found:
                rest, self._unread = self._unread, b""
                return rest.decode("utf-8", "replace") if rest else None
            self._unread += found
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode("utf-8", "replace")

    def _read(self) -> None:
        found = b"start"
        while found:
            try:
                found = os.read(self._descriptor, 4096)
            except OSError:
                found = b""
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody reads any more
                self._loop.call_soon_threadsafe(self._pieces.put_nowait, found)
