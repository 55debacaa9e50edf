"""Rows of `identity_audit`."""

from __future__ import annotations

import msgspec

from doorward.identity.identifiers import new_id
from doorward.store import Tx


class AuditEvent(msgspec.Struct, frozen=True):
    at: int
    actor: str | None
    action: str
    object: str
    ip: str
    detail: str


def record(
    tx: Tx, *, now: int, actor: str | None, action: str, object_id: str, ip: str = "", detail: str = ""
) -> None:
    """Add one event. `actor` is a user's id, or None for the system and for people not signed in."""
    tx.execute(
        "INSERT INTO identity_audit (id, at, actor, action, object, ip, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (new_id("evt"), now, actor, action, object_id, ip, detail),
    )


def latest(tx: Tx, limit: int) -> list[AuditEvent]:
    """Newest first."""
    rows = tx.fetch_all(
        "SELECT at, actor, action, object, ip, detail FROM identity_audit ORDER BY at DESC, id DESC LIMIT ?",
        (limit,),
    )
    return [AuditEvent(*row) for row in rows]
