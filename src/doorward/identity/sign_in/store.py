"""Rows of `identity_sign_ins`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx


class SignInRecord(msgspec.Struct, frozen=True):
    """`user_id` is None for an identifier without an account; nobody outside can see which it is."""

    id: str
    client_id: str
    identifier: str | None
    user_id: str | None
    email_address_id: str | None
    first_factor: str | None
    first_factor_at: int | None
    created_session_id: str | None
    created_at: int
    abandon_at: int


_COLUMNS = """id, client_id, identifier, user_id, email_address_id, first_factor, first_factor_at, created_session_id,
    created_at, abandon_at"""


def put(tx: Tx, attempt: SignInRecord) -> None:
    """Insert it, or overwrite how far it got."""
    tx.execute(
        f"""
        INSERT INTO identity_sign_ins ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET first_factor = excluded.first_factor,
            first_factor_at = excluded.first_factor_at, created_session_id = excluded.created_session_id
        """,
        (
            attempt.id,
            attempt.client_id,
            attempt.identifier,
            attempt.user_id,
            attempt.email_address_id,
            attempt.first_factor,
            attempt.first_factor_at,
            attempt.created_session_id,
            attempt.created_at,
            attempt.abandon_at,
        ),
    )


def find(tx: Tx, sign_in_id: str) -> SignInRecord | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_sign_ins WHERE id = ?", (sign_in_id,))
    return None if row is None else SignInRecord(*row)


def latest_of_client(tx: Tx, client_id: str) -> SignInRecord | None:
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM identity_sign_ins WHERE client_id = ? ORDER BY created_at DESC, id DESC LIMIT 1",
        (client_id,),
    )
    return None if row is None else SignInRecord(*row)


def delete_of_client(tx: Tx, client_id: str) -> None:
    """A new attempt replaces the client's earlier ones."""
    tx.execute("DELETE FROM identity_sign_ins WHERE client_id = ?", (client_id,))


def delete_abandoned(tx: Tx, now: int) -> int:
    return tx.execute("DELETE FROM identity_sign_ins WHERE abandon_at <= ?", (now,))
