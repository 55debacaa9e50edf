"""Lists and searches of many users, as `GET /users` asks for them, and importing more, both without HTTP.

`DOORWARD_BENCH_USERS` (1,000,000) rows are made by SQL, their indexes afterwards; the import goes through the use case.
SQLite is a file. PostgreSQL is the tests' own, with 256 MiB of buffers, or the empty database that
`DOORWARD_BENCH_POSTGRESQL` names.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests import databases

from bench.rows import cpu_seconds, row
from doorward.identity import SCHEMA, IdentitySettings, create_identity
from doorward.identity.accounts.directory import Directory, Order, Ordering
from doorward.identity.accounts.filters import Filter
from doorward.identity.accounts.imports import Made
from doorward.identity.accounts.new_accounts import Details, Identifier, NewPassword, NewUser
from doorward.identity.mail import ConsoleMailer
from doorward.store import Database, Sealer, open_database
from doorward.store.sqlite_files import path_of
from doorward.store.statements import for_postgresql

USERS = int(os.environ.get("DOORWARD_BENCH_USERS", "1000000"))
ROUNDS = 200
#: Of what takes far longer, and has no goal.
SLOW_ROUNDS = 20
IMPORTED = 20_000
IMPORT_BATCH = 200
PAGE_GOAL_MS = 50.0

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT CAST(? AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
#: Names of three and four syllables: searches live on the letters in which names differ.
_SYLLABLES = "".join(consonant + vowel for consonant in "bdfghjklmnprstvz" for vowel in "aeiou")
_STEPS = (7, 11, 13), (17, 19, 23, 29)


def _name_in_sql(steps: tuple[int, ...]) -> str:
    return " || ".join(
        f"substr('{_SYLLABLES}', CAST((i / {step} + i * {step}) % 80 * 2 + 1 AS INTEGER), 2)"
        for step in steps
    )


def _name_of(number: int, steps: tuple[int, ...]) -> str:
    """The same, in Python."""
    places = [(number // step + number * step) % 80 * 2 for step in steps]
    return "".join(_SYLLABLES[place : place + 2] for place in places)


_FIRST_NAME, _LAST_NAME = map(_name_in_sql, _STEPS)
_MAKE_USERS = f"""
    {_NUMBERS}
    INSERT INTO identity_users (id, ordinal, primary_email_address_id, primary_phone_number_id, external_id, username,
        first_name, last_name, public_metadata, private_metadata, unsafe_metadata, is_administrator, is_banned,
        is_password_compromised, delete_self_enabled, create_organization_enabled, bypass_client_trust, primary_email, primary_phone, search_text,
        created_at, updated_at)
    SELECT 'user_' || i, (1700000000000 + i) * 2097152, 'idn_' || i, 'idp_' || i, 'ext-' || i, 'name' || i,
        {_FIRST_NAME}, {_LAST_NAME}, '{{}}', '{{}}', '{{}}', FALSE, FALSE, FALSE, TRUE, TRUE, FALSE,
        'person' || i || '@example.com', '+1555' || (1000000 + i),
        'user_' || i || '\n' || {_FIRST_NAME} || ' ' || {_LAST_NAME} || '\n' || 'name' || i || '\n' ||
        'person' || i || '@example.com' || '\n' || '+1555' || (1000000 + i),
        1700000000000 + i, 1700000000000 + i
    FROM n
"""
_MAKE_EMAILS = f"""
    {_NUMBERS}
    INSERT INTO identity_email_addresses (id, user_id, address, verified_at, verified_by, is_reserved, created_at,
        updated_at)
    SELECT 'idn_' || i, 'user_' || i, 'person' || i || '@example.com', 1, 'admin', FALSE, 1, 1 FROM n
"""
_MAKE_PHONES = f"""
    {_NUMBERS}
    INSERT INTO identity_phone_numbers (id, user_id, number, verified_at, is_reserved, is_second_factor, created_at,
        updated_at)
    SELECT 'idp_' || i, 'user_' || i, '+1555' || (1000000 + i), 1, FALSE, FALSE, 1, 1 FROM n
