"""The one module that imports Alembic, and with it SQLAlchemy: imported only when a revision is due.

Each call runs the missing revisions of one schema: all of them, or none.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, StaticPool

from doorward.store.database import Schema
from doorward.store.errors import DatabaseFailed


def upgrade_sqlite(connection: sqlite3.Connection, schema: Schema, folder: Path) -> None:
    """Run the missing revisions inside the transaction that the caller began, and will end."""
    engine = create_engine("sqlite://", creator=lambda: _Borrowed(connection), poolclass=StaticPool)
    with _errors_explained(schema, engine), engine.connect() as borrowed:
        _run(borrowed, schema, folder)


def upgrade_postgresql(url: str, schema: Schema, folder: Path, *, to: str = "head") -> None:
    """Run the missing revisions, up to `to`, in one transaction of a connection of its own; the caller holds the lock."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    with _errors_explained(schema, engine), engine.begin() as connection:
        _run(connection, schema, folder, to)


@contextmanager
def _errors_explained(schema: Schema, engine: Engine) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, CommandError) as error:
        raise DatabaseFailed(f"A revision of {schema.name} failed and was undone: {error}") from error
    finally:
        engine.dispose()


class _Borrowed:
    """A SQLite connection whose transaction belongs to somebody else: SQLAlchemy may neither end it nor close it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        """The caller commits."""

    def rollback(self) -> None:
        """The caller rolls back."""

    def close(self) -> None:
        """The caller closes."""


def _run(connection: Connection, schema: Schema, folder: Path, to: str = "head") -> None:
    scripts = ScriptDirectory(str(folder), version_locations=[str(folder)])

    def missing(stored: Any, context: MigrationContext) -> Iterable[MigrationStep]:
        revisions = reversed(list(scripts.iterate_revisions(to, stored or "base")))
        return [MigrationStep.upgrade_from_script(scripts.revision_map, revision) for revision in revisions]

    context = MigrationContext.configure(
        connection, opts={"fn": missing, "version_table": schema.version_table, "transactional_ddl": True}
    )
    with Operations.context(context):
        context.run_migrations()
