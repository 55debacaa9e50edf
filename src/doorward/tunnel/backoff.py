"""When to dial again: full jitter, applied after the cap, so that a restarted edge is not met by a herd."""

from __future__ import annotations

from collections.abc import Callable

FIRST_SECONDS = 1.0
BASE_SECONDS = 0.5
CAP_SECONDS = 30.0
FINAL_CAP_SECONDS = 300.0
"""After a refusal that will not change by itself."""
SUPERSEDED_SECONDS = 60.0
SUPERSEDED_CAP_SECONDS = 1200.0
SETTLED_SECONDS = 3600.0
"""A tunnel that lived so long was not one of two that take it from each other."""


class Backoff:
    """`uniform(low, high)` is the source of chance, in seconds."""

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self._attempt = 0
        self._superseded = 0

    def reset(self) -> None:
        """A tunnel was open: start over."""
        self._attempt = 0

    def next(self, *, not_before: float = 0.0, spread: float = 0.0, is_final: bool = False) -> float:
        """Seconds to wait. `not_before` is a server's Retry-After, `spread` the time over which it wants us back."""
        if is_final:
            return not_before + self._uniform(FINAL_CAP_SECONDS / 10, FINAL_CAP_SECONDS)
        if spread > 0:
            return not_before + self._uniform(0.0, min(spread, FINAL_CAP_SECONDS))
        limit = FIRST_SECONDS if self._attempt == 0 else min(CAP_SECONDS, BASE_SECONDS * 2**self._attempt)
        self._attempt = min(self._attempt + 1, 16)
        return not_before + self._uniform(0.0, limit)

    def next_superseded(self, *, lived: float) -> float:
        """Seconds to wait after another connector took the tunnel, which had `lived` so many seconds.

        Two connectors of one token (a copied machine) would take it from each other for ever: each time one waits twice
        as long, up to 20 to 30 minutes. `reset` does not shorten that, since each of them is connected in between.
        """
        if lived >= SETTLED_SECONDS:
            self._superseded = 0
        least = min(SUPERSEDED_CAP_SECONDS, SUPERSEDED_SECONDS * 2**self._superseded)
        self._superseded = min(self._superseded + 1, 16)
        return self._uniform(least, 1.5 * least)
