import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from doorward.store import Database, DatabaseContended, DatabaseUnreachable, Schema, open_database

LEDGER = Schema("ledger", "tests.store.migrations")
pytestmark = pytest.mark.postgresql


@pytest.fixture
def engine() -> str:
    """These are about PostgreSQL alone."""
    return "postgresql"


def break_connections(url: str) -> int:
    """As a restart of the server would, for everybody but the asker; how many there were."""
    with psycopg.connect(url, autocommit=True) as connection:
        terminated = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    return len(terminated)


async def next_that(events: AsyncIterator[str], expected: str) -> list[str]:
    """Payloads up to and including `expected`."""
    received: list[str] = []
    async with asyncio.timeout(60):
        async for payload in events:
            received.append(payload)
            if payload == expected:
                break
    return received


@pytest.mark.anyio
async def test_after_broken_connections_work_goes_on_and_subscribers_are_told_to_reload(
    ledger, ledger_url
) -> None:
    async with ledger.subscribe("ledger.changed") as events:
        await ledger.write(lambda tx: tx.notify("ledger.changed", "before"))
        assert await next_that(events, "before") == ["before"]
        assert await asyncio.to_thread(break_connections, ledger_url) >= 2
        assert await ledger.write(lambda tx: tx.execute("UPDATE ledger_accounts SET balance = 5")) == 1
        assert await ledger.read(lambda tx: tx.fetch_one("SELECT balance FROM ledger_accounts")) == (5,)
        assert "" in await next_that(events, "")
        await ledger.write(lambda tx: tx.notify("ledger.changed", "after"))
        assert (await next_that(events, "after"))[-1] == "after"


@pytest.mark.anyio
async def test_a_connection_that_breaks_inside_a_transaction_is_replaced_and_the_transaction_run_again(
    ledger: Database, ledger_url: str
) -> None:
    runs = 0

    def deposit(tx) -> None:
        nonlocal runs
        runs += 1
        tx.execute("UPDATE ledger_accounts SET balance = balance + 1")
        if runs == 1:
            break_connections(ledger_url)
        tx.execute("UPDATE ledger_accounts SET balance = balance + 1")

    await ledger.write(deposit)
    assert runs == 2
    assert await ledger.read(lambda tx: tx.fetch_one("SELECT balance FROM ledger_accounts")) == (2,)


@pytest.mark.anyio
async def test_a_transaction_that_always_collides_is_given_up_with_nothing_changed(
    ledger, ledger_url
) -> None:
    rival = psycopg.connect(ledger_url, autocommit=True)
    runs = 0

    def collide(tx) -> None:
        nonlocal runs
        runs += 1
        row = tx.fetch_one("SELECT balance FROM ledger_accounts WHERE id = 'a'")
        rival.execute("UPDATE ledger_accounts SET balance = balance + 1 WHERE id = 'a'")
        tx.execute("UPDATE ledger_accounts SET balance = ? WHERE id = 'a'", (row[0] + 1000,))

    try:
        with pytest.raises(DatabaseContended, match="Try again"):
            await ledger.write(collide)
        assert rival.execute("SELECT balance FROM ledger_accounts").fetchone() == (runs,)
        assert runs > 3
    finally:
        rival.close()


@pytest.mark.anyio
async def test_a_row_committed_between_looking_and_inserting_is_seen_by_looking_again(
    ledger, ledger_url
) -> None:
    rival = psycopg.connect(ledger_url, autocommit=True)
    runs = 0

    def insert_if_absent(tx) -> bool:
        nonlocal runs
        runs += 1
        if tx.fetch_one("SELECT 1 FROM ledger_accounts WHERE id = 'b'"):
            return False
        if runs == 1:
            # Without looking first, so PostgreSQL has no reason to call it a serialisation failure.
            rival.execute("INSERT INTO ledger_accounts (id, balance) VALUES ('b', 1)")
        tx.execute("INSERT INTO ledger_accounts (id, balance) VALUES ('b', 2)")
        return True

    try:
        assert await ledger.write(insert_if_absent) is False
        assert runs == 2
    finally:
        rival.close()


@pytest.mark.anyio
async def test_a_server_that_is_not_there_is_named_in_one_sentence(tmp_path) -> None:
    for url in (
        f"postgresql://postgres@/doorward?host={tmp_path}",
        "postgresql://nobody:hush@127.0.0.1:9/x",
        "postgresql://nobody:hush@[db/x",
    ):
        with pytest.raises(DatabaseUnreachable, match="Cannot reach PostgreSQL") as raised:
            await open_database(url, schemas=[LEDGER])
        assert "hush" not in str(raised.value)
        assert "\n" not in str(raised.value)
