"""Other processes on the same database: `run(program)`, `start(program)`; programs are given as source."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def start(program: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> str:
    """What the program printed; fails with its errors when it failed."""
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return out.strip()


def run(program: str, *arguments: str) -> str:
    return finish(start(program, *arguments))
