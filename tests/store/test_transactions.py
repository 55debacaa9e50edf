import asyncio

import pytest

from doorward.store import ConstraintViolated, Database, Schema, TransactionMisused, Tx

LEDGER = Schema("ledger", "tests.store.revisions")


@pytest.fixture
async def ledger(open_test_database) -> Database:
    database = await open_test_database(LEDGER)
    await database.write(
        lambda tx: tx.execute("INSERT INTO ledger_accounts (id, balance) VALUES (?, ?)", ("a", 0))
    )
    return database


def balance(tx: Tx) -> int:
    row = tx.fetch_one("SELECT balance FROM ledger_accounts WHERE id = ?", ("a",))
    assert row is not None
    return row[0]


@pytest.mark.anyio
async def test_concurrent_read_then_write_transactions_lose_no_update(ledger: Database) -> None:
    def deposit(tx: Tx) -> None:
        tx.execute("UPDATE ledger_accounts SET balance = ? WHERE id = 'a'", (balance(tx) + 1,))

    await asyncio.gather(*(ledger.write(deposit) for _ in range(60)))
    assert await ledger.read(balance) == 60


@pytest.mark.anyio
async def test_a_job_that_raises_undoes_only_itself(ledger: Database) -> None:
    def insert(identifier: str, *, fail: bool):
        def job(tx: Tx) -> None:
            tx.execute("INSERT INTO ledger_accounts (id, balance) VALUES (?, 1)", (identifier,))
            if fail:
                raise LookupError(identifier)

        return job

    jobs = [ledger.write(insert(f"n{number}", fail=number % 2 == 1)) for number in range(20)]
    answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert [isinstance(answer, LookupError) for answer in answers] == [
        number % 2 == 1 for number in range(20)
    ]
    rows = await ledger.read(lambda tx: tx.fetch_all("SELECT id FROM ledger_accounts WHERE id LIKE 'n%'"))
    assert {row[0] for row in rows} == {f"n{number}" for number in range(0, 20, 2)}


@pytest.mark.anyio
async def test_values_of_every_column_type_come_back_as_they_went_in(ledger: Database) -> None:
    values = ("ü'%?", 2**62, False, b"\0\xff")
    await ledger.write(
        lambda tx: tx.execute(
            "INSERT INTO ledger_accounts (id, balance, is_open, secret) VALUES (?, ?, ?, ?)", values
        )
    )
    row = await ledger.read(
        lambda tx: tx.fetch_one(
            "SELECT id, balance, is_open, secret FROM ledger_accounts WHERE id = ?", values[:1]
        )
    )
    assert row is not None
    assert (row[0], row[1], bool(row[2]), bytes(row[3])) == values


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
async def test_a_transaction_used_after_its_end_fails_loudly(ledger: Database) -> None:
    kept: list[Tx] = []
    await ledger.write(kept.append)
    await ledger.read(kept.append)
    for tx in kept:
        with pytest.raises(TransactionMisused, match="ended"):
            tx.execute("DELETE FROM ledger_accounts")
    assert await ledger.read(balance) == 0
