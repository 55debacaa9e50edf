'''Schema versions: what a database has, what this code needs, and the way between.

How a room gets tables. Say the room is `relay`:

1. `relay/__init__.py` (or wherever it is assembled) names its schema once:

       SCHEMA = Schema("relay", "doorward.relay.migrations")

2. `relay/migrations/__init__.py` holds a docstring and nothing else. Beside it, one file per revision, numbered
   without gaps; `relay/migrations/0001_links.py`:

       """Links between accounts and environments."""

       from alembic import op

       revision = "0001"
       down_revision = None


       def upgrade() -> None:
           op.execute(
               """
               CREATE TABLE relay_environment_links (
                   environment_id TEXT PRIMARY KEY,
                   user_id        TEXT NOT NULL,
                   generation     INTEGER NOT NULL CHECK (generation > 0),
                   managed        BOOLEAN NOT NULL,
                   credential     BYTEA,
                   created_at     BIGINT NOT NULL
               )
               """
           )
           op.execute("CREATE INDEX relay_environment_links_user ON relay_environment_links (user_id)")

   The next one is `0002_….py` with `revision = "0002"`, `down_revision = "0001"`. One statement per `op.execute`, in
   the common subset of SQLite and PostgreSQL (a colon followed by a word is a bind parameter to Alembic: write
   `\\:word`). A released revision never changes. There is no downgrade: a backup is the way back.

3. `open_database(url, schemas=[SCHEMA])` brings a database there: each schema's revisions run in one transaction,
   which either happened or did not, in one process at a time.

Alembic costs a second to import, so it is imported only when a revision is due: otherwise one SELECT per schema
compares the stored version with the highest numbered file of the package.
'''

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doorward.store import sqlite_files
from doorward.store.database import Schema
from doorward.store.errors import DatabaseFailed, DatabaseUnreachable, SchemaTooNew

if TYPE_CHECKING:
    import psycopg

_REVISION_FILE = re.compile(r"(\d{4})_\w+\.py")
# "doorward" in ASCII, as PostgreSQL's 64-bit advisory lock number.
_ADVISORY_LOCK = 0x646F6F7277617264


def revision_folder(schema: Schema) -> Path:
    return Path(str(files(schema.package)))


def newest_revision(schema: Schema) -> str:
    """The highest number among the package's revision files, as in "0003"."""
    numbers = [
        match[1]
        for entry in revision_folder(schema).iterdir()
        if (match := _REVISION_FILE.fullmatch(entry.name))
    ]
    if not numbers:
        raise ValueError(f"{schema.package} holds no revision file such as 0001_first.py")
    return max(numbers)


def is_due(schema: Schema, stored: str | None) -> bool:
    """Whether revisions are missing; raises SchemaTooNew when the database is ahead of this code."""
    newest = newest_revision(schema)
    if stored is not None and stored > newest:
        raise SchemaTooNew(
            f"The database's {schema.name} tables have version {stored}, and this Doorward knows them up to {newest}. "
            "Start the newer Doorward that wrote them, or restore a backup from before the upgrade."
        )
    return stored != newest


def migrate_sqlite(path: Path, schemas: Sequence[Schema]) -> None:
    """Bring the file to this code's versions. Raises what `open_database` raises."""
    with closing(_sqlite_connection(path)) as connection:
        if _wal(connection) and not any(
            is_due(schema, sqlite_version(connection, schema)) for schema in schemas
        ):
            return
    with _file_lock(path), closing(_sqlite_connection(path)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            for schema in schemas:
                if is_due(schema, sqlite_version(connection, schema)):
                    _upgrade_sqlite(connection, schema)
        except sqlite3.Error as error:
            raise sqlite_files.store_error(error) from error


def _upgrade_sqlite(connection: sqlite3.Connection, schema: Schema) -> None:
    from doorward.store import alembic_runner

    connection.execute("BEGIN EXCLUSIVE")
    try:
        alembic_runner.upgrade_sqlite(connection, schema, revision_folder(schema))
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise DatabaseFailed(
                f"A revision of {schema.name} left a broken reference in {broken[0]}; it was undone."
            )
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _sqlite_connection(path: Path) -> sqlite3.Connection:
    # Foreign keys stay off: a revision that rebuilds a table must not cascade into the others.
    return sqlite3.connect(path, timeout=sqlite_files.BUSY_SECONDS, isolation_level=None)


def _wal(connection: sqlite3.Connection) -> bool:
    try:
        return bool(connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal")
    except sqlite3.Error as error:
        raise sqlite_files.store_error(error) from error


def sqlite_version(connection: sqlite3.Connection, schema: Schema) -> str | None:
    """The version of the schema's tables in this file, None where there are none. Raises StoreError."""
    try:
        exists = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (schema.version_table,)
        ).fetchone()
        row = exists and connection.execute(f"SELECT version_num FROM {schema.version_table}").fetchone()  # noqa: S608
    except sqlite3.Error as error:
        raise sqlite_files.store_error(error) from error
    return str(row[0]) if row else None


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """One migrating process at a time; the lock goes with the process that held it."""
    lock = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseUnreachable(
            f"Cannot write {lock} ({error.strerror}). Make its folder writable."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def postgresql_version(connection: "psycopg.Connection[Any]", schema: Schema) -> str | None:
    """The version of the schema's tables on this connection's search path, None where there are none."""
    exists = connection.execute("SELECT to_regclass(%s)", (schema.version_table,)).fetchone()
    if exists is None or exists[0] is None:
        return None
    row = connection.execute(f"SELECT version_num FROM {schema.version_table}".encode()).fetchone()  # noqa: S608
    return str(row[0]) if row else None


def migrate_postgresql(url: str, schemas: Sequence[Schema], *, to: Mapping[str, str] | None = None) -> None:
    """Bring the database to this code's versions, or (for data of an older backup) to those `to` names by schema.

    Raises what `open_database` raises.
    """
    import psycopg

    from doorward.store.postgresql_listener import connect

    with closing(connect(url)) as connection:
        try:
            if not any(is_due(schema, postgresql_version(connection, schema)) for schema in schemas):
                return
            from doorward.store import alembic_runner

            # Held by this connection, so it goes with this process, whatever happens to it.
            connection.execute("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
            for schema in schemas:
                if is_due(schema, postgresql_version(connection, schema)):
                    alembic_runner.upgrade_postgresql(
                        url, schema, revision_folder(schema), to=(to or {}).get(schema.name, "head")
                    )
        except psycopg.Error as error:
            raise DatabaseFailed(f"PostgreSQL refused a revision: {error}") from error
