"""Rows of `identity_users` and `identity_email_addresses`. Phone numbers and images have files of their own."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from doorward.identity.accounts.phones import PhoneNumberRecord, phones_of
from doorward.identity.accounts.rules import ordinal_of, search_text_of
from doorward.identity.verification.store import VerificationRecord
from doorward.store import Statement, Tx

R = TypeVar("R")

ACTIVITY_STEP_MS = 5 * 60_000


class UserRecord(msgspec.Struct, frozen=True):
    """Metadata are JSON texts. `image_id` names a row of `identity_images`."""

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
    private_metadata: str = "{}"
    external_id: str | None = None
    username: str | None = None
    primary_phone_number_id: str | None = None
    locale: str | None = None
    timezone: str | None = None
    is_password_compromised: bool = False
    image_id: str | None = None
    delete_self_enabled: bool = True
    create_organization_enabled: bool = True
    create_organizations_limit: int | None = None
    bypass_client_trust: bool = False
    legal_accepted_at: int | None = None
    last_active_at: int | None = None

    def __repr__(self) -> str:
        return f"UserRecord({self.id})"

    def is_locked(self, now: int) -> bool:
        return self.locked_until is not None and now < self.locked_until

    @property
    def ordinal(self) -> int:
        """Where the user stands in the order of creation."""
        return ordinal_of(self.id, self.created_at)


class EmailAddressRecord(msgspec.Struct, frozen=True):
    """`verified_by` is the strategy that proved it. A reserved address is unproved but nobody else can have it."""

    id: str
    user_id: str
    address: str
    verified_at: int | None
    created_at: int
    updated_at: int
    verified_by: str | None = "email_code"
    is_reserved: bool = False

    @property
    def is_owned(self) -> bool:
        return self.verified_at is not None or self.is_reserved


class Account(msgspec.Struct, frozen=True):
    """A user with their addresses and numbers, oldest first."""

    user: UserRecord
    email_addresses: tuple[EmailAddressRecord, ...]
    phone_numbers: tuple[PhoneNumberRecord, ...] = ()

    @property
    def listed(self) -> tuple[str, str, str | None]:
        """What lists are searched and sorted by, kept in the user's own row: `_LISTED`."""
        numbers = {phone.id: phone.number for phone in self.phone_numbers}
        addresses = [email.address for email in self.email_addresses]
        text = search_text_of(self.user, addresses, numbers.values())
        primary = numbers.get(self.user.primary_phone_number_id or "")
        return text, self.primary_email.address, primary

    @property
    def primary_email(self) -> EmailAddressRecord:
        for email in self.email_addresses:
            if email.id == self.user.primary_email_address_id:
                return email
        return self.email_addresses[0]


class EmailAddress(msgspec.Struct, frozen=True):
    record: EmailAddressRecord
    verification: VerificationRecord | None


_FIELDS = UserRecord.__struct_fields__
_USER = ", ".join(_FIELDS)
_LISTED = ("search_text", "primary_email", "primary_phone")
_BOOLEANS = tuple(
    _FIELDS.index(name)
    for name in (
        "is_administrator",
        "is_banned",
        "delete_self_enabled",
        "create_organization_enabled",
        "bypass_client_trust",
        "is_password_compromised",
    )
)
_EMAIL = "id, user_id, address, verified_at, created_at, updated_at, verified_by, is_reserved"
_ROWS_AT_ONCE = 100
USER_COLUMNS = ", ".join(f"identity_users.{name}" for name in _FIELDS)


def user_of(row: tuple[object, ...]) -> UserRecord:
    """From a row of `USER_COLUMNS`."""
    values = list(row)
    for index in _BOOLEANS:
        values[index] = bool(values[index])
    return UserRecord(*values)  # type: ignore[arg-type]  # the columns above are the fields, in order


def insert_user(tx: Tx, user: UserRecord) -> None:
    """Raises ConstraintViolated when somebody has the username or the external id."""
    places = ", ".join("?" for _ in _FIELDS)
    tx.execute(
        f"INSERT INTO identity_users ({_USER}, ordinal, search_text) VALUES ({places}, ?, ?)",
        (*msgspec.structs.astuple(user), user.ordinal, search_text_of(user, (), ())),
    )


def insert_accounts(tx: Tx, accounts: Sequence[Account]) -> None:
    """Many users with what belongs to them, a few statements for all. Raises ConstraintViolated as the single ones do."""
    for some in _pieces(accounts):
        _insert_rows(
            tx,
            "identity_users",
            (*_FIELDS, "ordinal", *_LISTED),
            [
                (*msgspec.structs.astuple(account.user), account.user.ordinal, *account.listed)
                for account in some
            ],
        )
    for table, owned in (
        ("identity_email_addresses", [email for account in accounts for email in account.email_addresses]),
        ("identity_phone_numbers", [phone for account in accounts for phone in account.phone_numbers]),
    ):
        for records in _pieces(owned):
            columns = records[0].__struct_fields__
            _insert_rows(tx, table, columns, [msgspec.structs.astuple(record) for record in records])


