"""A suite that did not run because the system lacks something is never silent."""

import os
import subprocess
import sys
from pathlib import Path

from tests.repository.tracked import ROOT

SUITE = """
from tests.system_parts import report_missing_parts, require_system_part

def pytest_terminal_summary(terminalreporter):
    report_missing_parts(terminalreporter)

def test_one(): require_system_part("abacus", "no beads found")
def test_two(): require_system_part("abacus", "no beads found")
def test_three(): require_system_part("compass", None)
"""


def run(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(SUITE.partition("def test_one")[0])
    (folder / "test_suite.py").write_text(
        "from tests.system_parts import require_system_part\n" + SUITE[SUITE.index("def test_one") :]
    )
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, folder]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_missing_part_is_named_at_the_end_with_the_number_of_tests_it_cost(tmp_path: Path) -> None:
    done = run(tmp_path, ci="")
    assert done.returncode == 0, done.stdout
    assert "NOT TESTED" in done.stdout
    assert "abacus (no beads found): 2 tests skipped" in done.stdout
    assert "1 passed, 2 skipped" in done.stdout


def test_in_ci_a_missing_part_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, ci="true")
    assert done.returncode == 1
    assert "2 failed, 1 passed" in done.stdout