"""


_STATEMENTS = (_MAKE_USERS, _MAKE_EMAILS, _MAKE_PHONES)
_TABLES = ("identity_users", "identity_email_addresses", "identity_phone_numbers")


def measure() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        yield from asyncio.run(_measure("SQLite", f"sqlite:///{Path(name) / 'users.db'}"))
    with _postgresql() as url:
        yield from asyncio.run(_measure("PostgreSQL", url))


@contextmanager
def _postgresql() -> Iterator[str]:
    if url := os.environ.get("DOORWARD_BENCH_POSTGRESQL"):
        yield url
        return
    os.environ.setdefault("DOORWARD_TEST_SHARED_BUFFERS", "256MB")
    databases.begin_run()
    try:
        with databases.new_postgresql([SCHEMA]) as url:
            yield url
    finally:
        databases.end_run()


async def _measure(engine: str, url: str) -> list[dict[str, Any]]:
    await (await open_database(url, schemas=[SCHEMA])).close()
    begun = time.perf_counter()
    (_fill_sqlite if url.startswith("sqlite:") else _fill_postgresql)(url)
    rate = USERS / (time.perf_counter() - begun)
    database = await open_database(url, schemas=[SCHEMA])
    try:
        rows = [row(f"{engine}: rows of users made and indexed, of {USERS:,}", rate, "users/s")]
        rows += await _pages(engine, database)
        rate = IMPORTED / await _import_seconds(database)
        rows.append(
            row(f"{engine}: users imported with their hashes, batches of {IMPORT_BATCH}", rate, "users/s")
        )
        return rows
    finally:
        await database.close()


def _fill_sqlite(url: str) -> None:
    """Indexes and triggers are left out meanwhile: made of everybody at once they take a fraction of the time."""
    places = ", ".join("?" for _ in _TABLES)
    with closing(sqlite3.connect(path_of(url), isolation_level=None)) as connection:
        # Nothing has to survive a crash; the next to open it sets both again.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        left_out = connection.execute(
            f"SELECT type, name, sql FROM sqlite_master WHERE tbl_name IN ({places}) AND type IN ('index', 'trigger')"
            " AND sql IS NOT NULL",
            _TABLES,
        ).fetchall()
        for kind, name, _ in left_out:
            connection.execute(f"DROP {kind} {name}")
        for statement in _STATEMENTS:
            connection.execute(statement, (1, USERS))
        for _, _, statement in left_out:
            connection.execute(statement)
        connection.execute("INSERT INTO identity_user_search(identity_user_search) VALUES ('rebuild')")
        connection.execute("UPDATE identity_user_counts SET users = ?", (USERS,))
        connection.execute("COMMIT")


def _fill_postgresql(url: str) -> None:
    """Indexes are left out meanwhile, as above."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '256MB'")
        left_out = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s)"
            " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
            (list(_TABLES),),
        ).fetchall()
        for name, _ in left_out:
            connection.execute(f"DROP INDEX {name}".encode())
        for statement in _STATEMENTS:
            psycopg.RawCursor(connection).execute(for_postgresql(statement), (1, USERS))
        for _, statement in left_out:
            connection.execute(statement.encode())
        # What autovacuum does soon after such an import.
        connection.execute("VACUUM (ANALYZE)")


def _page_of(directory: Directory) -> Callable[..., Callable[[int], Any]]:
    """Makes questions about a number that differs from turn to turn."""

    def page(
        wanted: Callable[[int], Filter] = lambda n: Filter(),
        by: Order = "created_at",
        *,
        offset: Callable[[int], int] = lambda n: 0,
        after: bool = False,
    ) -> Callable[[int], Any]:
        ordering = Ordering(by, by == "created_at")

        def ask(number: int) -> Any:
            start = f"user_{number}" if after else None
            return directory.list(wanted(number), ordering, limit=10, offset=offset(number), after=start)

        return ask

    return page


def _questions(directory: Directory) -> dict[str, Callable[[int], Any]]:
    page = _page_of(directory)
    return {
        "the newest page": page(),
        "a page after a user": page(after=True),
        "a page at any offset": page(offset=lambda n: n),
        "a page by last name": page(by="last_name"),
        "a page by address": page(by="email_address"),
        "a page by address, at any offset": page(by="email_address", offset=lambda n: n),
        "a page by phone number": page(by="phone_number"),
        "one address": page(lambda n: Filter(email_addresses=(f"person{n}@example.com",))),
        "one phone number": page(lambda n: Filter(phone_numbers=(f"+1555{1_000_000 + n}",))),
        "one username": page(lambda n: Filter(usernames=(f"name{n}",))),
        "a search by part of an address": page(lambda n: Filter(text=f"person{n}@")),
        "a search by part of an id": page(lambda n: Filter(text=f"user_{n}")),
        "a search by a username": page(lambda n: Filter(text=f"name{n}")),
        "a search by a name": page(lambda n: Filter(text=" ".join(_name_of(n, steps) for steps in _STEPS))),
        "a search by part of a phone number": page(lambda n: Filter(phone_text=str(1_000_000 + n))),
        "a search by two letters": page(lambda n: Filter(text="la")),
        "a search that all match": page(lambda n: Filter(text="example.com")),
        "a search that all match, below offset 1,000": page(
            lambda n: Filter(text="example.com"), offset=lambda n: n % 1000
        ),
        "a search that a tenth match": page(lambda n: Filter(text=f"{n % 10}@example")),
        "a search that an old tenth match": page(lambda n: Filter(text=f"user_{1 + n % 8}")),
        "a search that nobody matches": page(lambda n: Filter(text=f"nobody{n}")),
    }


