import asyncio
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from doorward.store import (
    ConstraintViolated,
    Database,
    DatabaseFailed,
    DatabaseFull,
    DatabaseLocked,
    DatabaseUnreachable,
    DatabaseUrlInvalid,
    Schema,
    Statement,
    open_database,
    sqlite_files,
)
from tests import databases
from tests.store import programs

LEDGER = Schema("ledger", "tests.store.migrations")


@pytest.fixture
def engine() -> str:
    """These are about SQLite alone."""
    return "sqlite"


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite://"))


def insert(identifier: str):
    return lambda tx: tx.execute("INSERT INTO ledger_accounts (id, balance) VALUES (?, 1)", (identifier,))


@pytest.mark.anyio
async def test_a_write_by_another_process_wakes_every_subscriber_and_our_own_do_not(
    ledger, ledger_url
) -> None:
    async with ledger.subscribe("ledger.changed") as events, ledger.subscribe("ledger.other") as others:
        for number in range(6):
            await ledger.write(insert(f"own{number}"))
            await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await anext(events)
        program = """
import asyncio, sys
from doorward.store import Schema, open_database
async def main():
    database = await open_database(sys.argv[1], schemas=[Schema("ledger", "tests.store.migrations")])
    await database.write(lambda tx: tx.notify("ledger.changed", "not carried to others"))
    await database.write(lambda tx: tx.execute("UPDATE ledger_accounts SET balance = 7"))
    await database.close()
asyncio.run(main())
"""
        writing = asyncio.create_task(asyncio.to_thread(programs.run, program, ledger_url))
        async with asyncio.timeout(60):
            assert await anext(events) == ""
            assert await anext(others) == ""
        await writing
    row = await ledger.read(lambda tx: tx.fetch_one("SELECT MIN(balance), MAX(balance) FROM ledger_accounts"))
    assert row == (7, 7)


@pytest.mark.anyio
async def test_many_small_writes_share_a_commit(ledger: Database, monkeypatch) -> None:
    commits, all_wait = 0, threading.Event()
    # How many get into a group in time is the machine's business; here none is too late.
    monkeypatch.setattr("doorward.store.sqlite.GROUP_SECONDS", 600.0)

    def count_commits(tx) -> None:
        def trace(sql: str) -> None:
            nonlocal commits
            commits += sql == "COMMIT"

        tx._connection.set_trace_callback(trace)

    await ledger.write(count_commits)
    commits = 0
    holding = asyncio.create_task(ledger.write(lambda tx: all_wait.wait(60)))
    writing = [asyncio.create_task(ledger.write(insert(f"n{number}"))) for number in range(200)]
    await asyncio.sleep(0)  # each of them has begun, and waits
    all_wait.set()
    assert await holding
    await asyncio.gather(*writing)
    assert commits == 1


@pytest.mark.anyio
async def test_a_job_that_spoils_the_commit_of_its_group_costs_only_itself(ledger: Database) -> None:
    # Rooms do not write deferred constraints; here one makes COMMIT itself fail, as a failing disk would.
    await ledger.write(
        lambda tx: tx.execute(
            "CREATE TABLE ledger_deferred (id TEXT REFERENCES ledger_accounts (id) DEFERRABLE INITIALLY DEFERRED)"
        )
    )

    def spoil(tx) -> None:
        tx.execute("INSERT INTO ledger_deferred (id) VALUES ('nobody')")
        tx.notify("ledger.changed", "spoilt")

    def good(identifier: str):
        def job(tx) -> None:
            insert(identifier)(tx)
            tx.notify("ledger.changed", identifier)

        return job

    async with ledger.subscribe("ledger.changed") as events:
        names = [f"n{number}" for number in range(9)]
        jobs = [ledger.write(good(name)) for name in names]
        jobs.insert(4, ledger.write(spoil))
        answers = await asyncio.gather(*jobs, return_exceptions=True)
        assert [type(answer) for answer in answers].count(ConstraintViolated) == 1
        assert isinstance(answers[4], ConstraintViolated)
        assert [await anext(events) for _ in names] == names
    rows = await ledger.read(
        lambda tx: tx.fetch_all("SELECT id FROM ledger_accounts WHERE id <> 'a' ORDER BY id")
    )
    assert [row[0] for row in rows] == names
    assert await ledger.read(lambda tx: tx.fetch_all("SELECT id FROM ledger_deferred")) == []


@pytest.mark.anyio
async def test_a_statement_that_fails_costs_only_its_own_transaction(ledger: Database) -> None:
    """Though its group is not divided by savepoints."""
    once = "INSERT INTO ledger_accounts (id, balance) VALUES (?, ?) RETURNING id"
    names = [f"n{number}" for number in range(9)]
    jobs = [ledger.run(Statement(once, (name, 1))) for name in names]
    jobs.insert(4, ledger.run(Statement(once, ("half", 1)), Statement(once, ("half", 1))))
    jobs.insert(6, ledger.write(insert("by a function")))
    answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(answers.pop(4), ConstraintViolated)
    assert answers.pop(5) == 1
    assert answers == [[[(name,)]] for name in names]
    [rows] = await ledger.ask(Statement("SELECT id FROM ledger_accounts WHERE id <> 'a' ORDER BY id"))
    assert rows == [("by a function",), *((name,) for name in names)]


