"""How much all receive windows of a process may grow together. Pure, but for looking up the machine's memory.

Every stream has its initial window whatever happens: both ends assume it. What windows grow beyond that comes out of
one budget; when it is nearly spent, those that have grown give half of it back as they go on.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_SHARE = 4
_TIGHT = 0.9
_CGROUP = Path("/sys/fs/cgroup/memory.max")


class WindowBudget:
    """`limit` in bytes, shared by every tunnel of a process."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    @property
    def is_tight(self) -> bool:
        return self.used > self.limit * _TIGHT

    def take(self, size: int) -> int:
        """`size`, or 0 when that is not left."""
        if self.used + size > self.limit:
            return 0
        self.used += size
        return size

    def give_back(self, size: int) -> None:
        self.used -= size


def quarter_of_memory() -> int:
    """A quarter of what this process may use, in bytes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # Without a container there is no such file, without a limit in one it says "max".
    with contextlib.suppress(OSError, ValueError):
        memory = min(memory, int(_CGROUP.read_text()))
    return memory // _SHARE
