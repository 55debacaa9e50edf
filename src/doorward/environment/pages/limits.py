"""How often one visitor may ask: token buckets on plain values, and a bound on waiting requests."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager

_MOST_KEPT = 4096


class RateLimit:
    """`burst` requests at once, then one every `interval` milliseconds, for each key.

    What is kept is bounded: when too many keys are about, the full buckets are forgotten (they have nothing to
    remember), and if that is not enough everybody shares one bucket until it is.
    """

    def __init__(self, *, burst: int, interval: int) -> None:
        self._burst = burst
        self._interval = interval
        self._empty_until: dict[Hashable, int] = {}

    def retry_after(self, key: Hashable, now: int) -> int | None:
        """None when this request may go on (and is counted); else after how many milliseconds to come again."""
        if key not in self._empty_until and len(self._empty_until) >= _MOST_KEPT:
            self._empty_until = {kept: until for kept, until in self._empty_until.items() if until > now}
            if len(self._empty_until) >= _MOST_KEPT:
                key = None
        # A bucket is the moment at which it will be full again (GCRA): one number, no refill task.
        full_at = max(self._empty_until.get(key, now), now)
        wait = full_at + self._interval - (now + self._burst * self._interval)
        if wait > 0:
            return wait
        self._empty_until[key] = full_at + self._interval
        return None


class Waiting:
    """How many requests wait for an answer at this moment, for each key and in all."""

    def __init__(self, *, per_key: int, total: int) -> None:
        self._per_key = per_key
        self._total = total
        self._counts: dict[str, int] = {}

    @contextmanager
    def place(self, key: str) -> Iterator[bool]:
        """Yields whether there is a place; it is given back at the end."""
        has_place = self._counts.get(key, 0) < self._per_key and sum(self._counts.values()) < self._total
        if not has_place:
            yield False
            return
        self._counts[key] = self._counts.get(key, 0) + 1
        try:
            yield True
        finally:
            self._counts[key] -= 1
            if self._counts[key] == 0:
                del self._counts[key]
