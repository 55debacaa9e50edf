"""Rows of `identity_phone_numbers`. A number is E.164."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx


class PhoneNumberRecord(msgspec.Struct, frozen=True):
    """A reserved number is unproved but nobody else can have it. `is_second_factor` is kept, and used by nothing yet."""

    id: str
    user_id: str
    number: str
    verified_at: int | None
    is_reserved: bool
    is_second_factor: bool
    created_at: int
    updated_at: int


_COLUMNS = ", ".join(PhoneNumberRecord.__struct_fields__)


def _phone(row: tuple[object, ...]) -> PhoneNumberRecord:
    values = list(row)
    values[4], values[5] = bool(row[4]), bool(row[5])
    return PhoneNumberRecord(*values)  # type: ignore[arg-type]  # the columns above are the fields, in order


def insert_phone(tx: Tx, phone: PhoneNumberRecord) -> None:
    """Raises ConstraintViolated (unique) when it comes proved or reserved and somebody has it."""
    tx.execute(
        f"INSERT INTO identity_phone_numbers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        msgspec.structs.astuple(phone),
    )


def phones_of(tx: Tx, *user_ids: str) -> list[PhoneNumberRecord]:
    """Oldest first; of some hundreds at most."""
    if not user_ids:
        return []
    places = ", ".join("?" for _ in user_ids)
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM identity_phone_numbers WHERE user_id IN ({places}) ORDER BY created_at, id",
        user_ids,
    )
    return [_phone(row) for row in rows]


def find_phone(tx: Tx, phone_number_id: str) -> PhoneNumberRecord | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_phone_numbers WHERE id = ?", (phone_number_id,))
    return None if row is None else _phone(row)


def is_number_owned(tx: Tx, number: str) -> bool:
    """Whether an account proved the number, or has it kept for it."""
    found = tx.fetch_one(
        "SELECT id FROM identity_phone_numbers WHERE number = ? AND (verified_at IS NOT NULL OR is_reserved)",
        (number,),
    )
    return found is not None


def update_phone(tx: Tx, phone: PhoneNumberRecord) -> None:
    """Raises ConstraintViolated (unique) as `insert_phone` does."""
    tx.execute(
        """
        UPDATE identity_phone_numbers SET verified_at = ?, is_reserved = ?, is_second_factor = ?, updated_at = ?
        WHERE id = ?
        """,
        (phone.verified_at, phone.is_reserved, phone.is_second_factor, phone.updated_at, phone.id),
    )


def delete_phone(tx: Tx, phone_number_id: str) -> None:
    tx.execute("DELETE FROM identity_phone_numbers WHERE id = ?", (phone_number_id,))
