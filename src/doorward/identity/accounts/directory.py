"""Finding users: lists with filters, orders and a cursor, and counting them.

Every way a list can be asked for has an index: creation (`ordinal`), the columns sorted by, addresses, and parts of
words by their trigrams. Less than three letters cannot be looked up in those: such a search reads users in the order
asked for until the page is full.
"""

# ruff: noqa: S608  (only our own column names are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

from doorward.identity.accounts import store
from doorward.identity.accounts.store import Account
from doorward.identity.errors import FORM_PARAM_VALUE_INVALID, Refused
from doorward.store import Database, Tx
from doorward.store.database import Dialect, like_literally

Order = Literal[
    "created_at",
    "updated_at",
    "email_address",
    "web3wallet",
    "first_name",
    "last_name",
    "phone_number",
    "username",
    "last_active_at",
    "last_sign_in_at",
]
TRIGRAM = 3
#: Where a user's own row keeps the value of another table.
_COLUMNS = {"email_address": "primary_email", "phone_number": "primary_phone"}


class _Want(Protocol):
    """Adds a condition and its values."""

    def __call__(self, term: str, /, *given: object) -> None: ...


class Choice(msgspec.Struct, frozen=True):
    """Values that a user must have one of, and values that a user must not have."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What users must be like; None and empty ask for nothing. Times in milliseconds."""

    ids: Choice = Choice()
    external_ids: Choice = Choice()
    email_addresses: tuple[str, ...] = ()
    phone_numbers: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    text: str | None = None
    email_text: str | None = None
    phone_text: str | None = None
    username_text: str | None = None
    name_text: str | None = None
    is_banned: bool | None = None
    last_active_before: int | None = None
    last_active_after: int | None = None
    created_before: int | None = None
    created_after: int | None = None
    last_sign_in_before: int | None = None
    last_sign_in_after: int | None = None
    is_impossible: bool = False
    """Something was asked for that no user here has, such as a wallet."""


class Ordering(msgspec.Struct, frozen=True):
    by: Order = "created_at"
    is_descending: bool = True


class Directory:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, wanted: Filter, ordering: Ordering, *, limit: int, offset: int, after: str | None = None
    ) -> list[Account]:
        """One page. `after` is the id of the last user of the page before; it goes with the order of creation and no
        offset alone. Raises Refused (422)."""
        if after is not None and (ordering.by != "created_at" or offset):
            raise Refused(
                FORM_PARAM_VALUE_INVALID.at(
                    "starting_after",
                    long_message="starting_after goes with the order of created_at and without an offset.",
                )
            )
        if wanted.is_impossible:
            return []
        dialect = self._database.dialect

        def find(tx: Tx) -> list[Account]:
            start = None if after is None else store.find_user(tx, after)
            if after is not None and start is None:
                raise Refused(
                    FORM_PARAM_VALUE_INVALID.at("starting_after", long_message="There is no such user.")
                )
            source, terms, values = _matching(wanted, dialect)
            if start is not None:
                terms.append(f"identity_users.ordinal {'<' if ordering.is_descending else '>'} ?")
                values.append(start.ordinal)
            order = _order(ordering, source)
            # Rows that an offset passes over are counted in the index alone; those of the page are fetched afterwards.
            rows = tx.fetch_all(
                f"""
                SELECT {store.USER_COLUMNS} FROM identity_users WHERE ordinal IN (
                    SELECT identity_users.ordinal FROM {source} WHERE {" AND ".join(terms) or "1 = 1"}
                    ORDER BY {order} LIMIT ? OFFSET ?
                ) ORDER BY {_order(ordering, "identity_users")}
                """,
                (*values, limit, offset),
            )
            return store.accounts_of(tx, [store.user_of(row) for row in rows])

        return await self._database.read(find)

    async def count(self, wanted: Filter) -> int:
        if wanted.is_impossible:
            return 0
        source, terms, values = _matching(wanted, self._database.dialect)
        row = await self._database.read(
            lambda tx: tx.fetch_one(
                f"SELECT count(*) FROM {source} WHERE {' AND '.join(terms) or '1 = 1'}", values
            )
        )
        return 0 if row is None else int(row[0])


def _order(ordering: Ordering, source: str) -> str:
    """SQLite sorts NULL first on the way up; PostgreSQL is told to."""
    way, nulls = ("DESC", "LAST") if ordering.is_descending else ("ASC", "FIRST")
    ordinal = "identity_users.ordinal"
    if source.startswith("identity_user_search"):
        # The index of trigrams answers in this order by itself, and stops when the page is full.
        ordinal = "identity_user_search.rowid"
    if ordering.by in ("created_at", "web3wallet"):
        return f"{ordinal} {way}"
    column = f"identity_users.{_COLUMNS.get(ordering.by, ordering.by)}"
    return f"{column} {way} NULLS {nulls}, identity_users.ordinal {way}"


