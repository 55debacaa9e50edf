"""Rows of `identity_audit`."""

# ruff: noqa: S608  (only our own column names are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from doorward.identity.audit.asking import asking_address
from doorward.identity.identifiers import new_id
from doorward.store import Tx


class AuditEvent(msgspec.Struct, frozen=True):
    """`at` in milliseconds. `actor` is a user's id, a secret key's, or None. `ip` is empty where no request led to it."""

    id: str
    at: int
    actor: str | None
    action: str
    object: str
    ip: str
    detail: str

    @property
    def place(self) -> Place:
        return Place(self.at, self.id)


class Place(msgspec.Struct, frozen=True):
    """Where an event stands in the trail. New events never come before it, so pages that begin there stay as they are."""

    at: int
    id: str


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What events must be like; None asks for nothing. `since` and `until` in milliseconds, `until` not included."""

    actor: str | None = None
    object: str | None = None
    action: str | None = None
    since: int | None = None
    until: int | None = None


_COLUMNS = "id, at, actor, action, object, ip, detail"


def record(tx: Tx, *, now: int, actor: str | None, action: str, object_id: str, detail: str = "") -> None:
    """Add one event. `actor` is a user's id, a secret key's, or None for the system and for people not signed in."""
    record_each(tx, now=now, actor=actor, action=action, object_ids=[object_id], detail=detail)


def record_each(
    tx: Tx, *, now: int, actor: str | None, action: str, object_ids: Sequence[str], detail: str = ""
) -> None:
    """Add one event for each object, all in one statement; a few hundred at most."""
    if object_ids:
        ip = asking_address()
        places = ", ".join("(?, ?, ?, ?, ?, ?, ?)" for _ in object_ids)
        values = [
            value
            for object_id in object_ids
            for value in (new_id("evt"), now, actor, action, object_id, ip, detail)
        ]
        tx.execute(
            f"INSERT INTO identity_audit (id, at, actor, action, object, ip, detail) VALUES {places}",
            values,
        )


def page(
    tx: Tx, wanted: AuditFilter, *, before: Place | None = None, after: Place | None = None, limit: int
) -> list[AuditEvent]:
    """Newest first: those next before a place, or next after one, or the newest of all. Each filter has its index, in this
    very order, so that no page costs more than its rows."""
    terms, values = ["1 = 1"], list[object]()
    for column, value in (("actor", wanted.actor), ("object", wanted.object), ("action", wanted.action)):
        if value is not None:
            terms.append(f"{column} = ?")
            values.append(value)
    for term, instant in (("at >= ?", wanted.since), ("at < ?", wanted.until)):
        if instant is not None:
            terms.append(term)
            values.append(instant)
    for sign, place in (("<", before), (">", after)):
        if place is not None:
            terms.append(f"(at, id) {sign} (?, ?)")
            values += [place.at, place.id]
    way = "ASC" if after is not None else "DESC"
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM identity_audit WHERE {' AND '.join(terms)} ORDER BY at {way}, id {way} LIMIT ?",
        (*values, limit),
    )
    events = [AuditEvent(*row) for row in rows]
    return events[::-1] if after is not None else events


def actions(tx: Tx) -> list[str]:
    """Every action there is an event of, in order; one step along the index for each, however many events there are."""
    rows = tx.fetch_all(
        """
        WITH RECURSIVE known(action) AS (
            SELECT min(action) FROM identity_audit
            UNION ALL
            SELECT (SELECT min(action) FROM identity_audit WHERE identity_audit.action > known.action)
            FROM known WHERE known.action IS NOT NULL
        )
        SELECT action FROM known WHERE action IS NOT NULL
        """,
        (),
    )
    return [row[0] for row in rows]
