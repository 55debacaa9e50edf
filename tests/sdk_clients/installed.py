"""The npm projects with their packages, installed when a test first asks."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.sdk_clients.npm import PROJECT, TRIPLIT, install
from tests.system_parts import require_system_part


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
    require_system_part(part, install(project))
    return project
