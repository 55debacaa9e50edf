"""Rows of `identity_invitations`, `identity_rate_limits` and `identity_failures`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from doorward.store import Tx

InvitationKind = Literal["administrator", "member"]


@dataclass(frozen=True, slots=True)
class Invitation:
    """A member's invitation names the address it was mailed to, which makes that address proved."""

    id: str
    kind: InvitationKind
    email_address: str | None
    created_at: int
    expire_at: int
    accepted_at: int | None
    accepted_by: str | None


_INVITATION = "id, kind, email_address, created_at, expire_at, accepted_at, accepted_by"


def insert_invitation(tx: Tx, invitation: Invitation, token_hash: str) -> None:
    tx.execute(
        f"INSERT INTO identity_invitations ({_INVITATION}, token_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            invitation.id,
            invitation.kind,
            invitation.email_address,
            invitation.created_at,
            invitation.expire_at,
            invitation.accepted_at,
            invitation.accepted_by,
            token_hash,
        ),
    )


def find_invitation_by_hash(tx: Tx, token_hash: str) -> Invitation | None:
    row = tx.fetch_one(f"SELECT {_INVITATION} FROM identity_invitations WHERE token_hash = ?", (token_hash,))
    return None if row is None else Invitation(*row)


def find_invitation(tx: Tx, invitation_id: str) -> Invitation | None:
    row = tx.fetch_one(f"SELECT {_INVITATION} FROM identity_invitations WHERE id = ?", (invitation_id,))
    return None if row is None else Invitation(*row)


def accept_invitation(tx: Tx, invitation_id: str, user_id: str, now: int) -> bool:
    """True for the one caller that gets it."""
    return (
        tx.execute(
            "UPDATE identity_invitations SET accepted_at = ?, accepted_by = ? WHERE id = ? AND accepted_at IS NULL",
            (now, user_id, invitation_id),
        )
        == 1
    )


def drop_open_administrator_invitations(tx: Tx) -> None:
    tx.execute("DELETE FROM identity_invitations WHERE kind = 'administrator' AND accepted_at IS NULL")


def arrival_at(tx: Tx, key: str) -> int | None:
    row = tx.fetch_one("SELECT arrival_at FROM identity_rate_limits WHERE key = ?", (key,))
    return None if row is None else row[0]


def set_arrival(tx: Tx, key: str, arrival: int) -> None:
    tx.execute(
        """
        INSERT INTO identity_rate_limits (key, arrival_at) VALUES (?, ?)
        ON CONFLICT (key) DO UPDATE SET arrival_at = excluded.arrival_at
        """,
        (key, arrival),
    )


def forget_arrivals_before(tx: Tx, instant: int) -> int:
    return tx.execute("DELETE FROM identity_rate_limits WHERE arrival_at < ?", (instant,))


@dataclass(frozen=True, slots=True)
class Failures:
    failures: int
    last_failure_at: int
    locked_until: int | None


def failures(tx: Tx, key: str) -> Failures | None:
    row = tx.fetch_one(
        "SELECT failures, last_failure_at, locked_until FROM identity_failures WHERE key = ?", (key,)
    )
    return None if row is None else Failures(*row)


def set_failures(tx: Tx, key: str, value: Failures) -> None:
    tx.execute(
        """
        INSERT INTO identity_failures (key, failures, last_failure_at, locked_until) VALUES (?, ?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, last_failure_at = excluded.last_failure_at,
            locked_until = excluded.locked_until
        """,
        (key, value.failures, value.last_failure_at, value.locked_until),
    )


def clear_failures(tx: Tx, key: str) -> None:
    tx.execute("DELETE FROM identity_failures WHERE key = ?", (key,))
