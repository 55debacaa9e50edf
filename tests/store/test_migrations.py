import sys
from pathlib import Path

import pytest

from doorward.store import DatabaseFailed, Schema, SchemaTooNew, open_database
from doorward.store.migrations import newest_revision
from tests.store import programs

LEDGER = Schema("ledger", "tests.store.migrations")
COLUMNS = "SELECT id, balance, is_open, secret FROM ledger_accounts"

OPENER = """
import asyncio, sys
from doorward.store import Schema, alembic_runner, open_database  # imported now, so that all race from the same line
async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    database = await open_database(sys.argv[1], schemas=[Schema("ledger", "tests.store.migrations")])
    await database.write(lambda tx: tx.execute("INSERT INTO ledger_accounts (id, balance) VALUES (?, 1)", (sys.argv[2],)))
    print(await database.read(lambda tx: tx.fetch_all("SELECT version_num FROM ledger_schema_version")))
    await database.close()
asyncio.run(main())
"""


@pytest.fixture
def revisions(tmp_path: Path, monkeypatch):
    """`revisions("name", {"0001_x.py": body of upgrade})`: a schema whose package is made of these files."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(package: str, files: dict[str, str]) -> Schema:
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text('"""Revisions."""\n')
        previous = None
        for name, body in sorted(files.items()):
            number = name[:4]
            (folder / name).write_text(
                f"from alembic import op\nrevision = {number!r}\ndown_revision = {previous!r}\ndef upgrade():\n    {body}\n"
            )
            previous = number
        sys.modules.pop(package, None)
        return Schema("probe", package)

    return make


@pytest.mark.anyio
async def test_processes_that_start_at_once_on_an_empty_database_migrate_it_once(database_url) -> None:
    url = database_url()
    openers = [programs.start(OPENER, url, f"p{number}") for number in range(3)]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    assert [programs.finish(opener) for opener in openers] == ["[('0002',)]"] * 3
    database = await open_database(url, schemas=[LEDGER])
    try:
        assert await database.read(lambda tx: tx.fetch_one("SELECT COUNT(*) FROM ledger_accounts")) == (3,)
    finally:
        await database.close()


@pytest.mark.anyio
async def test_later_revisions_keep_the_rows_and_several_schemas_share_a_database(
    database_url, revisions
) -> None:
    url = database_url()
    first = {"0001_notes.py": 'op.execute("CREATE TABLE probe_notes (id TEXT PRIMARY KEY)")'}
    database = await open_database(url, schemas=[LEDGER, revisions("probe_one", first)])
    await database.write(lambda tx: tx.execute("INSERT INTO probe_notes (id) VALUES ('kept')"))
    await database.close()

    more = {
        **first,
        "0002_text.py": "op.execute(\"ALTER TABLE probe_notes ADD COLUMN body TEXT NOT NULL DEFAULT 'x'\")",
    }
    database = await open_database(url, schemas=[LEDGER, revisions("probe_two", more)])
    try:
        assert await database.read(lambda tx: tx.fetch_all("SELECT id, body FROM probe_notes")) == [
            ("kept", "x")
        ]
        assert await database.read(lambda tx: tx.fetch_all(COLUMNS)) == []
    finally:
        await database.close()


@pytest.mark.anyio
async def test_data_of_a_newer_doorward_is_refused_and_left_alone(database_url, revisions) -> None:
    url = database_url()
    table = 'op.execute("CREATE TABLE probe_notes (id TEXT PRIMARY KEY)")'
    newer = revisions(
        "probe_new", {"0001_notes.py": table, "0002_more.py": 'op.execute("DROP TABLE probe_notes")'}
    )
    await (await open_database(url, schemas=[newer])).close()
    with pytest.raises(SchemaTooNew, match=r"0002.*0001.*backup"):
        await open_database(url, schemas=[revisions("probe_old", {"0001_notes.py": table})])
    await (await open_database(url, schemas=[newer])).close()


@pytest.mark.anyio
@pytest.mark.parametrize("bad", ['op.execute("CREATE TABL oops")', 'raise RuntimeError("no")'])
async def test_a_revision_that_fails_takes_all_of_its_schema_back(database_url, revisions, bad: str) -> None:
    url = database_url()
    good = {"0001_notes.py": 'op.execute("CREATE TABLE probe_notes (id TEXT PRIMARY KEY)")'}
    with pytest.raises((DatabaseFailed, RuntimeError)):
        await open_database(url, schemas=[revisions("probe_bad", {**good, "0002_bad.py": bad})])
    database = await open_database(
        url, schemas=[revisions("probe_good", good)]
    )  # 0001 runs: it had been undone
    try:
        assert await database.read(lambda tx: tx.fetch_all("SELECT * FROM probe_notes")) == []
    finally:
        await database.close()


def test_the_newest_revision_is_read_from_file_names(revisions) -> None:
    assert newest_revision(LEDGER) == "0002"
    with pytest.raises(ValueError, match="no revision file"):
        newest_revision(revisions("probe_empty", {}))


@pytest.mark.parametrize("name", ["", "Ledger", "a b", "1a", "a-b", "ü"])
def test_a_schema_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case word"):
        Schema(name, "tests.store.migrations")