def update_user(tx: Tx, user: UserRecord) -> None:
    """Store every member. Raises ConstraintViolated as `insert_user` does."""
    sets = ", ".join(f"{name} = ?" for name in _FIELDS)
    tx.execute(
        f"UPDATE identity_users SET {sets}, ordinal = ? WHERE id = ?",
        (*msgspec.structs.astuple(user), user.ordinal, user.id),
    )
    refresh_search(tx, user.id)


def refresh_search(tx: Tx, user_id: str) -> None:
    """Let lists find and sort the user as they are now; called after each change of a name, address or number."""
    account = find_account(tx, user_id)
    if account is not None and account.email_addresses:
        sets = ", ".join(f"{name} = ?" for name in _LISTED)
        tx.execute(f"UPDATE identity_users SET {sets} WHERE id = ?", (*account.listed, user_id))


def find_user(tx: Tx, user_id: str) -> UserRecord | None:
    row = tx.fetch_one(f"SELECT {_USER} FROM identity_users WHERE id = ?", (user_id,))
    return None if row is None else user_of(row)


def accounts_with(tx: Tx, user_ids: Sequence[str]) -> list[Account]:
    """Those of the ids that there are, some hundreds at most."""
    if not user_ids:
        return []
    places = ", ".join("?" * len(user_ids))
    rows = tx.fetch_all(f"SELECT {_USER} FROM identity_users WHERE id IN ({places})", user_ids)
    return accounts_of(tx, [user_of(row) for row in rows]) if rows else []


def is_banned(user_id: str) -> Statement:
    """A row that says so, where there is such a user."""
    return Statement("SELECT is_banned FROM identity_users WHERE id = ?", (user_id,))


def find_account(tx: Tx, user_id: str) -> Account | None:
    user = find_user(tx, user_id)
    return None if user is None else accounts_of(tx, [user])[0]


def accounts_of(tx: Tx, users: Sequence[UserRecord]) -> list[Account]:
    """The users with what belongs to them, in the order given; some hundreds at most."""
    ids = [user.id for user in users]
    emails, phones = (
        defaultdict[str, list[EmailAddressRecord]](list),
        defaultdict[str, list[PhoneNumberRecord]](list),
    )
    for email in emails_of(tx, *ids):
        emails[email.user_id].append(email)
    for phone in phones_of(tx, *ids):
        phones[phone.user_id].append(phone)
    return [Account(user, tuple(emails[user.id]), tuple(phones[user.id])) for user in users]


def accounts_at(tx: Tx, ordinals: Sequence[int]) -> list[Account]:
    """The users of those ordinals, in the order given; some hundreds at most."""
    if not ordinals:
        return []
    places = ", ".join("?" for _ in ordinals)
    rows = tx.fetch_all(f"SELECT ordinal, {_USER} FROM identity_users WHERE ordinal IN ({places})", ordinals)
    users = {row[0]: user_of(row[1:]) for row in rows}
    return accounts_of(tx, [users[ordinal] for ordinal in ordinals])


def find_by_verified_email(tx: Tx, address: str) -> Account | None:
    """Whose address it is: proved, or kept for them."""
    row = tx.fetch_one(
        "SELECT user_id FROM identity_email_addresses WHERE address = ? AND (verified_at IS NOT NULL OR is_reserved)",
        (address,),
    )
    return None if row is None else find_account(tx, row[0])


def has_administrator(tx: Tx) -> bool:
    return tx.fetch_one("SELECT id FROM identity_users WHERE is_administrator LIMIT 1", ()) is not None


def administrators(tx: Tx) -> list[UserRecord]:
    """In the order they came."""
    return [
        user_of(row)
        for row in tx.fetch_all(
            f"SELECT {USER_COLUMNS} FROM identity_users WHERE is_administrator ORDER BY ordinal", ()
        )
    ]


def is_taken(tx: Tx, column: str, value: str, *, but: str | None = None) -> bool:
    """Whether another user has this `external_id` or `username`."""
    if column not in ("external_id", "username"):
        raise ValueError(f"{column} is nothing only one user can have")
    row = tx.fetch_one(f"SELECT id FROM identity_users WHERE {column} = ?", (value,))
    return row is not None and row[0] != but


def set_password(tx: Tx, user_id: str, password_hash: str | None, now: int) -> None:
    """A new one is nobody else's yet."""
    tx.execute(
        """
        UPDATE identity_users SET password_hash = ?, password_updated_at = ?, is_password_compromised = ?,
            updated_at = ? WHERE id = ?
        """,
        (password_hash, now, False, now, user_id),
    )


def password_hashes_of(tx: Tx, user_ids: Sequence[str]) -> list[tuple[str, str]]:
    """(user, hash) of those who have one; some hundreds at most."""
    places = ", ".join("?" for _ in user_ids)
    rows = tx.fetch_all(
        f"SELECT id, password_hash FROM identity_users WHERE id IN ({places}) AND password_hash IS NOT NULL",
        user_ids,
    )
    return [(row[0], row[1]) for row in rows]


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
    refresh_search(tx, user_id)


