"""Where commands that end write what went wrong underneath: `userdata/logs/cli.jsonl`, one JSON object a line.

A person reads on the terminal what happened and what to do; the cause of it stands here, for whoever looks for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from doorward.server.logs import JsonFormatter

MAX_BYTES = 1_000_000


def log_to(home: Path) -> None:
    """Send the warnings of this process to the home folder's log instead of to the terminal, once."""
    logger = logging.getLogger("doorward")
    if not any(isinstance(handler, _FileHandler) for handler in logger.handlers):
        logger.addHandler(_FileHandler(home / "userdata" / "logs" / "cli.jsonl"))


class _FileHandler(logging.Handler):
    """Appends; a log that cannot be written is not worth failing a command for."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(JsonFormatter())
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size > MAX_BYTES:
                self._path.replace(self._path.with_suffix(".old.jsonl"))
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write(self.format(record) + "\n")
