"""Rows of `identity_invitations`."""

# ruff: noqa: S608  (only our own column lists and conditions are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from doorward.identity.paging import Slice
from doorward.store import Tx, contains, like_literally

InvitationKind = Literal["administrator", "application", "organization"]


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """It names the address it was mailed to, which makes that address proved; an administrator's names none.

    The metadata (JSON text) become the user's, or the membership's of an organization.
    """

    id: str
    kind: InvitationKind
    email_address: str | None
    public_metadata: str = "{}"
    private_metadata: str = "{}"
    redirect_url: str | None = None
    organization_id: str | None = None
    role: str | None = None
    inviter_id: str | None = None
    created_at: int
    updated_at: int
    expire_at: int
    accepted_at: int | None = None
    accepted_by: str | None = None
    revoked_at: int | None = None


class InvitationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`organization_id` None with kind `organization` is every organization's. Without statuses revoked ones are left
    out where `hides_revoked`."""

    kind: InvitationKind
    organization_id: str | None = None
    statuses: tuple[str, ...] = ()
    hides_revoked: bool = False
    email_addresses: tuple[str, ...] = ()
    query: str | None = None


_NAMES = Invitation.__struct_fields__
_COLUMNS = ", ".join(_NAMES)
_CONDITIONS = {
    "pending": "(accepted_at IS NULL AND revoked_at IS NULL AND expire_at > ?)",
    "expired": "(accepted_at IS NULL AND revoked_at IS NULL AND expire_at <= ?)",
    "accepted": "accepted_at IS NOT NULL",
    "revoked": "(accepted_at IS NULL AND revoked_at IS NOT NULL)",
}
ORDERS = {"created_at": "created_at", "email_address": "email_address", "expires_at": "expire_at"}


def _invitation(row: Sequence[object]) -> Invitation:
    return Invitation(**dict(zip(_NAMES, row, strict=True)))  # type: ignore[arg-type]  # columns are the fields


def insert(tx: Tx, invitation: Invitation, token_hash: str) -> None:
    marks = ", ".join("?" * (len(_NAMES) + 1))
    tx.execute(
        f"INSERT INTO identity_invitations ({_COLUMNS}, token_hash) VALUES ({marks})",
        (*msgspec.structs.astuple(invitation), token_hash),
    )


def find_by_hash(tx: Tx, token_hash: str) -> Invitation | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_invitations WHERE token_hash = ?", (token_hash,))
    return None if row is None else _invitation(row)


def find(tx: Tx, invitation_id: str) -> Invitation | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_invitations WHERE id = ?", (invitation_id,))
    return None if row is None else _invitation(row)


def find_each(tx: Tx, ids: Sequence[str]) -> dict[str, Invitation]:
    """Those of the ids that there are, some hundreds at most."""
    if not ids:
        return {}
    places = ", ".join("?" * len(ids))
    rows = tx.fetch_all(f"SELECT {_COLUMNS} FROM identity_invitations WHERE id IN ({places})", ids)
    return {found.id: found for found in map(_invitation, rows)}


def accept(tx: Tx, invitation_id: str, user_id: str, now: int) -> bool:
    """True for the one caller that gets it."""
    return (
        tx.execute(
            """
            UPDATE identity_invitations SET accepted_at = ?, accepted_by = ?, updated_at = ?
            WHERE id = ? AND accepted_at IS NULL AND revoked_at IS NULL
            """,
            (now, user_id, now, invitation_id),
        )
        == 1
    )


def revoke(tx: Tx, invitation_id: str, now: int) -> bool:
    return (
        tx.execute(
            """
            UPDATE identity_invitations SET revoked_at = ?, updated_at = ?
            WHERE id = ? AND accepted_at IS NULL AND revoked_at IS NULL
            """,
            (now, now, invitation_id),
        )
        == 1
    )


def drop_open_administrator_invitations(tx: Tx) -> None:
    tx.execute("DELETE FROM identity_invitations WHERE kind = 'administrator' AND accepted_at IS NULL")


def pending_of_address(
    tx: Tx, address: str, now: int, *, kind: InvitationKind, organization_id: str | None = None
) -> list[Invitation]:
    condition, values = ("AND organization_id = ?", (organization_id,)) if organization_id else ("", ())
    rows = tx.fetch_all(
        f"""
        SELECT {_COLUMNS} FROM identity_invitations
        WHERE email_address = ? AND kind = ? AND {_CONDITIONS["pending"]} {condition}
        """,
        (address, kind, now, *values),
    )
    return [_invitation(row) for row in rows]


def count_pending(tx: Tx, organization_id: str, now: int) -> int:
    row = tx.fetch_one(
        f"SELECT count(*) FROM identity_invitations WHERE organization_id = ? AND {_CONDITIONS['pending']}",
        (organization_id, now),
    )
    return 0 if row is None else int(row[0])


def count_pending_in_role(tx: Tx, role: str, now: int) -> int:
    """Pending invitations of any organization that give a role."""
    row = tx.fetch_one(
        f"SELECT count(*) FROM identity_invitations WHERE role = ? AND {_CONDITIONS['pending']}", (role, now)
    )
    return 0 if row is None else int(row[0])


def count_pending_at(tx: Tx, organization_id: str, domain: str, now: int) -> int:
    """Pending invitations of an organization to addresses at a domain."""
    row = tx.fetch_one(
        rf"""
        SELECT count(*) FROM identity_invitations
        WHERE organization_id = ? AND email_address LIKE ? ESCAPE '\' AND {_CONDITIONS["pending"]}
        """,
        (organization_id, f"%@{like_literally(domain)}", now),
    )
    return 0 if row is None else int(row[0])


def was_invited(tx: Tx, organization_id: str, address: str) -> bool:
    """Ever, whatever became of it."""
    return (
        tx.fetch_one(
            "SELECT 1 FROM identity_invitations WHERE organization_id = ? AND email_address = ?",
            (organization_id, address),
        )
        is not None
    )


def page(tx: Tx, wanted: InvitationFilter, part: Slice, *, now: int) -> tuple[list[Invitation], int]:
    """The page, by one of ORDERS, and how many there are in all."""
    where, values = _where(wanted, now)
    count = tx.fetch_one(f"SELECT count(*) FROM identity_invitations WHERE {where}", values)
    rows = tx.fetch_all(
        f"""
        SELECT {_COLUMNS} FROM identity_invitations WHERE {where}
        {part.order_by(ORDERS)}
        """,
        (*values, part.limit, part.offset),
    )
    return [_invitation(row) for row in rows], 0 if count is None else count[0]


def _where(wanted: InvitationFilter, now: int) -> tuple[str, list[object]]:
    conditions, values = ["kind = ?"], [wanted.kind]  # type: list[str], list[object]
    if wanted.organization_id is not None:
        conditions.append("organization_id = ?")
        values.append(wanted.organization_id)
    if wanted.statuses:
        chosen = [_CONDITIONS[status] for status in dict.fromkeys(wanted.statuses)]
        conditions.append("(" + " OR ".join(chosen) + ")")
        values += [now] * sum(condition.count("?") for condition in chosen)
    elif wanted.hides_revoked:
        conditions.append(f"NOT {_CONDITIONS['revoked']}")
    if wanted.email_addresses:
        conditions.append(f"email_address IN ({', '.join('?' * len(wanted.email_addresses))})")
        values += wanted.email_addresses
    if wanted.query:
        conditions.append(r"(email_address LIKE ? ESCAPE '\' OR id = ?)")
        values += [contains(wanted.query.lower()), wanted.query]
    return " AND ".join(conditions), values
