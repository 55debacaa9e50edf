"""`npm ci` of the two npm projects here, once, however many processes ask at the same time.

It needs no more than Python itself: CI starts `python3 tests/sdk_clients/npm.py` while pip installs what the tests need.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

PROJECT = Path(__file__).parent
TRIPLIT = PROJECT / "triplit"
_INSTALL_SECONDS = 180


def install(project: Path) -> str | None:
    """`npm ci` unless it was done for this lock file; why it failed, if it did."""
    modules = project / "node_modules"
    stamp = modules / ".installed-for"
    wanted = sha256((project / "package-lock.json").read_bytes()).hexdigest()
    # The lock lies beside the folder that `npm ci` empties.
    with (project / ".npm-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return None
        command = ["npm", "ci", "--ignore-scripts", "--silent"]
        try:
            done = subprocess.run(
                command, cwd=project, capture_output=True, text=True, timeout=_INSTALL_SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"npm ci took longer than {_INSTALL_SECONDS} s"
        if done.returncode:
            return f"npm ci failed: {(done.stderr or done.stdout).strip()[-300:]}"
        stamp.write_text(wanted)
    return None


if __name__ == "__main__":
    sys.exit("\n".join(filter(None, map(install, (PROJECT, TRIPLIT)))) or None)
