"""Which endpoint wants what. Pure."""

from __future__ import annotations

from collections.abc import Collection

from doorward.identity.webhooks.kinds import NAMED_ONLY, EventKind


def wants(chosen: Collection[str], kind: EventKind) -> bool:
    """Whether an endpoint with this choice of kinds is told of one. No choice is every kind but those to be named."""
    return kind in chosen if chosen else kind not in NAMED_ONLY


def secret_context(secret_id: str) -> str:
    """What a sealed secret of an endpoint is bound to."""
    return f"identity/webhook-secret/{secret_id}"
