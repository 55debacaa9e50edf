"""Parts of the system some suites need (a PostgreSQL server, Chromium): missing ones are never silent.

Without the part a suite is skipped on a developer's machine and named at the end of the run; where `CI=true` it
fails, because there a skipped suite is a hole nobody would look into. The exception are other people's programs that CI
cannot have: their suites are named there too, and why they did not run.
"""

import os

import pytest

_PREFIX = "system part missing: "


def require_system_part(name: str, reason: str | None, *, fails_in_ci: bool = True) -> None:
    """Go on when `reason` is None; otherwise skip the test, or fail it in CI, because the part `name` is missing.

    `fails_in_ci=False` is for a part that CI cannot have; `reason` then says why.
    """
    if reason is None:
        return
    message = f"{_PREFIX}{name} ({reason})"
    if fails_in_ci and os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def report_missing_parts(reporter: pytest.TerminalReporter) -> None:
    """For `pytest_terminal_summary`: one line per missing part, with how many tests went without it."""
    missing: dict[str, int] = {}
    for report in reporter.stats.get("skipped", []):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _, found, message = text.partition(_PREFIX)
        if found:
            missing[message] = missing.get(message, 0) + 1
    if missing:
        reporter.section("NOT TESTED: parts of the system are missing", yellow=True)
        for message, count in sorted(missing.items()):
            reporter.line(f"{message}: {count} tests skipped")
