"""Rows of `identity_listed_identifiers`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from doorward.identity.restrictions.list_rules import IdentifierType, ListName
from doorward.store import Tx


class ListedIdentifier(msgspec.Struct, frozen=True):
    id: str
    list: ListName
    identifier: str
    identifier_type: IdentifierType
    invitation_id: str | None
    created_at: int
    updated_at: int


_COLUMNS = "id, list, identifier, identifier_type, invitation_id, created_at, updated_at"


def insert(tx: Tx, entry: ListedIdentifier) -> bool:
    """False when the list has it already."""
    return (
        tx.execute(
            f"INSERT INTO identity_listed_identifiers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            msgspec.structs.astuple(entry),
        )
        == 1
    )


def find(tx: Tx, name: ListName, entry_id: str) -> ListedIdentifier | None:
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM identity_listed_identifiers WHERE id = ? AND list = ?", (entry_id, name)
    )
    return None if row is None else ListedIdentifier(*row)


def delete(tx: Tx, name: ListName, entry_id: str) -> bool:
    return (
        tx.execute("DELETE FROM identity_listed_identifiers WHERE id = ? AND list = ?", (entry_id, name)) == 1
    )


def page(tx: Tx, name: ListName, limit: int, offset: int) -> tuple[list[ListedIdentifier], int]:
    """Newest first, and how many there are in all."""
    rows = tx.fetch_all(
        f"""
        SELECT {_COLUMNS} FROM identity_listed_identifiers WHERE list = ?
        ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?
        """,
        (name, limit, offset),
    )
    count = tx.fetch_one("SELECT count(*) FROM identity_listed_identifiers WHERE list = ?", (name,))
    return [ListedIdentifier(*row) for row in rows], 0 if count is None else count[0]


def has_any(tx: Tx, name: ListName, identifiers: Sequence[str]) -> bool:
    marks = ", ".join("?" * len(identifiers))
    row = tx.fetch_one(
        f"SELECT 1 FROM identity_listed_identifiers WHERE list = ? AND identifier IN ({marks}) LIMIT 1",
        (name, *identifiers),
    )
    return row is not None
