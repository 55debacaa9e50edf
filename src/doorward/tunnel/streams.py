"""One stream's two directions: what waits to be sent, what credit there is, how large its window grew."""

from __future__ import annotations

from collections import deque
from typing import Any

from doorward.http1 import Data, Headers

INITIAL_WINDOW = 256 * 1024
"""Credit both ends assume for a new stream, in bytes. Part of the wire."""


class Stream:
    """State only; `Endpoint` moves it. `context` belongs to the shell: its `LinkStream`, called with what arrives."""

    __slots__ = (
        "allowance",
        "context",
        "credit",
        "debt",
        "fin",
        "id",
        "is_choked",
        "is_local_ended",
        "is_remote_ended",
        "is_scheduled",
        "queue",
        "queued",
        "recent_bytes",
        "recent_since",
        "uncredited",
        "window",
        "window_consumed",
        "window_since",
    )

    def __init__(self, stream_id: int) -> None:
        self.id = stream_id
        self.context: Any = None
        # Sending.
        self.credit = INITIAL_WINDOW
        self.queue: deque[Data] = deque()
        self.queued = 0
        self.fin: Headers | None = None
        self.is_scheduled = False
        self.is_choked = False
        self.is_local_ended = False
        self.recent_bytes = 0
        self.recent_since = 0.0
        # Receiving.
        self.allowance = INITIAL_WINDOW
        self.window = INITIAL_WINDOW
        self.uncredited = 0
        self.debt = 0
        self.window_consumed = 0
        self.window_since: float | None = None
        self.is_remote_ended = False

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
