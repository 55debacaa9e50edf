"""Rows of `identity_tickets`. Times in milliseconds."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from typing import Literal

import msgspec

from doorward.store import Tx

TicketKind = Literal["sign_in", "actor"]


class Ticket(msgspec.Struct, frozen=True):
    """`actor` is the JSON of RFC 8693's `act`; `session_lifetime_ms` bounds the session it begins, which acts in the
    organization where its user is a member still."""

    id: str
    kind: TicketKind
    user_id: str
    actor: str | None
    session_lifetime_ms: int | None
    organization_id: str | None
    created_at: int
    updated_at: int
    expire_at: int
    accepted_at: int | None = None
    revoked_at: int | None = None


_COLUMNS = ", ".join(Ticket.__struct_fields__)


def insert(tx: Tx, ticket: Ticket, token_hash: str) -> None:
    tx.execute(
        f"INSERT INTO identity_tickets ({_COLUMNS}, token_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*msgspec.structs.astuple(ticket), token_hash),
    )


def find(tx: Tx, ticket_id: str) -> Ticket | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_tickets WHERE id = ?", (ticket_id,))
    return None if row is None else Ticket(*row)


def find_by_hash(tx: Tx, token_hash: str) -> Ticket | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_tickets WHERE token_hash = ?", (token_hash,))
    return None if row is None else Ticket(*row)


def accept(tx: Tx, ticket_id: str, now: int) -> bool:
    """True for the one caller that gets it."""
    return _end(tx, "accepted_at", ticket_id, now)


def revoke(tx: Tx, ticket_id: str, now: int) -> bool:
    """False when it was used or revoked before."""
    return _end(tx, "revoked_at", ticket_id, now)


def _end(tx: Tx, column: str, ticket_id: str, now: int) -> bool:
    changed = tx.execute(
        f"""
        UPDATE identity_tickets SET {column} = ?, updated_at = ?
        WHERE id = ? AND accepted_at IS NULL AND revoked_at IS NULL
        """,
        (now, now, ticket_id),
    )
    return changed == 1


def delete_expired(tx: Tx, before: int) -> int:
    return tx.execute("DELETE FROM identity_tickets WHERE expire_at < ?", (before,))
