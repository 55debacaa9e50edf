"""Statements taken to the database in one trip: one transaction, without a function."""

import asyncio

import psycopg
import pytest

from doorward.store import (
    ConstraintViolated,
    Database,
    DatabaseClosed,
    DatabaseFailed,
    OutcomeUnknown,
    Statement,
    StoreError,
    TransactionMisused,
)
from doorward.store.postgresql_pipeline import Pipelines
from tests import databases

pytestmark = pytest.mark.anyio

BALANCE = Statement("SELECT balance FROM ledger_accounts WHERE id = ?", ("a",))
DEPOSIT = Statement("UPDATE ledger_accounts SET balance = balance + 1 WHERE id = 'a' RETURNING balance")
ONCE = "INSERT INTO ledger_accounts (id, balance) VALUES (?, 0) ON CONFLICT (id) DO NOTHING RETURNING 1"


async def test_each_statement_has_its_rows_and_sees_the_one_before(ledger: Database) -> None:
    assert await ledger.run(DEPOSIT, BALANCE, Statement("DELETE FROM ledger_entries")) == [[(1,)], [(1,)], []]
    assert await ledger.ask(BALANCE, Statement("SELECT id FROM ledger_accounts WHERE id = 'b'")) == [
        [(1,)],
        [],
    ]


async def test_the_house_s_values_arrive_as_they_were(ledger: Database) -> None:
    values = ("%s ? ü 🔑 'x'", 2**62, False, b"\x00\xff'\\x")
    insert = "INSERT INTO ledger_accounts (id, balance, is_open, secret) VALUES (?, ?, ?, ?)"
    await ledger.run(Statement(insert, values), Statement(insert, ("b", 0, True, None)))
    [rows] = await ledger.ask(
        Statement(
            "SELECT id, balance, is_open, secret, '?' FROM ledger_accounts WHERE id IN (?, ?) ORDER BY balance",
            (values[0], "b"),
        )
    )
    assert [(id_, balance, bool(is_open), secret) for id_, balance, is_open, secret, _ in rows] == [
        ("b", 0, True, None),
        values,
    ]
    assert {row[4] for row in rows} == {"?"}


async def test_all_of_them_are_kept_or_none(ledger: Database) -> None:
    with pytest.raises(ConstraintViolated) as refused:
        await ledger.run(
            DEPOSIT, Statement("INSERT INTO ledger_accounts (id, balance) VALUES ('c', -1)"), DEPOSIT
        )
    assert refused.value.kind == "check"
    assert await ledger.ask(BALANCE) == [[(0,)]]
    assert await ledger.run(DEPOSIT) == [[(1,)]]


async def test_of_many_at_once_none_is_lost_and_one_is_first(ledger: Database) -> None:
    answers = await asyncio.gather(*(ledger.run(DEPOSIT, Statement(ONCE, ("only-one",))) for _ in range(60)))
    assert sorted(deposited for [[(deposited,)], _] in answers) == list(range(1, 61))
    assert sum(len(inserted) for _, inserted in answers) == 1


async def test_two_nodes_count_together(ledger: Database, open_again) -> None:
    other = await open_again()
    await asyncio.gather(*(database.run(DEPOSIT) for database in (ledger, other) for _ in range(20)))
    assert await other.ask(BALANCE) == [[(40,)]]


async def test_a_caller_that_is_cancelled_leaves_all_of_it_or_nothing(ledger: Database) -> None:
    async def one(number: int) -> None:
        await ledger.run(DEPOSIT, Statement(ONCE, (f"cancelled-{number}",)))

    tasks = [asyncio.create_task(one(number)) for number in range(40)]
    for number, task in enumerate(tasks):
        if number % 4 == 0:
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await ledger.run(DEPOSIT)  # what was on its way before it, or not at all
    [[(balance,)], [(inserted,)]] = await ledger.ask(
        BALANCE, Statement("SELECT COUNT(*) FROM ledger_accounts WHERE id LIKE 'cancelled-%'")
    )
    assert balance == inserted + 1


async def test_what_is_no_read_is_refused_where_nothing_may_be_written(ledger: Database) -> None:
    with pytest.raises(TransactionMisused):
        await ledger.ask(DEPOSIT)
    assert await ledger.ask(BALANCE) == [[(0,)]]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (Statement("COMMIT"), TransactionMisused),
        (Statement("SELECT nothing FROM nowhere"), DatabaseFailed),
        (Statement("SELECT id FROM ledger_accounts WHERE balance > ?", ("",) * 2), StoreError),
    ],
)
async def test_a_statement_that_cannot_be_run_is_an_error_and_nothing_else(
    ledger: Database, statement: Statement, expected: type[StoreError]
) -> None:
    for _ in range(2):
        with pytest.raises(expected):
            await ledger.run(DEPOSIT, statement)
    assert await ledger.run(DEPOSIT) == [[(1,)]]


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_text_that_would_be_cut_at_nul_is_refused(ledger: Database) -> None:
    with pytest.raises(DatabaseFailed):
        await ledger.run(Statement(ONCE, ("cut\0off",)))
    assert await ledger.ask(Statement("SELECT id FROM ledger_accounts WHERE id LIKE 'cut%'")) == [[]]


