"""Rows of `identity_sign_ups`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx


class SignUpRecord(msgspec.Struct, frozen=True):
    id: str
    client_id: str
    email_address: str | None
    password_hash: str | None
    first_name: str | None
    last_name: str | None
    unsafe_metadata: str
    invitation_id: str | None
    email_verified_at: int | None
    created_user_id: str | None
    created_session_id: str | None
    created_at: int
    abandon_at: int

    def __repr__(self) -> str:
        return f"SignUpRecord({self.id})"


_COLUMNS = """id, client_id, email_address, password_hash, first_name, last_name, unsafe_metadata, invitation_id,
    email_verified_at, created_user_id, created_session_id, created_at, abandon_at"""


def put(tx: Tx, attempt: SignUpRecord) -> None:
    """Insert it, or overwrite everything but whose it is."""
    tx.execute(
        f"""
        INSERT INTO identity_sign_ups ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET email_address = excluded.email_address,
            password_hash = excluded.password_hash, first_name = excluded.first_name,
            last_name = excluded.last_name, unsafe_metadata = excluded.unsafe_metadata,
            invitation_id = excluded.invitation_id, email_verified_at = excluded.email_verified_at,
            created_user_id = excluded.created_user_id, created_session_id = excluded.created_session_id
        """,
        (
            attempt.id,
            attempt.client_id,
            attempt.email_address,
            attempt.password_hash,
            attempt.first_name,
            attempt.last_name,
            attempt.unsafe_metadata,
            attempt.invitation_id,
            attempt.email_verified_at,
            attempt.created_user_id,
            attempt.created_session_id,
            attempt.created_at,
            attempt.abandon_at,
        ),
    )


def find(tx: Tx, sign_up_id: str) -> SignUpRecord | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_sign_ups WHERE id = ?", (sign_up_id,))
    return None if row is None else SignUpRecord(*row)


def latest_of_client(tx: Tx, client_id: str) -> SignUpRecord | None:
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM identity_sign_ups WHERE client_id = ? ORDER BY created_at DESC, id DESC LIMIT 1",
        (client_id,),
    )
    return None if row is None else SignUpRecord(*row)


def delete_of_client(tx: Tx, client_id: str) -> None:
    """A new attempt replaces the client's earlier ones."""
    tx.execute("DELETE FROM identity_sign_ups WHERE client_id = ?", (client_id,))


def delete_abandoned(tx: Tx, now: int) -> int:
    return tx.execute("DELETE FROM identity_sign_ups WHERE abandon_at <= ?", (now,))
