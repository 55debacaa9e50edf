"""The npm project itself: what it pins is what gets installed, and its lock file is anybody's."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.sdk_clients.installed import javascript_sdks
from tests.sdk_clients.npm import PROJECT, TRIPLIT


def test_the_pinned_packages_are_what_node_loads() -> None:
    pinned = json.loads((PROJECT / "package.json").read_text())["dependencies"]
    folder = javascript_sdks()
    script = (
        "import { readFileSync } from 'node:fs';"
        "const found = {};"
        "for (const name of process.argv.slice(1)) {"
        "  await import(name);"
        "  found[name] = JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version; }"
        "console.log(JSON.stringify(found));"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, *pinned],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pinned


@pytest.mark.parametrize("project", [PROJECT, TRIPLIT], ids=lambda project: project.name)
def test_the_lock_files_name_no_registry(project: Path) -> None:
    assert '"resolved"' not in (project / "package-lock.json").read_text()
