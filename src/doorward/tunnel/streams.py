"""One stream's two directions: what waits to be sent, what credit there is, how large its window grew."""

from __future__ import annotations

from collections import deque

import msgspec

from doorward.http1 import Data, Headers, ResponseHead

INITIAL_WINDOW = 256 * 1024
"""Credit both ends assume for a new stream, in bytes. Part of the wire."""


class Stream(msgspec.Struct, eq=False):
    """`Endpoint` moves it; a shell's subclass is told by its link what arrives.

    A struct, because one is made for every request and msgspec fills in the defaults without running Python. State and
    shell are one object: two that know each other would be a cycle, which only the garbage collector takes apart.
    """

    id: int = 0
    # Sending.
    credit: int = INITIAL_WINDOW
    queue: deque[Data] | None = None
    """None until something has to wait: most streams carry one short answer, which does not."""
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
        queue = self.queue
        if queue is None:
            queue = self.queue = deque()
        queue.append(data)
        self.queued += len(data)

    def take(self, size: int) -> list[Data]:
        """The next `size` bytes of the queue, which holds at least so many; pieces are views, nothing is copied."""
        self.queued -= size
        queue = self.queue or deque()
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

    # What a shell does with it.

    def opened(self) -> None:
        """The other end began it."""

    def choke(self) -> None: ...
    def unchoke(self) -> None: ...
    def replied(self, head: ResponseHead, is_end: bool) -> None: ...
    def answered(self, head: ResponseHead, data: Data) -> None:
        """`replied` and all there is to receive, in one."""

    def received(self, data: Data, is_end: bool) -> None: ...
    def ended(self, trailers: Headers) -> None: ...
    def was_reset(self, code: int) -> None: ...
    def lost(self) -> None:
        """The connection is over."""
