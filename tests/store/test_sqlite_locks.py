"""A database may be open twice in one process without losing its locks."""

import subprocess
import sys
from pathlib import Path

from doorward.store import sqlite_files

# SQLite's SHARED lock: a range of the database file, held by every open connection in WAL mode.
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510
_ASK = f"""
import fcntl, struct
import os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, {_SHARED_FIRST}, {_SHARED_SIZE}, 0)
print(struct.unpack("hhqqi4x", fcntl.fcntl(descriptor, fcntl.F_GETLK, wanted))[0] == fcntl.F_RDLCK)
"""


def is_locked(path: Path) -> bool:
    """Whether another process is told that somebody has the database open."""
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, str(path)], capture_output=True, text=True, check=True
    )
    return asked.stdout.strip() == "True"


def test_making_sure_of_the_file_keeps_the_locks_of_an_open_connection(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    sqlite_files.create(path)
    connection = sqlite_files.connect(path)
    try:
        connection.execute("CREATE TABLE kept (id INTEGER)")
        assert is_locked(path)
        sqlite_files.create(path)
        assert is_locked(path)
    finally:
        connection.close()
    assert not is_locked(path)
