"""Rows of `identity_users` and `identity_email_addresses`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx


class UserRecord(msgspec.Struct, frozen=True):
    id: str
    primary_email_address_id: str
    password_hash: str | None
    password_updated_at: int | None
    first_name: str | None
    last_name: str | None
    public_metadata: str
    unsafe_metadata: str
    is_administrator: bool
    is_banned: bool
    locked_until: int | None
    last_sign_in_at: int | None
    created_at: int
    updated_at: int

    def __repr__(self) -> str:
        return f"UserRecord({self.id})"

    def is_locked(self, now: int) -> bool:
        return self.locked_until is not None and now < self.locked_until


class EmailAddressRecord(msgspec.Struct, frozen=True):
    id: str
    user_id: str
    address: str
    verified_at: int | None
    created_at: int
    updated_at: int


class Account(msgspec.Struct, frozen=True):
    """A user with their addresses, oldest first."""

    user: UserRecord
    email_addresses: tuple[EmailAddressRecord, ...]

    @property
    def primary_email(self) -> EmailAddressRecord:
        for email in self.email_addresses:
            if email.id == self.user.primary_email_address_id:
                return email
        return self.email_addresses[0]


_USER = """id, primary_email_address_id, password_hash, password_updated_at, first_name, last_name, public_metadata,
    unsafe_metadata, is_administrator, is_banned, locked_until, last_sign_in_at, created_at, updated_at"""
_EMAIL = "id, user_id, address, verified_at, created_at, updated_at"


def _user(row: tuple[object, ...]) -> UserRecord:
    values = list(row)
    values[8], values[9] = bool(row[8]), bool(row[9])
    return UserRecord(*values)  # type: ignore[arg-type]  # the columns above are the fields, in order


def insert_user(tx: Tx, user: UserRecord) -> None:
    tx.execute(
        f"INSERT INTO identity_users ({_USER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            user.id,
            user.primary_email_address_id,
            user.password_hash,
            user.password_updated_at,
            user.first_name,
            user.last_name,
            user.public_metadata,
            user.unsafe_metadata,
            user.is_administrator,
            user.is_banned,
            user.locked_until,
            user.last_sign_in_at,
            user.created_at,
            user.updated_at,
        ),
    )


def find_user(tx: Tx, user_id: str) -> UserRecord | None:
    row = tx.fetch_one(f"SELECT {_USER} FROM identity_users WHERE id = ?", (user_id,))
    return None if row is None else _user(row)


def find_account(tx: Tx, user_id: str) -> Account | None:
    user = find_user(tx, user_id)
    return None if user is None else Account(user, tuple(emails_of(tx, user_id)))


def find_by_verified_email(tx: Tx, address: str) -> Account | None:
    row = tx.fetch_one(
        "SELECT user_id FROM identity_email_addresses WHERE address = ? AND verified_at IS NOT NULL",
        (address,),
    )
    return None if row is None else find_account(tx, row[0])


def has_administrator(tx: Tx) -> bool:
    return (
        tx.fetch_one("SELECT id FROM identity_users WHERE is_administrator = ? LIMIT 1", (True,)) is not None
    )


def set_password(tx: Tx, user_id: str, password_hash: str, now: int) -> None:
    tx.execute(
        "UPDATE identity_users SET password_hash = ?, password_updated_at = ?, updated_at = ? WHERE id = ?",
        (password_hash, now, now, user_id),
    )


def upgrade_password_hash(tx: Tx, user_id: str, *, old: str, new: str) -> None:
    """Replace the encoding of an unchanged password, unless it was changed meanwhile."""
    tx.execute(
        "UPDATE identity_users SET password_hash = ? WHERE id = ? AND password_hash = ?", (new, user_id, old)
    )


def set_names(tx: Tx, user_id: str, first_name: str | None, last_name: str | None, now: int) -> None:
    tx.execute(
        "UPDATE identity_users SET first_name = ?, last_name = ?, updated_at = ? WHERE id = ?",
        (first_name, last_name, now, user_id),
    )


def set_primary_email(tx: Tx, user_id: str, email_address_id: str, now: int) -> None:
    tx.execute(
        "UPDATE identity_users SET primary_email_address_id = ?, updated_at = ? WHERE id = ?",
        (email_address_id, now, user_id),
    )


def set_banned(tx: Tx, user_id: str, is_banned: bool, now: int) -> int:
    return tx.execute(
        "UPDATE identity_users SET is_banned = ?, updated_at = ? WHERE id = ?", (is_banned, now, user_id)
    )


def set_locked_until(tx: Tx, user_id: str, until: int | None, now: int) -> int:
    return tx.execute(
        "UPDATE identity_users SET locked_until = ?, updated_at = ? WHERE id = ?", (until, now, user_id)
    )


def touch_last_sign_in(tx: Tx, user_id: str, now: int) -> None:
    tx.execute("UPDATE identity_users SET last_sign_in_at = ? WHERE id = ?", (now, user_id))


def delete_user(tx: Tx, user_id: str) -> None:
    tx.execute("DELETE FROM identity_users WHERE id = ?", (user_id,))


def insert_email(tx: Tx, email: EmailAddressRecord) -> None:
    tx.execute(
        f"INSERT INTO identity_email_addresses ({_EMAIL}) VALUES (?, ?, ?, ?, ?, ?)",
        (email.id, email.user_id, email.address, email.verified_at, email.created_at, email.updated_at),
    )


def emails_of(tx: Tx, user_id: str) -> list[EmailAddressRecord]:
    rows = tx.fetch_all(
        f"SELECT {_EMAIL} FROM identity_email_addresses WHERE user_id = ? ORDER BY created_at, id", (user_id,)
    )
    return [EmailAddressRecord(*row) for row in rows]


def find_email(tx: Tx, user_id: str, email_address_id: str) -> EmailAddressRecord | None:
    row = tx.fetch_one(
        f"SELECT {_EMAIL} FROM identity_email_addresses WHERE id = ? AND user_id = ?",
        (email_address_id, user_id),
    )
    return None if row is None else EmailAddressRecord(*row)


def mark_email_verified(tx: Tx, email_address_id: str, now: int) -> None:
    """Raises ConstraintViolated (unique) when another account proved the address first."""
    tx.execute(
        "UPDATE identity_email_addresses SET verified_at = ?, updated_at = ? WHERE id = ?",
        (now, now, email_address_id),
    )


def delete_email(tx: Tx, email_address_id: str) -> None:
    tx.execute("DELETE FROM identity_email_addresses WHERE id = ?", (email_address_id,))
