"""Rows of the audit trail."""

import secrets

import msgspec

from doorward.store import Tx


class Origin(msgspec.Struct, frozen=True):
    """Where a change came from: the peer's address (empty behind a unix socket) and the request's trace id."""

    source: str
    trace_id: str


RELAY_ITSELF = Origin(source="relay", trace_id="unavailable")


def record(
    tx: Tx,
    *,
    at: int,
    actor: str,
    action: str,
    object_id: str,
    origin: Origin,
    detail: dict[str, str] | None = None,
) -> None:
    """Add one row. `action` is `<noun>.<past participle>`, for instance `link.revoked`."""
    tx.execute(
        "INSERT INTO relay_audit (id, at, actor, action, object, source, trace_id, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            secrets.token_hex(16),
            at,
            actor,
            action,
            object_id,
            origin.source,
            origin.trace_id,
            msgspec.json.encode(detail or {}).decode(),
        ),
    )
