"""Our tables of one PostgreSQL database as COPY data: no pg_dump, no other program, any server version.

The tables themselves are not dumped: migrations make them, at the version the data had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doorward.server.backup.archive import BackupFailed
from doorward.store import DatabaseFailed, Schema
from doorward.store.migrations import postgresql_version

if TYPE_CHECKING:
    import psycopg

_CHUNK = 1024 * 1024
_TABLES = """
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    AND split_part(c.relname, '_', 1) = ANY(%s) ORDER BY c.relname
"""
_REFERENCES = """
    SELECT a.relname, b.relname FROM pg_constraint k
    JOIN pg_class a ON a.oid = k.conrelid JOIN pg_class b ON b.oid = k.confrelid
    WHERE k.contype = 'f' AND a.relnamespace = current_schema()::regnamespace AND a.oid <> b.oid
"""
_COLUMNS = """
    SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
    AND attgenerated = '' ORDER BY attnum
"""


def dump(url: str, schemas: Sequence[Schema], folder: Path) -> dict[str, str]:
    """Write each table into a file of its name, all of one snapshot; the version of each schema. Blocking."""
    with _connected(url) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = _versions(connection, schemas)
        for table in tables_of(connection, schemas):
            columns = _columns(connection, table)
            with (
                (folder / table).open("wb") as file,
                connection.cursor() as cursor,
                cursor.copy(f"COPY (SELECT {columns} FROM {table}) TO STDOUT".encode()) as copy,  # noqa: S608
            ):
                # The columns' names first: a later version may order them otherwise.
                file.write(columns.encode() + b"\n")
                for data in copy:
                    file.write(data)
        connection.execute("COMMIT")
    return found


def versions(url: str, schemas: Sequence[Schema]) -> dict[str, str]:
    """The version of each schema that is there. Blocking."""
    with _connected(url) as connection:
        return _versions(connection, schemas)


def _versions(connection: psycopg.Connection[Any], schemas: Sequence[Schema]) -> dict[str, str]:
    return {schema.name: found for schema in schemas if (found := postgresql_version(connection, schema))}


def is_empty(url: str, schemas: Sequence[Schema]) -> bool:
    """Whether none of our tables is there."""
    with _connected(url) as connection:
        return not tables_of(connection, schemas, with_versions=True)


def load(url: str, schemas: Sequence[Schema], folder: Path) -> None:
    """Fill the tables, which migrations just made, from their files: all of them or none. Blocking."""
    import psycopg

    with _connected(url) as connection:
        tables = tables_of(connection, schemas)
        given = {path.name for path in folder.iterdir()}
        if given != set(tables):
            raise BackupFailed(
                f"The backup's tables are not those of its version: {', '.join(sorted(given ^ set(tables)))}."
            )
        try:
            with connection.transaction():
                # Migrations may have put rows there (defaults), which the backup holds as they were left.
                connection.execute(f"TRUNCATE {', '.join(tables)}".encode())
                for table in tables:
                    # What triggers keep of other tables is in the backup too.
                    connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
                    _load_table(connection, table, folder / table)
                    connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())
        except psycopg.Error as error:
            raise DatabaseFailed(f"PostgreSQL refused the backup's data: {error}") from error


def _load_table(connection: psycopg.Connection[Any], table: str, path: Path) -> None:
    with path.open("rb") as file:
        columns = file.readline().decode().strip()
        # The file is data of whoever wrote the archive: only columns that the table has may become SQL.
        if sorted(columns.split(", ")) != sorted(_columns(connection, table).split(", ")):
            raise BackupFailed(f"The backup's table {table} has other columns than its version makes.")
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy,
        ):
            while chunk := file.read(_CHUNK):
                copy.write(chunk)


def tables_of(
    connection: psycopg.Connection[Any], schemas: Sequence[Schema], *, with_versions: bool = False
) -> list[str]:
    """Our tables, each after those it refers to."""
    names = [row[0] for row in connection.execute(_TABLES, ([schema.name for schema in schemas],))]
    own = {schema.version_table for schema in schemas}
    waiting = [name for name in names if with_versions or name not in own]
    references = connection.execute(_REFERENCES).fetchall()
    needs = {name: {b for a, b in references if a == name and b in waiting} for name in waiting}
    ordered: list[str] = []
    while needs:
        ready = sorted(name for name, needed in needs.items() if needed <= set(ordered))
        if not ready:
            raise BackupFailed(f"These tables refer to each other in a circle: {', '.join(sorted(needs))}.")
        ordered += ready
        for name in ready:
            del needs[name]
    return ordered


def _columns(connection: psycopg.Connection[Any], table: str) -> str:
    return ", ".join(row[0] for row in connection.execute(_COLUMNS, (table,)))


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    import psycopg

    from doorward.store.postgresql_listener import connect

    with closing(connect(url)) as connection:
        try:
            yield connection
        except psycopg.Error as error:
            raise DatabaseFailed(f"PostgreSQL refused: {error}") from error
