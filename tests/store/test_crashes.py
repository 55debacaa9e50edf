import asyncio
import random

import pytest

from doorward.store import Database, Tx
from tests.store import programs

# Ten tasks move money between two accounts and book both halves; each acknowledged transfer is printed.
MOVER = """
import asyncio, sys
from doorward.store import Schema, open_database

def transfer(name):
    def job(tx):
        tx.execute("UPDATE ledger_accounts SET balance = balance - 1 WHERE id = 'rich'")
        tx.execute("INSERT INTO ledger_entries (id, account_id, amount) VALUES (?, 'rich', -1)", (name + "-out",))
        tx.execute("UPDATE ledger_accounts SET balance = balance + 1 WHERE id = 'poor'")
        tx.execute("INSERT INTO ledger_entries (id, account_id, amount) VALUES (?, 'poor', 1)", (name + "-in",))
    return job

async def mover(database, task):
    number = 0
    while True:
        name = f"{sys.argv[2]}-{task}-{number}"
        await database.write(transfer(name))
        print(name, flush=True)
        number += 1

async def main():
    database = await open_database(sys.argv[1], schemas=[Schema("ledger", "tests.store.migrations")])
    await asyncio.gather(*(mover(database, task) for task in range(10)))

asyncio.run(main())
"""


@pytest.mark.anyio
async def test_a_process_killed_while_it_writes_leaves_no_half_write_and_loses_none_it_acknowledged(
    ledger: Database, ledger_url: str, open_again
) -> None:
    start = "INSERT INTO ledger_accounts (id, balance) VALUES ('rich', 1000000), ('poor', 0)"
    await ledger.write(lambda tx: tx.execute(start))
    await ledger.close()

    acknowledged: list[str] = []
    for attempt in range(3):
        process = programs.start(MOVER, ledger_url, f"run{attempt}")
        assert process.stdout is not None
        acknowledged.append(process.stdout.readline().strip())  # it is under way
        await asyncio.sleep(random.uniform(0.02, 0.3))
        process.kill()
        out, _ = process.communicate()
        # The last line may be cut short by the kill.
        acknowledged += out[: out.rfind("\n") + 1].split()

    def look(tx: Tx):
        balances = dict(tx.fetch_all("SELECT id, balance FROM ledger_accounts"))
        booked = dict(tx.fetch_all("SELECT account_id, SUM(amount) FROM ledger_entries GROUP BY account_id"))
        names = {row[0] for row in tx.fetch_all("SELECT id FROM ledger_entries")}
        return balances, booked, names

    database = await open_again()
    balances, booked, names = await database.read(look)
    assert len(acknowledged) >= 3
    assert balances["rich"] + balances["poor"] == 1_000_000
    assert balances["poor"] == booked["poor"] == -booked["rich"] >= len(acknowledged)
    assert {name.removesuffix("-in") for name in names if name.endswith("-in")} == {
        name.removesuffix("-out") for name in names if name.endswith("-out")
    }
    assert {f"{name}-in" for name in acknowledged} <= names
