"""Rows of `identity_redirect_urls`."""

from __future__ import annotations

import msgspec

from doorward.store import Tx


class RedirectUrl(msgspec.Struct, frozen=True):
    id: str
    url: str
    created_at: int
    updated_at: int


def insert(tx: Tx, entry: RedirectUrl) -> bool:
    """False when it is registered already."""
    return (
        tx.execute(
            """
            INSERT INTO identity_redirect_urls (id, url, created_at, updated_at) VALUES (?, ?, ?, ?)
            ON CONFLICT DO NOTHING
            """,
            msgspec.structs.astuple(entry),
        )
        == 1
    )


def find(tx: Tx, entry_id: str) -> RedirectUrl | None:
    row = tx.fetch_one(
        "SELECT id, url, created_at, updated_at FROM identity_redirect_urls WHERE id = ?", (entry_id,)
    )
    return None if row is None else RedirectUrl(*row)


def delete(tx: Tx, entry_id: str) -> bool:
    return tx.execute("DELETE FROM identity_redirect_urls WHERE id = ?", (entry_id,)) == 1


def page(tx: Tx, limit: int, offset: int) -> tuple[list[RedirectUrl], int]:
    """Newest first, and how many there are in all."""
    rows = tx.fetch_all(
        """
        SELECT id, url, created_at, updated_at FROM identity_redirect_urls
        ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?
        """,
        (limit, offset),
    )
    count = tx.fetch_one("SELECT count(*) FROM identity_redirect_urls")
    return [RedirectUrl(*row) for row in rows], 0 if count is None else count[0]
