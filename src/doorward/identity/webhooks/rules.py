"""Which endpoint wants what, when a delivery is tried again and when an endpoint is given up. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from doorward.identity.settings import DAY, HOUR, MINUTE
from doorward.identity.webhooks.kinds import NAMED_ONLY, EventKind

#: After the first attempt, which is made at once: Svix's schedule.
RETRY_MS = (5_000, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR)
MOST_ATTEMPTS = len(RETRY_MS) + 1
#: A pause is up to this much longer, so that what failed together does not come back together.
JITTER = 0.2
#: An endpoint where nothing arrived for so long is disabled.
DISABLE_AFTER_MS = 5 * DAY
#: How long a replaced secret goes on signing beside the new one.
OVERLAP_MS = DAY
KEEP_MS = 30 * DAY
_GONE = 410

Verdict = Literal["delivered", "retry", "failed", "failed_and_disabled", "gone"]


def wants(chosen: Collection[str], kind: EventKind) -> bool:
    """Whether an endpoint with this choice of kinds is told of one. No choice is every kind but those to be named."""
    return kind in chosen if chosen else kind not in NAMED_ONLY


def verdict(*, status: int | None, attempts: int, failing_since: int | None, now: int) -> Verdict:
    """What follows from an answer, or from none. Only 2xx is success: a redirect is not followed, so nobody got it."""
    if status is not None and 200 <= status < 300:
        return "delivered"
    if status == _GONE:
        return "gone"
    if failing_since is not None and now - failing_since >= DISABLE_AFTER_MS:
        return "failed_and_disabled"
    return "failed" if attempts >= MOST_ATTEMPTS else "retry"


def pause_ms(attempts: int, draw: float) -> int:
    """How long after the attempt of this number the next one is due; `draw` is between 0 and 1."""
    return round(RETRY_MS[attempts - 1] * (1 + JITTER * draw))


def secret_context(secret_id: str) -> str:
    """What a sealed secret of an endpoint is bound to."""
    return f"identity/webhook-secret/{secret_id}"
