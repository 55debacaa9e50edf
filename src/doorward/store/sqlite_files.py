"""SQLite files and connections: where they live, how they are opened, what their errors mean."""

import errno
import os
import sqlite3
from pathlib import Path
from urllib.parse import unquote

from doorward.store.errors import (
    ConstraintKind,
    ConstraintViolated,
    DatabaseFailed,
    DatabaseFull,
    DatabaseLocked,
    DatabaseUnreachable,
    DatabaseUrlInvalid,
    StoreError,
    TransactionMisused,
)

# How long a statement waits for another process's transaction before it gives up.
BUSY_SECONDS = 5.0

_KINDS: dict[int, ConstraintKind] = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: "unique",
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: "unique",
    sqlite3.SQLITE_CONSTRAINT_ROWID: "unique",
    sqlite3.SQLITE_CONSTRAINT_CHECK: "check",
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: "foreign_key",
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: "not_null",
}


def path_of(url: str) -> Path:
    """`sqlite:///abs/path.sqlite` (or with four slashes) to the absolute path. Raises DatabaseUrlInvalid."""
    text = unquote(url.removeprefix("sqlite://"))
    if not text.startswith("/") or text.endswith("/"):
        raise DatabaseUrlInvalid(
            f"The database URL {url!r} names no file: write sqlite:///absolute/path.sqlite."
        )
    return Path("/" + text.lstrip("/"))


def create(path: Path) -> None:
    """Make the folder and an empty file readable by this user alone, where they do not exist.

    SQLite gives its -wal and -shm files the permissions of the database file. A file that is there is never opened:
    closing it again would drop the locks that other connections of this process hold on it (POSIX forgets them all),
    and another process could then throw away the journal they write to.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
            if not os.access(path, os.R_OK | os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
    except OSError as error:
        raise DatabaseUnreachable(
            f"Cannot write the database file {path} ({error.strerror}). "
            "Choose another data folder, or make this one writable for the user that runs Doorward."
        ) from error
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise DatabaseUnreachable(
            f"Cannot write in the folder {path.parent}, where SQLite keeps its journal beside {path.name}. "
            "Make the folder writable for the user that runs Doorward."
        )


def data_version(connection: sqlite3.Connection) -> int | None:
    """Another number after each commit of any *other* connection; None when the file cannot be read now."""
    try:
        # Read to its end, which lets go of the file's lock.
        [(version,)] = connection.execute("PRAGMA data_version")
    except sqlite3.Error:
        return None
    return int(version)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in the house's settings; transactions are begun and ended by hand."""
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise store_error(error) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
        if not read_only:
            # What undoes a savepoint is a file of its own otherwise, made and removed for every group of commits.
            connection.execute("PRAGMA temp_store = MEMORY")
    except sqlite3.Error as error:
        connection.close()
        raise store_error(error) from error
    return connection


def transaction_lost() -> StoreError:
    return DatabaseFailed("SQLite gave up the transaction because of another write in its group; try again.")


def store_error(error: Exception) -> StoreError:
    """The store's error for one of sqlite3's, with what to do about it."""
    extended: int = getattr(error, "sqlite_errorcode", 0)
    text = str(error)
    if extended in _KINDS:
        return ConstraintViolated(_KINDS[extended], text.partition(": ")[2])
    match extended & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return DatabaseLocked(
                f"Another process has been writing to the database for more than {BUSY_SECONDS:.0f} seconds. "
                "Wait for it to finish, or stop it."
            )
        case sqlite3.SQLITE_FULL:
            return DatabaseFull(
                "There is no space left for the database; nothing was changed. Free some space."
            )
        case sqlite3.SQLITE_READONLY if "readonly database" in text:
            return TransactionMisused(
                f"Cannot write here ({text}): use `write`, and a file that may be written."
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_READONLY:
            return DatabaseUnreachable(
                f"Cannot open the database ({text}). Check that its folder exists and may be written."
            )
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return DatabaseFailed(f"The database file is damaged ({text}). Restore it from a backup.")
        case _:
            return DatabaseFailed(f"SQLite refused: {text}")
