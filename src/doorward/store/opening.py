"""From a database URL to an open, migrated database."""

import asyncio
from collections.abc import Sequence

from doorward.store import migrations, sqlite_files
from doorward.store.database import Database, Schema
from doorward.store.sqlite import SqliteDatabase


async def open_database(url: str, *, schemas: Sequence[Schema]) -> Database:
    """Open `sqlite:///absolute/path.sqlite` or `postgresql://…`, after running the migrations that are due.

    Schemas migrate in the order given. Several processes may open the same database at once: one migrates,
    the others wait for it. Raises DatabaseUnreachable, DatabaseLocked, SchemaTooNew, DatabaseFailed; ValueError
    for a URL of another kind.
    """
    return await asyncio.get_running_loop().run_in_executor(None, _open, url, tuple(schemas))


def _open(url: str, schemas: tuple[Schema, ...]) -> Database:
    if url.startswith("sqlite:"):
        path = sqlite_files.path_of(url)
        sqlite_files.create(path)
        migrations.migrate_sqlite(path, schemas)
        return SqliteDatabase(path)
    if url.startswith(("postgresql://", "postgres://")):
        # psycopg costs a quarter of a second of import, which a process on SQLite does not owe.
        from doorward.store.postgresql import PostgresqlDatabase

        migrations.migrate_postgresql(url, schemas)
        return PostgresqlDatabase(url)
    raise ValueError(f"a database URL begins with sqlite:/// or postgresql://, not {url.partition(':')[0]!r}")
