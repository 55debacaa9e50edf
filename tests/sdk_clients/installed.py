"""Installing the JavaScript SDKs once, however many test processes ask at the same time."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

from tests.system_parts import require_system_part

PROJECT = Path(__file__).parent
TRIPLIT = PROJECT / "triplit"
_INSTALL_SECONDS = 180


def javascript_sdks() -> Path:
    """The npm project with its packages installed, for `node <script>` with this folder as `cwd`.

    Without node, or where the packages cannot be fetched, the test is skipped and reported, and fails in CI.
    """
    return _installed(PROJECT, "the JavaScript SDKs")


def triplit() -> Path:
    """As `javascript_sdks`, a Triplit server and client: apart, as they bring two hundred packages along."""
    return _installed(TRIPLIT, "Triplit")


def _installed(project: Path, part: str) -> Path:
    for program in ("node", "npm"):
        missing = None if shutil.which(program) else f"{program} is not installed"
        require_system_part(part, missing)
    require_system_part(part, _install(project))
    return project


def _install(project: Path) -> str | None:
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