def _matching(wanted: Filter, dialect: Dialect) -> tuple[str, list[str], list[object]]:
    """The tables, the conditions, and their values in order."""
    source, terms, values = "identity_users", list[str](), list[object]()

    def want(term: str, /, *given: object) -> None:
        terms.append(term)
        values.extend(given)

    searched = next(
        (
            text
            for text in (
                wanted.text,
                wanted.email_text,
                wanted.phone_text,
                wanted.username_text,
                wanted.name_text,
            )
            if text
        ),
        None,
    )
    if searched is not None:
        text = searched.lower()
        if len(text) >= TRIGRAM and dialect == "sqlite":
            source = "identity_user_search CROSS JOIN identity_users ON identity_users.ordinal = identity_user_search.rowid"
            want("identity_user_search.search_text MATCH ?", _phrase(text))
        elif len(text) >= TRIGRAM:
            want("identity_trigrams(identity_users.search_text) @> ?", _cover(text))
        _want_part(want, "identity_users.search_text", text)
    if wanted.email_text:
        _want_part(want, _any_of("identity_email_addresses", "address"), wanted.email_text, closing=")")
    if wanted.phone_text:
        _want_part(want, _any_of("identity_phone_numbers", "number"), wanted.phone_text, closing=")")
    if wanted.username_text:
        _want_part(want, "lower(identity_users.username)", wanted.username_text)
    if wanted.name_text:
        name = (
            "lower(COALESCE(identity_users.first_name, '') || ' ' || COALESCE(identity_users.last_name, ''))"
        )
        _want_part(want, name, wanted.name_text)
    _want_choice(want, "identity_users.id", wanted.ids)
    _want_choice(want, "identity_users.external_id", wanted.external_ids)
    _want_choice(want, "identity_users.username", Choice(wanted.usernames))
    for table, column, owned in (
        ("identity_email_addresses", "address", wanted.email_addresses),
        ("identity_phone_numbers", "number", wanted.phone_numbers),
    ):
        if owned:
            want(
                f"identity_users.id IN (SELECT user_id FROM {table} WHERE {column} IN ({_places(owned)}))",
                *owned,
            )
    if wanted.is_banned is not None:
        want("identity_users.is_banned" if wanted.is_banned else "NOT identity_users.is_banned")
    for column, sign, instant in (
        ("last_active_at", "<", wanted.last_active_before),
        ("last_active_at", ">", wanted.last_active_after),
        ("last_sign_in_at", "<", wanted.last_sign_in_before),
        ("last_sign_in_at", ">", wanted.last_sign_in_after),
        ("created_at", "<", wanted.created_before),
        ("created_at", ">", wanted.created_after),
    ):
        if instant is not None and column == "created_at":
            # The high bits of the ordinal are the time of creation, and it is the ordinal that has the index.
            edge = instant << 21 if sign == "<" else (instant + 1) << 21
            want(f"identity_users.ordinal {sign if sign == '<' else '>='} ?", edge)
        elif instant is not None:
            want(f"identity_users.{column} {sign} ?", instant)
    return source, terms, values


def _want_part(want: _Want, value: str, text: str, *, closing: str = "") -> None:
    """That `value` contains `text`, letter by letter."""
    want(f"{value} LIKE ? ESCAPE '\\'{closing}", f"%{like_literally(text.lower())}%")


def _cover(text: str) -> list[str]:
    """Trigrams that have every letter of the text in them, hardly overlapping: whoever has these and not the text is sorted
    out afterwards, while each further one would be another list to walk through."""
    starts = [*range(0, len(text) - TRIGRAM, TRIGRAM), len(text) - TRIGRAM]
    return sorted({text[start : start + TRIGRAM] for start in starts})


def _phrase(text: str) -> str:
    """A string of FTS5: all its trigrams, one after the other. LIKE would leave out those with a sign of its own."""
    return '"' + text.replace('"', '""') + '"'


def _any_of(table: str, column: str) -> str:
    return f"EXISTS (SELECT 1 FROM {table} WHERE user_id = identity_users.id AND {column}"


def _want_choice(want: _Want, column: str, choice: Choice) -> None:
    if choice.wanted:
        want(f"{column} IN ({_places(choice.wanted)})", *choice.wanted)
    if choice.unwanted:
        want(f"({column} IS NULL OR {column} NOT IN ({_places(choice.unwanted)}))", *choice.unwanted)


def _places(values: Iterable[str]) -> str:
    return ", ".join("?" for _ in values)