def set_primary_email(tx: Tx, user_id: str, email_address_id: str, now: int) -> None:
    tx.execute(
        "UPDATE identity_users SET primary_email_address_id = ?, updated_at = ? WHERE id = ?",
        (email_address_id, now, user_id),
    )
    refresh_search(tx, user_id)


def set_primary_phone(tx: Tx, user_id: str, phone_number_id: str | None, now: int) -> None:
    tx.execute(
        "UPDATE identity_users SET primary_phone_number_id = ?, updated_at = ? WHERE id = ?",
        (phone_number_id, now, user_id),
    )
    refresh_search(tx, user_id)


def set_banned(tx: Tx, user_id: str, is_banned: bool, now: int) -> int:
    return tx.execute(
        "UPDATE identity_users SET is_banned = ?, updated_at = ? WHERE id = ?", (is_banned, now, user_id)
    )


def set_locked_until(tx: Tx, user_id: str, until: int | None, now: int) -> int:
    return tx.execute(
        "UPDATE identity_users SET locked_until = ?, updated_at = ? WHERE id = ?", (until, now, user_id)
    )


def touch_last_active(tx: Tx, user_id: str, now: int) -> None:
    """Written at most once in five minutes: lists sort by it, and every open tab asks for tokens."""
    tx.execute(
        "UPDATE identity_users SET last_active_at = ? WHERE id = ? AND (last_active_at IS NULL OR last_active_at <= ?)",
        (now, user_id, now - ACTIVITY_STEP_MS),
    )


def touch_last_sign_in(tx: Tx, user_id: str, now: int) -> None:
    tx.execute(
        "UPDATE identity_users SET last_sign_in_at = ?, last_active_at = ? WHERE id = ?", (now, now, user_id)
    )


def delete_user(tx: Tx, user_id: str) -> None:
    tx.execute(
        "DELETE FROM identity_images WHERE id = (SELECT image_id FROM identity_users WHERE id = ?)",
        (user_id,),
    )
    tx.execute("DELETE FROM identity_users WHERE id = ?", (user_id,))


def insert_email(tx: Tx, email: EmailAddressRecord) -> None:
    """Raises ConstraintViolated (unique) when it comes proved or reserved and somebody has it."""
    tx.execute(
        f"INSERT INTO identity_email_addresses ({_EMAIL}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        msgspec.structs.astuple(email),
    )
    refresh_search(tx, email.user_id)


def emails_of(tx: Tx, *user_ids: str) -> list[EmailAddressRecord]:
    """Oldest first; of some hundreds at most."""
    if not user_ids:
        return []
    places = ", ".join("?" for _ in user_ids)
    rows = tx.fetch_all(
        f"SELECT {_EMAIL} FROM identity_email_addresses WHERE user_id IN ({places}) ORDER BY created_at, id",
        user_ids,
    )
    return [_email(row) for row in rows]


def find_email(tx: Tx, user_id: str, email_address_id: str) -> EmailAddressRecord | None:
    email = find_any_email(tx, email_address_id)
    return email if email is not None and email.user_id == user_id else None


def find_any_email(tx: Tx, email_address_id: str) -> EmailAddressRecord | None:
    """Whoever it belongs to; for holders of a secret key alone."""
    row = tx.fetch_one(f"SELECT {_EMAIL} FROM identity_email_addresses WHERE id = ?", (email_address_id,))
    return None if row is None else _email(row)


def set_email_verified(tx: Tx, email_address_id: str, verified_by: str | None, now: int) -> None:
    """Proved by that strategy, or with None unproved. Raises ConstraintViolated (unique) when another account proved it
    first."""
    tx.execute(
        "UPDATE identity_email_addresses SET verified_at = ?, verified_by = ?, updated_at = ? WHERE id = ?",
        (None if verified_by is None else now, verified_by, now, email_address_id),
    )


def delete_email(tx: Tx, email_address_id: str) -> None:
    email = find_any_email(tx, email_address_id)
    tx.execute("DELETE FROM identity_email_addresses WHERE id = ?", (email_address_id,))
    if email is not None:
        refresh_search(tx, email.user_id)


def _insert_rows(tx: Tx, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    places = f"({', '.join('?' for _ in columns)})"
    tx.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join(places for _ in rows)}",
        [value for row in rows for value in row],
    )


def _pieces(records: Sequence[R]) -> Iterator[Sequence[R]]:
    """As many as one statement takes: both engines number its values in 16 bits."""
    for start in range(0, len(records), _ROWS_AT_ONCE):
        yield records[start : start + _ROWS_AT_ONCE]


def _email(row: tuple[object, ...]) -> EmailAddressRecord:
    values = [*row[:7], bool(row[7])]
    return EmailAddressRecord(*values)  # type: ignore[arg-type]  # in the order of _EMAIL
