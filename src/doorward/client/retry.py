"""When to try again, as pure functions.

The delays are the protocol's: 1, 2, 4, 8, 16 seconds and then 16 for ever; a connection that held
for half a minute starts the count anew, so that one that flaps keeps backing off.
"""

from __future__ import annotations

STABLE_AFTER_SECONDS = 30.0
_DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0)


def delay_before_attempt(failures: int) -> float:
    """Seconds to wait after this many consecutive transient failures (0 means now)."""
    if failures <= 0:
        return 0.0
    return _DELAYS[min(failures, len(_DELAYS)) - 1]


def failures_after(failures: int, *, connected_seconds: float) -> int:
    """The count of consecutive failures once a connection that lasted `connected_seconds` is lost."""
    return 0 if connected_seconds >= STABLE_AFTER_SECONDS else failures
