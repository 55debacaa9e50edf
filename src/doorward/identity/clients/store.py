"""Rows of `identity_clients`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx


class ClientRecord(msgspec.Struct, frozen=True):
    id: str
    token_hash: str
    last_active_session_id: str | None
    last_authentication_strategy: str | None
    created_at: int
    updated_at: int

    def __repr__(self) -> str:
        return f"ClientRecord({self.id})"


_COLUMNS = "id, token_hash, last_active_session_id, last_authentication_strategy, created_at, updated_at"


def insert(tx: Tx, client: ClientRecord) -> None:
    tx.execute(
        f"INSERT INTO identity_clients ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
        (
            client.id,
            client.token_hash,
            client.last_active_session_id,
            client.last_authentication_strategy,
            client.created_at,
            client.updated_at,
        ),
    )


def find(tx: Tx, client_id: str) -> ClientRecord | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_clients WHERE id = ?", (client_id,))
    return None if row is None else ClientRecord(*row)


def page(tx: Tx, *, limit: int, offset: int) -> tuple[list[ClientRecord], int]:
    """Newest first, and how many there are in all."""
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM identity_clients ORDER BY created_at DESC, id LIMIT ? OFFSET ?",
        (limit, offset),
    )
    count = tx.fetch_one("SELECT count(*) FROM identity_clients")
    return [ClientRecord(*row) for row in rows], 0 if count is None else int(count[0])


def set_signed_in(
    tx: Tx, client_id: str, *, token_hash: str, session_id: str, strategy: str, now: int
) -> None:
    tx.execute(
        """
        UPDATE identity_clients SET token_hash = ?, last_active_session_id = ?, last_authentication_strategy = ?,
            updated_at = ? WHERE id = ?
        """,
        (token_hash, session_id, strategy, now, client_id),
    )


def set_last_active_session(tx: Tx, client_id: str, session_id: str | None) -> None:
    """Choosing another session is no sign-in: `updated_at` stays (Clerk's `__client_uat` must not move)."""
    tx.execute("UPDATE identity_clients SET last_active_session_id = ? WHERE id = ?", (session_id, client_id))


def set_changed(tx: Tx, client_id: str, session_id: str | None, now: int) -> None:
    tx.execute(
        "UPDATE identity_clients SET last_active_session_id = ?, updated_at = ? WHERE id = ?",
        (session_id, now, client_id),
    )


def delete(tx: Tx, client_id: str) -> None:
    tx.execute("DELETE FROM identity_clients WHERE id = ?", (client_id,))


def delete_unused_before(tx: Tx, instant: int) -> int:
    """Forget browsers that nothing hangs on any more: anybody can make one without saying who they are."""
    return tx.execute(
        """
        DELETE FROM identity_clients WHERE updated_at < ?
            AND NOT EXISTS (SELECT 1 FROM identity_sessions WHERE client_id = identity_clients.id)
            AND NOT EXISTS (SELECT 1 FROM identity_sign_ins WHERE client_id = identity_clients.id)
            AND NOT EXISTS (SELECT 1 FROM identity_sign_ups WHERE client_id = identity_clients.id)
        """,
        (instant,),
    )
