"""From a database URL to an open, migrated database."""

import asyncio
from collections.abc import Sequence

from doorward.store import migrations, sqlite_files
from doorward.store.database import Database, Schema
from doorward.store.errors import DatabaseUrlInvalid
from doorward.store.sqlite import SqliteDatabase


async def open_database(url: str, *, schemas: Sequence[Schema]) -> Database:
    """Open `sqlite:///absolute/path.sqlite` or `postgresql://…`, after running the migrations that are due.

    Schemas migrate in the order given. Several processes may open the same database at once: one migrates,
    the others wait for it. Raises DatabaseUrlInvalid, DatabaseUnreachable, DatabaseLocked, SchemaTooNew, DatabaseFailed.
    """
    return await asyncio.get_running_loop().run_in_executor(None, _open, url, tuple(schemas))


def check_database_url(url: str) -> None:
    """Raises DatabaseUrlInvalid unless it is `sqlite:///absolute/path.sqlite` or `postgresql://…`."""
    if url.startswith("sqlite:"):
        sqlite_files.path_of(url)
    elif not url.startswith(("postgresql://", "postgres://")):
        # The scheme alone is told: the rest of a URL may hold a password.
        raise DatabaseUrlInvalid(
            f"A database URL begins with sqlite:/// or postgresql://, not with {url.partition(':')[0]!r}."
        )


def _open(url: str, schemas: tuple[Schema, ...]) -> Database:
    check_database_url(url)
    if url.startswith("sqlite:"):
        path = sqlite_files.path_of(url)
        sqlite_files.create(path)
        migrations.migrate_sqlite(path, schemas)
        return SqliteDatabase(path)
    # psycopg costs a quarter of a second of import, which a process on SQLite does not owe.
    from doorward.store.postgresql import PostgresqlDatabase

    migrations.migrate_postgresql(url, schemas)
    return PostgresqlDatabase(url)
