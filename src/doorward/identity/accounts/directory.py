"""Finding users: a page of them in an order, with filters and a cursor, and counting them.

A page is chosen first, in indexes alone where that can be, and its users are read afterwards.

- Without a search, the index of the order is walked. An offset has to count what it passes over, so a far one is counted
  from the end that is nearer.
- A search walks that index for a while too: where many match, the page is soon full. Where it is not, what was met says
  whether it is worth going on. Otherwise few match, and those are looked up by the trigrams of the text. Less than three
  letters have none, and the walk goes on to its end.
"""

# ruff: noqa: S608  (only our own column names and numbers are put into statements; every value is a parameter)

from __future__ import annotations

from typing import Literal

import msgspec

from doorward.identity.accounts import store
from doorward.identity.accounts.filters import Condition, Filter, Selection, selection_of
from doorward.identity.accounts.store import Account
from doorward.identity.errors import FORM_PARAM_VALUE_INVALID, Refused
from doorward.store import Database, Tx
from doorward.store.database import Dialect

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
#: From here on it is worth asking how many users there are.
FAR = 1_000
#: How many users a search walks past at first, which takes a millisecond or two.
WALK = 1_024
#: A walk goes on this many times as far as the page should be away, if users who match stood evenly.
PATIENCE = 4
#: What looking one user up by trigrams costs, in users walked past: it is read from anywhere, and sorted.
LOOK_UP = 2
#: Where a user's own row keeps the value of another table.
_COLUMNS = {"email_address": "primary_email", "phone_number": "primary_phone"}


class Ordering(msgspec.Struct, frozen=True):
    by: Order = "created_at"
    is_descending: bool = True

    @property
    def is_by_creation(self) -> bool:
        return self.by in ("created_at", "web3wallet")

    @property
    def column(self) -> str:
        """Of `identity_users`, with its index; those of one value are in the order of creation."""
        return "ordinal" if self.is_by_creation else _COLUMNS.get(self.by, self.by)

    @property
    def columns(self) -> str:
        """What `of` sorts by."""
        return "identity_users.ordinal" + ("" if self.is_by_creation else f", identity_users.{self.column}")

    def of(self, table: str) -> str:
        """ORDER BY. SQLite sorts NULL first on the way up; PostgreSQL is told to."""
        way, nulls = ("DESC", "LAST") if self.is_descending else ("ASC", "FIRST")
        if self.is_by_creation:
            return f"{table}.ordinal {way}"
        return f"{table}.{self.column} {way} NULLS {nulls}, {table}.ordinal {way}"


class _Page(msgspec.Struct, frozen=True):
    ordering: Ordering
    limit: int
    offset: int

    @property
    def end(self) -> int:
        return self.offset + self.limit


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
        dialect, page = self._database.dialect, _Page(ordering, limit, offset)

        def find(tx: Tx) -> list[Account]:
            selection = selection_of(wanted)
            if after is not None:
                start = store.find_user(tx, after)
                if start is None:
                    raise Refused(
                        FORM_PARAM_VALUE_INVALID.at("starting_after", long_message="There is no such user.")
                    )
                sign = "<" if ordering.is_descending else ">"
                selection.span.want(f"identity_users.ordinal {sign} ?", start.ordinal)
            return store.accounts_at(tx, _chosen(tx, selection, page, dialect))

        return await self._database.read(find)

    async def count(self, wanted: Filter) -> int:
        """How many there are: of everybody that is known, of a search each of them is looked at."""
        if wanted.is_impossible:
            return 0
        dialect = self._database.dialect
        return await self._database.read(lambda tx: _count(tx, selection_of(wanted), dialect))


def _chosen(tx: Tx, selection: Selection, page: _Page, dialect: Dialect) -> list[int]:
    """The ordinals of the page's users, in its order."""
    text = selection.text
    if text is None or len(text) < TRIGRAM or selection.is_named:
        if page.offset >= FAR and not selection.whole.terms:
            return _from_nearer_end(tx, selection, page)
        return _walked(tx, selection, page)
    near = _walked_a_while(tx, selection, _Page(page.ordering, min(page.end, WALK), 0), WALK)
    if len(near) == page.end:
        return near[page.offset :]
    total = _total(tx)
    if length := _worth_walking(len(near), page, total):
        if length >= total:
            return _walked(tx, selection, page)
        found = _walked_a_while(tx, selection, page, length)
        if len(found) == page.limit:
            return found
    return _by_trigrams(tx, selection, text, page, dialect)


def _worth_walking(met: int, page: _Page, total: int) -> int:
    """How many users to walk past for the page, when so many of the first `WALK` matched; 0 when trigrams cost less."""
    if not met:
        return 0
    expected = page.end * WALK // met
    return PATIENCE * expected if expected <= LOOK_UP * total * met // WALK else 0


