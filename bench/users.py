"""Lists and searches of many users: a page of the directory, as `GET /users` asks for it, without HTTP.

`DOORWARD_BENCH_USERS` (1,000,000) rows are made by SQL, so the import's rate is that of the tables and their indexes. SQLite
is a file of its own; PostgreSQL is measured too where `DOORWARD_BENCH_POSTGRESQL` names an empty database.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.rows import row
from doorward.identity import SCHEMA
from doorward.identity.accounts.directory import Directory, Filter, Ordering
from doorward.store import Database, Tx, open_database

USERS = int(os.environ.get("DOORWARD_BENCH_USERS", "1000000"))
BATCH = 20_000
ROUNDS = 200
PAGE_GOAL_MS = 50.0

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT CAST(? AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
_MAKE_USERS = f"""
    {_NUMBERS}
    INSERT INTO identity_users (id, ordinal, primary_email_address_id, primary_phone_number_id, external_id, username,
        first_name, last_name, public_metadata, private_metadata, unsafe_metadata, is_administrator, is_banned,
        delete_self_enabled, create_organization_enabled, bypass_client_trust, search_text, created_at, updated_at)
    SELECT 'user_' || i, (1700000000000 + i) * 2097152, 'idn_' || i, 'idp_' || i, 'ext-' || i, 'name' || i,
        'First' || (i % 997), 'Last' || (i % 9973), '{{}}', '{{}}', '{{}}', FALSE, FALSE, TRUE, TRUE, FALSE,
        'user_' || i || '\n' || 'first' || (i % 997) || ' last' || (i % 9973) || '\n' || 'name' || i || '\n' ||
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


def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        rows = asyncio.run(_measure("SQLite", f"sqlite:///{Path(name) / 'users.db'}"))
    if url := os.environ.get("DOORWARD_BENCH_POSTGRESQL"):
        rows += asyncio.run(_measure("PostgreSQL", url))
    return rows


async def _measure(engine: str, url: str) -> list[dict[str, Any]]:
    database = await open_database(url, schemas=[SCHEMA])
    try:
        begun = time.perf_counter()
        await _fill(database)
        rate = USERS / (time.perf_counter() - begun)
        rows = [row(f"{engine}: rows of users made, of {USERS:,}", rate, "users/s")]
        directory = Directory(database)
        for what, ask in _questions(directory).items():
            p99 = await _p99_ms(ask)
            rows.append(row(f"{engine}: {what}, p99", p99, "ms", at_most=PAGE_GOAL_MS))
        return rows
    finally:
        await database.close()


async def _fill(database: Database) -> None:
    for first in range(1, USERS + 1, BATCH):
        span = (first, min(first + BATCH - 1, USERS))

        def work(tx: Tx, span: tuple[int, int] = span) -> None:
            tx.execute(_MAKE_USERS, span)
            tx.execute(_MAKE_EMAILS, span)
            tx.execute(_MAKE_PHONES, span)

        await database.write(work)
    if database.dialect == "postgresql":
        # What autovacuum does soon after such an import.
        await database.write(lambda tx: tx.execute("ANALYZE identity_users"))


def _questions(directory: Directory) -> dict[str, Callable[[int], Any]]:
    def page(
        wanted: Callable[[int], Filter], ordering: Ordering | None = None, *, after: bool = False
    ) -> Callable[[int], Any]:
        def ask(number: int) -> Any:
            start = f"user_{number}" if after else None
            return directory.list(wanted(number), ordering or Ordering(), limit=10, offset=0, after=start)

        return ask

    return {
        "the newest page": page(lambda n: Filter()),
        "a page after a user": page(lambda n: Filter(), after=True),
        "a page by last name": page(lambda n: Filter(), Ordering("last_name", False)),
        "a page by address": page(lambda n: Filter(), Ordering("email_address", False)),
        "one address": page(lambda n: Filter(email_addresses=(f"person{n}@example.com",))),
        "a search that few match": page(lambda n: Filter(text=f"person{n}@")),
        "a search that all match": page(lambda n: Filter(text="example.com")),
        "a search that nobody matches": page(lambda n: Filter(text=f"nobody{n}")),
    }


async def _p99_ms(ask: Callable[[int], Any]) -> float:
    taken = []
    for turn in range(ROUNDS):
        number = 1 + turn * 7919 % USERS
        begun = time.perf_counter()
        await ask(number)
        taken.append((time.perf_counter() - begun) * 1000)
    return sorted(taken)[int(ROUNDS * 0.99) - 1]
