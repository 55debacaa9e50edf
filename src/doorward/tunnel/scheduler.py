"""Whose turn is it: round robin over the streams that have bytes and credit, small talkers first.

This is deficit round robin with nothing to carry over: a frame can be cut at any byte, so a turn never exceeds its
quantum. A stream that sent less than 64 KiB in the last second (a page, an API call, a WebSocket) goes before bulk.
While several talk, a turn is 16 KiB; bulk among itself takes 64 KiB at a time: nobody small waits behind it, and a
quarter of the frames is a quarter of the work at both ends.
"""

from __future__ import annotations

from collections import deque

from doorward.tunnel.frames import DATA_BYTES
from doorward.tunnel.streams import Stream

QUANTUM = 16 * 1024
_TALK_BYTES = 64 * 1024
_TALK_SECONDS = 1.0


class Scheduler:
    __slots__ = ("_bulk", "_talk")

    def __init__(self) -> None:
        self._talk: deque[Stream] = deque()
        self._bulk: deque[Stream] = deque()

    def __bool__(self) -> bool:
        return bool(self._talk or self._bulk)

    def add(self, stream: Stream, now: float) -> None:
        """The stream has something to send; adding it twice is harmless."""
        if stream.is_scheduled:
            return
        stream.is_scheduled = True
        if now - stream.recent_since > _TALK_SECONDS:
            stream.recent_since = now
            stream.recent_bytes = 0
        (self._talk if stream.recent_bytes < _TALK_BYTES else self._bulk).append(stream)

    def next(self) -> tuple[Stream, int] | None:
        """The stream whose turn it is, no longer scheduled, and how many bytes it may send."""
        queue = self._talk or self._bulk
        if not queue:
            return None
        stream = queue.popleft()
        stream.is_scheduled = False
        return stream, QUANTUM if self._talk else DATA_BYTES

    def remove(self, stream: Stream) -> None:
        if stream.is_scheduled:
            stream.is_scheduled = False
            for queue in (self._talk, self._bulk):
                if stream in queue:
                    queue.remove(stream)
