"""A small ledger: two tables that exist for the store's own tests."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from doorward.store import Database, Schema, open_database

LEDGER = Schema("ledger", "tests.store.migrations")


@pytest.fixture
def ledger_url(database_url) -> str:
    return database_url(LEDGER)


@pytest.fixture
async def open_again(anyio_backend: str, ledger_url: str) -> AsyncIterator[Callable[[], Awaitable[Database]]]:
    """`await open_again()`: the same ledger, opened as another node or a later start would."""
    opened: list[Database] = []

    async def open_it() -> Database:
        opened.append(await open_database(ledger_url, schemas=[LEDGER]))
        return opened[-1]

    yield open_it
    for database in opened:
        await database.close()


@pytest.fixture
async def ledger(open_again) -> Database:
    """An open ledger with one account, `a`, whose balance is 0."""
    database = await open_again()
    await database.write(lambda tx: tx.execute("INSERT INTO ledger_accounts (id, balance) VALUES ('a', 0)"))
    return database
