"""Rows of `identity_waitlist_entries`."""

# ruff: noqa: S608  (only our own column lists and conditions are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.identity.paging import Slice
from doorward.identity.waitlist.rules import WaitlistStatus
from doorward.store import Tx, contains


class WaitlistEntry(msgspec.Struct, frozen=True):
    id: str
    email_address: str
    status: WaitlistStatus
    invitation_id: str | None
    invited_at: int | None
    created_at: int
    updated_at: int


_COLUMNS = ", ".join(WaitlistEntry.__struct_fields__)
ORDERS = {"created_at": "created_at", "email_address": "email_address", "invited_at": "invited_at"}


def insert(tx: Tx, entry: WaitlistEntry) -> bool:
    """False when the address has an entry."""
    return (
        tx.execute(
            f"INSERT INTO identity_waitlist_entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            msgspec.structs.astuple(entry),
        )
        == 1
    )


def find(tx: Tx, entry_id: str) -> WaitlistEntry | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_waitlist_entries WHERE id = ?", (entry_id,))
    return None if row is None else WaitlistEntry(*row)


def find_by_address(tx: Tx, address: str) -> WaitlistEntry | None:
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM identity_waitlist_entries WHERE email_address = ?", (address,)
    )
    return None if row is None else WaitlistEntry(*row)


def put(tx: Tx, entry: WaitlistEntry) -> None:
    """Overwrite everything that changes."""
    tx.execute(
        """
        UPDATE identity_waitlist_entries SET status = ?, invitation_id = ?, invited_at = ?, updated_at = ?
        WHERE id = ?
        """,
        (entry.status, entry.invitation_id, entry.invited_at, entry.updated_at, entry.id),
    )


def delete(tx: Tx, entry_id: str) -> None:
    tx.execute("DELETE FROM identity_waitlist_entries WHERE id = ?", (entry_id,))


def page(
    tx: Tx, part: Slice, *, query: str | None, status: WaitlistStatus | None
) -> tuple[list[WaitlistEntry], int]:
    """The page, by one of ORDERS, and how many there are in all."""
    conditions, values = ["1 = 1"], []  # type: list[str], list[object]
    if query:
        conditions.append(r"(email_address LIKE ? ESCAPE '\' OR id = ?)")
        values += [contains(query.lower()), query]
    if status is not None:
        conditions.append("status = ?")
        values.append(status)
    where = " AND ".join(conditions)
    count = tx.fetch_one(f"SELECT count(*) FROM identity_waitlist_entries WHERE {where}", values)
    rows = tx.fetch_all(
        f"""
        SELECT {_COLUMNS} FROM identity_waitlist_entries WHERE {where}
        {part.order_by(ORDERS)}
        """,
        (*values, part.limit, part.offset),
    )
    return [WaitlistEntry(*row) for row in rows], 0 if count is None else count[0]
