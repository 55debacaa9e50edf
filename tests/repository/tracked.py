"""The repository's files, as git knows them."""

import subprocess
from functools import cache
from pathlib import Path

from tests.system_parts import require_system_part

ROOT = Path(__file__).parents[2]


@cache
def _listing() -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)


def tracked_files() -> list[Path]:
    """Every tracked file that is on disk, relative to the root."""
    listing = _listing()
    require_system_part("git", None if listing.returncode == 0 else "the tests do not run in a git checkout")
    names = [Path(name.decode()) for name in listing.stdout.split(b"\0") if name]
    return [name for name in names if (ROOT / name).is_file()]