def _from_nearer_end(tx: Tx, selection: Selection, page: _Page) -> list[int]:
    left = _total(tx) - page.offset
    if left > page.offset:
        return _walked(tx, selection, page)
    length = min(page.limit, left)
    if length <= 0:
        return []
    ordering = msgspec.structs.replace(page.ordering, is_descending=not page.ordering.is_descending)
    return _walked(tx, selection, _Page(ordering, length, left - length))[::-1]


def _walked(tx: Tx, selection: Selection, page: _Page) -> list[int]:
    whole = selection.whole
    return _ordinals(
        tx,
        f"""
        SELECT identity_users.ordinal FROM identity_users {whole.where}
        ORDER BY {page.ordering.of("identity_users")} LIMIT ? OFFSET ?
        """,
        whole,
        page,
    )


def _walked_a_while(tx: Tx, selection: Selection, page: _Page, length: int) -> list[int]:
    """Less than the page where it is not full by then."""
    # No parameter: PostgreSQL would make one plan for any length. Few different ones: each is a statement of its own.
    length = 1 << (length - 1).bit_length()
    order = page.ordering.of("identity_users")
    return _ordinals(
        tx,
        f"""
        SELECT identity_users.ordinal FROM (
            SELECT * FROM identity_users {selection.span.where} ORDER BY {order} LIMIT {length}
        ) AS identity_users {selection.rest.where} ORDER BY {order} LIMIT ? OFFSET ?
        """,
        selection.whole,
        page,
    )


def _by_trigrams(tx: Tx, selection: Selection, text: str, page: _Page, dialect: Dialect) -> list[int]:
    source, condition = _trigrams(selection, text, dialect)
    if dialect == "sqlite":
        # The index of trigrams answers in the order of creation by itself, and stops when the page is full.
        order = page.ordering.of("identity_users")
        if page.ordering.is_by_creation:
            order = order.replace("identity_users.ordinal", "identity_user_search.rowid")
        sql = (
            f"SELECT identity_users.ordinal FROM {source} {condition.where} ORDER BY {order} LIMIT ? OFFSET ?"
        )
    else:
        # Found before they are sorted, as OFFSET keeps PostgreSQL from joining the two: a walk in that order would work
        # out the trigrams of everybody it passes.
        sql = f"""
            SELECT found.ordinal FROM (
                SELECT {page.ordering.columns} FROM {source} {condition.where} OFFSET 0
            ) AS found ORDER BY {page.ordering.of("found")} LIMIT ? OFFSET ?
        """
    return _ordinals(tx, sql, condition, page)


def _ordinals(tx: Tx, sql: str, condition: Condition, page: _Page) -> list[int]:
    return [row[0] for row in tx.fetch_all(sql, (*condition.values, page.limit, page.offset))]


def _count(tx: Tx, selection: Selection, dialect: Dialect) -> int:
    source, condition, text = "identity_users", selection.whole, selection.text
    if not condition.terms:
        return _total(tx)
    if text is not None and len(text) >= TRIGRAM and not selection.is_named:
        # Where one in a hundred matches, reading everybody is no more work than reading those from anywhere.
        near = _walked_a_while(tx, selection, _Page(Ordering(), WALK // 100, 0), WALK)
        if len(near) < WALK // 100:
            source, condition = _trigrams(selection, text, dialect)
    row = tx.fetch_one(f"SELECT count(*) FROM {source} {condition.where}", condition.values)
    return 0 if row is None else int(row[0])


def _total(tx: Tx) -> int:
    """Of all users, as triggers keep it: counting them takes as long as passing over them."""
    row = tx.fetch_one("SELECT COALESCE(sum(users), 0) FROM identity_user_counts")
    return 0 if row is None else int(row[0])


def _trigrams(selection: Selection, text: str, dialect: Dialect) -> tuple[str, Condition]:
    """The tables and the condition that look a text up in the index of trigrams."""
    found = Condition()
    if dialect == "sqlite":
        found.want("identity_user_search.search_text MATCH ?", _phrase(text))
        source = "identity_user_search CROSS JOIN identity_users ON identity_users.ordinal = identity_user_search.rowid"
        return source, found & selection.whole
    found.want("identity_trigrams(identity_users.search_text) @> ?", _cover(text))
    return "identity_users", found & selection.whole


def _cover(text: str) -> list[str]:
    """Trigrams that have every letter of the text in them, hardly overlapping: whoever has these and not the text is sorted
    out afterwards, while each further one would be another list to walk through."""
    starts = [*range(0, len(text) - TRIGRAM, TRIGRAM), len(text) - TRIGRAM]
    return sorted({text[start : start + TRIGRAM] for start in starts})


def _phrase(text: str) -> str:
    """A string of FTS5: all its trigrams, one after the other. LIKE would leave out those with a sign of its own."""
    return '"' + text.replace('"', '""') + '"'
