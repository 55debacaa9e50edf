"""What the engine's one slow clock looks at."""

from __future__ import annotations

from typing import Protocol


class Expiring(Protocol):
    """Something that gives up at `deadline`, in seconds of the loop's clock; infinity means never."""

    deadline: float

    def expire(self) -> None: ...
