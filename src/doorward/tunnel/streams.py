"""One stream's two directions: what waits to be sent, what credit there is, how large its window grew."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from doorward.http1 import Data, Headers

INITIAL_WINDOW = 256 * 1024
"""Credit both ends assume for a new stream, in bytes. Part of the wire."""


class Stream(msgspec.Struct, eq=False):
    """State only; `Endpoint` moves it. `context` belongs to the shell: its `LinkStream`, called with what arrives.

    A struct, because one is made for every request and msgspec fills in the defaults without running Python.
    """

    id: int
    context: Any = None
    # Sending.
    credit: int = INITIAL_WINDOW
    queue: deque[Data] = msgspec.field(default_factory=deque)
    queued: int = 0
    fin: Headers | None = None
    is_scheduled: bool = False
    is_choked: bool = False
    is_local_ended: bool = False
    recent_bytes: int = 0
    recent_since: float = 0.0
    # Receiving.
    allowance: int = INITIAL_WINDOW
    window: int = INITIAL_WINDOW
    uncredited: int = 0
    debt: int = 0
    window_consumed: int = 0
    window_since: float | None = None
    is_remote_ended: bool = False

    def put(self, data: Data) -> None:
        self.queue.append(data)
        self.queued += len(data)

    def take(self, size: int) -> list[Data]:
        """The next `size` bytes of the queue, which holds at least so many; pieces are views, nothing is copied."""
        self.queued -= size
        queue = self.queue
        pieces: list[Data] = []
        while size:
            first = queue[0]
            length = len(first)
            if length <= size:
                pieces.append(queue.popleft())
                size -= length
            else:
                view = memoryview(first)
                pieces.append(view[:size])
                queue[0] = view[size:]
                break
        return pieces
