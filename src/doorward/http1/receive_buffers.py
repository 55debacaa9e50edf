"""Where bulk is received: a few large buffers used again and again, instead of a fresh object for every read.

Fresh quarter-megabyte objects cost more than the copying: the allocator gives such pages back to the system and
faults them in anew, and bytes that were just received fall out of the processor's cache.
"""

from __future__ import annotations

from sys import getrefcount

BUFFER_BYTES = 256 * 1024
_KEPT = 16
# In `take`: the list, the loop's variable and getrefcount's argument. A view that somebody still holds is one more.
_REFERENCES_WHEN_FREE = 3


class ReceiveBuffers:
    """One per loop, shared by its connections: not safe between threads.

    A buffer is free again when nobody holds a view of it any more, so that a receiver may pass views on without copying
    and without saying when it is done. Short views should be copied instead: they keep a whole buffer.
    """

    __slots__ = ("_buffers",)

    def __init__(self) -> None:
        self._buffers: list[bytearray] = []

    def take(self) -> memoryview:
        for buffer in self._buffers:
            if getrefcount(buffer) == _REFERENCES_WHEN_FREE:
                return memoryview(buffer)
        fresh = bytearray(BUFFER_BYTES)
        if len(self._buffers) < _KEPT:
            self._buffers.append(fresh)
        return memoryview(fresh)
