import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pytest

from doorward.store import (
    ConstraintViolated,
    Database,
    DatabaseClosed,
    DatabaseContended,
    DatabaseFailed,
    TransactionMisused,
    Tx,
)

T = TypeVar("T")


def balance(tx: Tx) -> int:
    row = tx.fetch_one("SELECT balance FROM ledger_accounts WHERE id = ?", ("a",))
    assert row is not None
    return row[0]


def count(tx: Tx) -> int:
    row = tx.fetch_one("SELECT COUNT(*) FROM ledger_accounts")
    assert row is not None
    return row[0]


def insert(identifier: str):
    return lambda tx: tx.execute("INSERT INTO ledger_accounts (id, balance) VALUES (?, 1)", (identifier,))


async def written(database: Database, job: Callable[[Tx], T]) -> T:
    """As often as PostgreSQL, where it has time for one of many, asks to try again."""
    while True:
        with suppress(DatabaseContended):
            return await database.write(job)


@pytest.mark.anyio
async def test_concurrent_read_then_write_transactions_lose_no_update(ledger: Database) -> None:
    def deposit(tx: Tx) -> None:
        tx.execute("UPDATE ledger_accounts SET balance = ? WHERE id = 'a'", (balance(tx) + 1,))

    await asyncio.gather(*(written(ledger, deposit) for _ in range(60)))
    assert await ledger.read(balance) == 60


@pytest.mark.anyio
async def test_two_nodes_on_one_database_lose_no_update_either(ledger: Database, open_again) -> None:
    other = await open_again()

    def deposit(tx: Tx) -> None:
        tx.execute("UPDATE ledger_accounts SET balance = ? WHERE id = 'a'", (balance(tx) + 1,))

    await asyncio.gather(*(written(node, deposit) for _ in range(20) for node in (ledger, other)))
    assert await ledger.read(balance) == await other.read(balance) == 40


@pytest.mark.anyio
async def test_a_rule_over_several_rows_cannot_be_broken_by_two_transactions_at_once(
    ledger: Database,
) -> None:
    # Write skew: each looks at all rows and inserts one of its own; only serialisable isolation stops the pair. The
    # barrier makes sure that both have looked before either inserts, where the engine lets two run at once.
    both_have_looked = threading.Barrier(2)
    patience = 60 if ledger.dialect == "postgresql" else 0.5

    def insert_if_alone(identifier: str):
        has_looked = False

        def job(tx: Tx) -> bool:
            nonlocal has_looked
            alone = count(tx) == 1
            if not has_looked:
                has_looked = True
                with suppress(threading.BrokenBarrierError):
                    both_have_looked.wait(patience)
            if alone:
                insert(identifier)(tx)
            return alone

        return job

    answers = await asyncio.gather(*(written(ledger, insert_if_alone(identifier)) for identifier in "bc"))
    assert sorted(answers) == [False, True]
    assert await ledger.read(count) == 2


@pytest.mark.anyio
async def test_looking_before_inserting_never_meets_a_row_it_did_not_see(ledger: Database) -> None:
    def insert_if_absent(tx: Tx) -> bool:
        if tx.fetch_one("SELECT 1 FROM ledger_accounts WHERE id = 'b'"):
            return False
        tx.execute("INSERT INTO ledger_accounts (id, balance) VALUES ('b', 1)")
        return True

    answers = await asyncio.gather(*(written(ledger, insert_if_absent) for _ in range(16)))
    assert answers.count(True) == 1


@pytest.mark.anyio
async def test_a_job_that_raises_undoes_only_itself(ledger: Database) -> None:
    def job(identifier: str, *, fail: bool):
        def run(tx: Tx) -> None:
            insert(identifier)(tx)
            if fail:
                raise LookupError(identifier)

        return run

    jobs = [ledger.write(job(f"n{number}", fail=number % 2 == 1)) for number in range(20)]
    answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert [isinstance(answer, LookupError) for answer in answers] == [
        number % 2 == 1 for number in range(20)
    ]
    rows = await ledger.read(lambda tx: tx.fetch_all("SELECT id FROM ledger_accounts WHERE id LIKE 'n%'"))
    assert {row[0] for row in rows} == {f"n{number}" for number in range(0, 20, 2)}