def _slow_questions(directory: Directory) -> dict[str, Callable[[int], Any]]:
    """What has to look at very many users, whatever one does."""
    page = _page_of(directory)
    return {
        "a search that all match, at any offset": page(
            lambda n: Filter(text="example.com"), offset=lambda n: n
        ),
        "how many match a search that all match": lambda n: directory.count(Filter(text="example.com")),
        "two letters that nobody has": page(lambda n: Filter(text="#!")),
    }


async def _pages(engine: str, database: Database) -> list[dict[str, Any]]:
    """The waits, and what the costliest kind cost us and a server of our own, whatever else the machine does."""
    rows, costliest, directory = [], 0.0, Directory(database)
    processes = [os.getpid(), *await _servers(database)]
    for what, ask in _questions(directory).items():
        waited, spent = await _asked(ask, ROUNDS, processes)
        rows.append(row(f"{engine}: {what}, p99", _p99(waited), "ms", at_most=PAGE_GOAL_MS))
        costliest = max(costliest, _p99(spent))
    rows.append(row(f"{engine}: the costliest of these, CPU, p99", costliest, "ms"))
    for what, ask in _slow_questions(directory).items():
        waited, _ = await _asked(ask, SLOW_ROUNDS, processes)
        rows.append(row(f"{engine}: {what}, p50", statistics.median(waited), "ms"))
    return rows


async def _servers(database: Database) -> list[int]:
    """The processes that answer this database's connections; none of a server that may be elsewhere."""
    if database.dialect == "sqlite" or "DOORWARD_BENCH_POSTGRESQL" in os.environ:
        return []
    found = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    return [pid for (pid,) in await database.read(lambda tx: tx.fetch_all(found))]


async def _asked(
    ask: Callable[[int], Any], rounds: int, processes: Sequence[int]
) -> tuple[list[float], list[float]]:
    """Milliseconds that went by, and that the processes spent."""
    await ask(1)  # what the first of a kind reads from the disk, the others find in memory
    waited, spent = [], []
    for turn in range(rounds):
        number = 1 + turn * 791_953 % USERS
        used, begun = sum(map(cpu_seconds, processes)), time.perf_counter()
        await ask(number)
        waited.append((time.perf_counter() - begun) * 1000)
        spent.append((sum(map(cpu_seconds, processes)) - used) * 1000)
    return waited, spent


def _p99(taken: list[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.99) - 1]


async def _import_seconds(database: Database) -> float:
    """How long the use case behind `users import` takes for users with an address, a number, names and a bcrypt hash."""
    settings = IdentitySettings(
        origin="http://accounts.localhost:8080",
        development=True,
        sign_up="open",
        relay_origin="http://relay.localhost:8080",
        gate_zone="env.localhost:8080",
    )
    identity = await create_identity(settings, database, sealer=Sealer(b"k" * 32), mailer=ConsoleMailer())
    try:
        begun = time.perf_counter()
        for first in range(0, IMPORTED, IMPORT_BATCH):
            wishes = [_newcomer(number) for number in range(first, first + IMPORT_BATCH)]
            outcomes = await identity.imports.take_over(wishes, actor="bench")
            assert all(isinstance(outcome, Made) for outcome in outcomes)
        return time.perf_counter() - begun
    finally:
        await identity.stop()


def _newcomer(number: int) -> NewUser:
    return NewUser(
        details=Details(
            external_id=f"new-{number}",
            first_name=_name_of(number, _STEPS[0]),
            last_name=_name_of(number, _STEPS[1]),
            created_at=1_600_000_000_000 + number,
        ),
        email_addresses=(Identifier(f"new{number}@example.com"),),
        phone_numbers=(Identifier(f"+1666{1_000_000 + number}"),),
        password=NewPassword(digest="$2b$10$" + "a" * 53, hasher="bcrypt"),
    )
