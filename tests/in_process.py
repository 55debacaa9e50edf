"""Commands that end, run in the test's own process, where their words, files and exit status are what is tested.

A process of their own would spend 0.3 s of CPU on imports. That the program starts and ends as one is what the tests of
`tests.e2e.processes` show: commands that go on, are signalled, or are run by another user.
"""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path
from unittest.mock import patch

from click.testing import CliRunner

from doorward.cli import program
from tests.e2e.processes import program_environ


def command(
    *arguments: str, home: Path, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """As `tests.e2e.processes.command`. A command that fails by a defect raises it."""
    logger = logging.getLogger("doorward")
    handlers = list(logger.handlers)
    try:
        with patch.dict(os.environ, program_environ(home, environ), clear=True):
            done = CliRunner().invoke(program, arguments, prog_name="doorward")
    finally:
        logger.handlers[:] = handlers  # a process has one home folder and logs to it
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)