@pytest.mark.anyio
async def test_a_read_sees_one_moment_however_long_it_takes(ledger: Database) -> None:
    looked, changed = threading.Event(), threading.Event()

    def look_twice(tx: Tx) -> tuple[int, int]:
        before = count(tx)
        looked.set()
        assert changed.wait(60)
        return before, count(tx)

    reading = asyncio.create_task(ledger.read(look_twice))
    assert await asyncio.to_thread(looked.wait, 60)
    await ledger.write(insert("b"))
    changed.set()
    assert await reading == (1, 1)
    assert await ledger.read(count) == 2


@pytest.mark.anyio
async def test_a_lookup_sees_the_last_commit_and_cannot_write(ledger: Database) -> None:
    await ledger.write(insert("b"))
    assert await ledger.lookup(count) == 2
    with pytest.raises(TransactionMisused):
        await ledger.lookup(insert("c"))
    assert await ledger.lookup(count) == 2


@pytest.mark.anyio
async def test_values_of_every_column_type_come_back_as_they_went_in(ledger: Database) -> None:
    values = ("ü'%?\\", 2**62, False, b"\0\xff")
    columns = "id, balance, is_open, secret"
    added = await ledger.write(
        lambda tx: tx.fetch_one(
            f"INSERT INTO ledger_accounts ({columns}) VALUES (?, ?, ?, ?) RETURNING {columns}", values
        )
    )
    read = await ledger.read(
        lambda tx: tx.fetch_one(f"SELECT {columns} FROM ledger_accounts WHERE is_open = ?", (False,))
    )
    for row in (added, read):
        assert row is not None
        assert (row[0], row[1], bool(row[2]), bytes(row[3])) == values


@pytest.mark.anyio
async def test_execute_answers_how_many_rows_changed(ledger: Database) -> None:
    await ledger.write(insert("b"))
    assert await ledger.write(lambda tx: tx.execute("UPDATE ledger_accounts SET balance = 5")) == 2
    assert await ledger.write(lambda tx: tx.execute("DELETE FROM ledger_accounts WHERE id = 'nobody'")) == 0
    on_conflict = "INSERT INTO ledger_accounts (id, balance) VALUES ('a', 9) ON CONFLICT (id) DO NOTHING"
    assert await ledger.write(lambda tx: tx.execute(on_conflict)) == 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("INSERT INTO ledger_accounts (id, balance) VALUES ('a', 1)", "unique"),
        ("INSERT INTO ledger_accounts (id, balance) VALUES ('b', -1)", "check"),
        ("INSERT INTO ledger_accounts (id, balance) VALUES ('b', NULL)", "not_null"),
        ("INSERT INTO ledger_entries (id, account_id, amount) VALUES ('e', 'nobody', 1)", "foreign_key"),
    ],
)
async def test_a_broken_rule_is_named_the_same_on_both_engines(ledger: Database, sql: str, kind: str) -> None:
    with pytest.raises(ConstraintViolated) as raised:
        await ledger.write(lambda tx: tx.execute(sql))
    assert raised.value.kind == kind
    assert raised.value.name or kind == "foreign_key"  # SQLite does not say which


@pytest.mark.anyio
async def test_a_failed_statement_ends_the_transaction_even_when_its_error_is_swallowed(
    ledger: Database,
) -> None:
    reached: list[str] = []

    def swallow(tx: Tx) -> str:
        insert("b")(tx)
        try:
            insert("a")(tx)
        except ConstraintViolated:
            reached.append("caught")
        return "all is well"

    def go_on(tx: Tx) -> None:
        try:
            insert("a")(tx)
        except ConstraintViolated:
            insert("c")(tx)

    with pytest.raises(ConstraintViolated):
        await ledger.write(swallow)
    with pytest.raises(TransactionMisused, match="ON CONFLICT"):
        await ledger.write(go_on)
    assert reached
    assert await ledger.read(count) == 1