@pytest.mark.anyio
async def test_a_database_without_space_refuses_the_group_whole_and_goes_on_when_there_is_space(
    ledger: Database,
) -> None:
    def limit(pages: int):
        # The engine's own "disk full", without filling a disk.
        return lambda tx: tx._connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()[0]

    def insert_much(tx) -> None:
        insert("half")(tx)
        for number in range(50):
            tx.execute(
                "INSERT INTO ledger_accounts (id, balance) VALUES (?, 1)", (f"{number}" + "x" * 4_000,)
            )

    await ledger.write(limit(1))
    answers = await asyncio.gather(
        ledger.write(insert_much), ledger.write(insert_much), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [DatabaseFull, DatabaseFull]
    assert "space" in str(answers[0])
    await ledger.write(limit(1_000_000))
    await ledger.write(insert("b"))
    rows = await ledger.read(lambda tx: tx.fetch_all("SELECT id FROM ledger_accounts ORDER BY id"))
    assert rows == [("a",), ("b",)]


@pytest.mark.anyio
async def test_a_database_another_process_keeps_locked_says_so_and_works_afterwards(
    ledger: Database, ledger_url: str, open_again, monkeypatch
) -> None:
    monkeypatch.setattr(sqlite_files, "BUSY_SECONDS", 0.2)
    database = await open_again()
    blocker = sqlite3.connect(path_of(ledger_url), isolation_level=None)
    try:
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseLocked, match="Another process"):
            await database.write(insert("b"))
        assert await database.read(lambda tx: tx.fetch_one("SELECT COUNT(*) FROM ledger_accounts")) == (1,)
        blocker.execute("ROLLBACK")
        await database.write(insert("b"))
    finally:
        blocker.close()


@pytest.mark.anyio
async def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnreachable, match="another data folder"):
        await open_database(f"sqlite://{tmp_path}/file/db.sqlite", schemas=[LEDGER])
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(DatabaseUnreachable):
        await open_database(f"sqlite://{tmp_path}/folder.sqlite", schemas=[LEDGER])


@pytest.mark.anyio
async def test_a_file_that_is_no_database_is_reported_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    path.write_bytes(b"this is not a database at all, it is a letter to a friend" * 100)
    before = path.read_bytes()
    with pytest.raises(DatabaseFailed, match="damaged"):
        await open_database(f"sqlite://{path}", schemas=[LEDGER])
    assert path.read_bytes() == before


@pytest.mark.anyio
async def test_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "db.sqlite"
    database = await open_database(f"sqlite://{path}", schemas=[LEDGER])
    try:
        await database.write(insert("b"))
        names = {entry.name for entry in path.parent.iterdir()}
        assert {"db.sqlite", "db.sqlite-wal", "db.sqlite-shm"} <= names
        assert {stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        await database.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite://relative.sqlite", "mysql://x/y", "", "/a/b"]
)
async def test_a_url_of_another_kind_is_told(url: str) -> None:
    with pytest.raises(DatabaseUrlInvalid, match="sqlite:///"):
        await open_database(url, schemas=[LEDGER])


def test_a_url_may_hold_spaces_and_four_slashes() -> None:
    assert sqlite_files.path_of("sqlite:///a%20b/c.sqlite") == Path("/a b/c.sqlite")
    assert sqlite_files.path_of("sqlite:////a/c.sqlite") == Path("/a/c.sqlite")


def test_a_start_with_nothing_to_migrate_imports_neither_alembic_nor_psycopg(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from doorward.store import Schema, open_database
async def main():
    database = await open_database(sys.argv[1], schemas=[Schema("ledger", "tests.store.migrations")])
    await database.close()
asyncio.run(main())
print(sorted({"alembic", "sqlalchemy", "psycopg"} & set(sys.modules)))
"""
    assert programs.run(program, databases.new_sqlite(tmp_path, [LEDGER])) == "[]"


@pytest.mark.anyio
async def test_the_version_is_another_one_after_every_commit_whoever_made_it(tmp_path: Path) -> None:
    path = tmp_path / "version.sqlite"
    database = await open_database(f"sqlite://{path}", schemas=())
    try:
        await database.write(lambda tx: tx.execute("CREATE TABLE notes (id INTEGER)"))
        seen = [database.version()]
        await database.read(lambda tx: tx.fetch_all("SELECT id FROM notes"))
        assert database.version() == seen[0]
        await database.write(lambda tx: tx.execute("INSERT INTO notes VALUES (1)"))
        seen.append(database.version())
        with sqlite3.connect(path) as elsewhere:
            elsewhere.execute("INSERT INTO notes VALUES (2)")
        elsewhere.close()
        seen.append(database.version())
        assert len(set(seen)) == 3
        assert None not in seen
    finally:
        await database.close()
    assert database.version() is None