async def test_a_database_that_is_closed_answers_what_was_asked_before_and_nothing_after(
    ledger: Database, open_again
) -> None:
    await ledger.run(DEPOSIT)
    waiting = [asyncio.create_task(ledger.run(DEPOSIT)) for _ in range(5)]
    await asyncio.sleep(0)
    await ledger.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    kept = sum(not isinstance(outcome, BaseException) for outcome in outcomes)
    assert all(isinstance(outcome, list | DatabaseClosed) for outcome in outcomes)
    assert await (await open_again()).ask(BALANCE) == [[(1 + kept,)]]
    with pytest.raises(DatabaseClosed):
        await ledger.run(DEPOSIT)
    with pytest.raises(DatabaseClosed):
        await ledger.ask(BALANCE)


def connections(url: str, *, that: str, act: str = "pid") -> int:
    """How many of the others' connections are like that; `act` is done with each."""
    with psycopg.connect(url, autocommit=True) as connection:
        query = f"SELECT {act} FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND {that}"
        return len(connection.execute(query.encode()).fetchall())


def end_connections(url: str, *, that: str) -> int:
    return connections(url, that=that, act="pg_terminate_backend(pid, 10000)")


async def until_it_sleeps(url: str) -> str:
    """Until a statement of ours is at `pg_sleep`; the condition that tells its connection from the others."""
    is_asleep = "query LIKE '%pg_sleep%' AND wait_event = 'PgSleep'"
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(connections, url, that=is_asleep):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    return is_asleep


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_connections_that_ended_while_idle_are_replaced(ledger: Database, ledger_url: str) -> None:
    await asyncio.gather(*(ledger.run(DEPOSIT) for _ in range(12)))
    assert await asyncio.to_thread(end_connections, ledger_url, that="TRUE") >= 2
    assert await ledger.run(DEPOSIT) == [[(13,)]]
    assert await ledger.ask(BALANCE) == [[(13,)]]


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_a_connection_that_ends_under_a_change_leaves_its_outcome_unknown(
    ledger: Database, ledger_url: str
) -> None:
    slow = Statement("SELECT 1 FROM (SELECT pg_sleep(600)) AS slept")
    changing = asyncio.create_task(ledger.run(DEPOSIT, slow))
    await asyncio.to_thread(end_connections, ledger_url, that=await until_it_sleeps(ledger_url))
    with pytest.raises(OutcomeUnknown):
        await changing
    assert await ledger.ask(BALANCE) == [[(0,)]]


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_a_connection_that_ends_under_a_read_is_replaced_and_asked_again(
    ledger: Database, ledger_url: str
) -> None:
    # It sleeps as long as there is one account alone.
    nap = "SELECT pg_sleep(CASE WHEN COUNT(*) = 1 THEN 600 ELSE 0 END) IS NULL FROM ledger_accounts"
    asking = asyncio.create_task(ledger.ask(Statement(nap)))
    is_asleep = await until_it_sleeps(ledger_url)
    await ledger.write(lambda tx: tx.execute("INSERT INTO ledger_accounts (id, balance) VALUES ('b', 0)"))
    await asyncio.to_thread(end_connections, ledger_url, that=is_asleep)
    assert await asking == [[(False,)]]


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_a_value_that_no_column_of_ours_has_is_an_error_to_its_caller(ledger: Database) -> None:
    with pytest.raises(DatabaseFailed):
        await ledger.ask(Statement("SELECT balance * 1.5 FROM ledger_accounts"))
    assert await ledger.ask(BALANCE) == [[(0,)]]


@pytest.mark.postgresql
async def test_trips_share_a_connection_until_it_has_enough_of_them() -> None:
    backend = Statement("SELECT CAST(pg_backend_pid() AS BIGINT)")

    async def backends(trips: int) -> set[int]:
        answers = await asyncio.gather(*[pipelines.run([backend]) for _ in range(trips)])
        return {pid for [[(pid,)]] in answers}

    with databases.new_postgresql([]) as url:
        pipelines = Pipelines(url, connections=2, together=2)
        try:
            [first] = await backends(1)
            assert await backends(2) == {first}
            # The third finds it full and goes there all the same; the next ones find a second connection.
            assert await backends(3) == {first}
            async with asyncio.timeout(60):
                while len(used := await backends(4)) < 2:
                    pass
            assert first in used
            assert await backends(20) == used
        finally:
            await pipelines.close()