@pytest.mark.anyio
async def test_a_transaction_used_after_its_end_fails_loudly(ledger: Database) -> None:
    kept: list[Tx] = []
    await ledger.write(kept.append)
    await ledger.read(kept.append)
    for tx in kept:
        for late in (
            lambda tx=tx: tx.execute("DELETE FROM ledger_accounts"),
            lambda tx=tx: tx.notify("x", "y"),
        ):
            with pytest.raises(TransactionMisused, match="ended"):
                late()
    assert await ledger.read(count) == 1


@pytest.mark.anyio
async def test_work_that_would_run_after_the_end_is_refused_and_undone(ledger: Database) -> None:
    async def waits(tx: Tx) -> None:
        insert("b")(tx)

    def yields(tx: Tx):
        yield insert("b")(tx)

    for wrong in (waits, yields):
        with pytest.raises(TransactionMisused):
            await ledger.write(wrong)
    assert await ledger.read(count) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    "sql", ["COMMIT", " rollback", "BEGIN", "SAVEPOINT x", "PRAGMA foreign_keys = OFF", "SET x = 1"]
)
async def test_a_room_cannot_end_the_transaction_or_change_the_connection(ledger: Database, sql: str) -> None:
    with pytest.raises(TransactionMisused):
        await ledger.write(lambda tx: tx.execute(sql))


@pytest.mark.anyio
async def test_a_read_changes_nothing(ledger: Database) -> None:
    with pytest.raises(TransactionMisused):
        await ledger.read(insert("b"))
    with pytest.raises(TransactionMisused):
        await ledger.read(lambda tx: tx.notify("x", "y"))
    assert await ledger.read(count) == 1


@pytest.mark.anyio
async def test_wrong_sql_is_the_callers_error_and_the_next_call_works(ledger: Database) -> None:
    for call in (ledger.write, ledger.read):
        with pytest.raises(DatabaseFailed):
            await call(lambda tx: tx.execute("SELEKT 1"))
        with pytest.raises(DatabaseFailed):
            await call(lambda tx: tx.fetch_all("SELECT * FROM nowhere"))
    assert await ledger.read(count) == 1


@pytest.mark.anyio
async def test_a_cancelled_caller_leaves_a_whole_transaction_or_none(ledger: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        insert("b")(tx)
        begun.set()
        assert go_on.wait(60)
        insert("c")(tx)

    running = asyncio.create_task(ledger.write(slow))
    assert await asyncio.to_thread(begun.wait, 60)
    waiting = [asyncio.create_task(ledger.write(insert(f"n{number}"))) for number in range(12)]
    await asyncio.sleep(0)
    for task in (running, *waiting):
        task.cancel()
    results = await asyncio.gather(running, *waiting, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    go_on.set()
    await ledger.write(insert("z"))
    ids: set[str] = set()
    async with asyncio.timeout(60):
        while "c" not in ids:  # the cancelled caller's transaction ends in its thread
            rows = await ledger.read(lambda tx: tx.fetch_all("SELECT id FROM ledger_accounts"))
            ids = {row[0] for row in rows}
    assert {"a", "b", "c", "z"} <= ids


@pytest.mark.anyio
async def test_closing_finishes_what_was_asked_and_refuses_what_comes_after(
    ledger: Database, open_again
) -> None:
    writes = [asyncio.create_task(ledger.write(insert(f"n{number}"))) for number in range(10)]
    await asyncio.sleep(0)
    await ledger.close()
    await asyncio.gather(*writes)
    with pytest.raises(DatabaseClosed):
        await ledger.write(count)
    with pytest.raises(DatabaseClosed):
        await ledger.read(count)
    await ledger.close()
    assert await (await open_again()).read(count) == 11


@pytest.mark.anyio
async def test_running_past_the_end_of_the_rows_fails_instead_of_waiting_for_ever(ledger: Database) -> None:
    with pytest.raises(TransactionMisused, match="past the end"):
        await ledger.write(lambda tx: next(iter(tx.fetch_all("SELECT 1 WHERE 1 = 0"))))
