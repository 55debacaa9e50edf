"""What each fault cost, gathered from every worker of the run and shown as one table at its end."""

import json
from pathlib import Path

import pytest

from tests import databases


def _file() -> Path:
    return databases.run_folder() / "faults.jsonl"


def record(
    fault: str, *, recovered: float | None = None, within: float | None = None, loss: str = "none"
) -> None:
    """`recovered` and its bound `within` are seconds; `loss` says what visitors lost, and what they might have."""
    line = json.dumps({"fault": fault, "recovered": recovered, "within": within, "loss": loss})
    with _file().open("a") as file:
        file.write(f"{line}\n")


def report_faults(reporter: pytest.TerminalReporter) -> None:
    """For `pytest_terminal_summary`."""
    if not _file().exists():
        return
    rows = [json.loads(line) for line in _file().read_text().splitlines()]
    reporter.section("faults: what they cost")
    reporter.line("| fault | back after | bound | lost |")
    reporter.line("|---|---|---|---|")
    for row in sorted(rows, key=lambda row: row["fault"]):
        reporter.line(
            f"| {row['fault']} | {_seconds(row['recovered'])} | {_seconds(row['within'])} | {row['loss']} |"
        )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
