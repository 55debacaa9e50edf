"""Logs: JSON lines for programs, plain lines on a terminal; never a secret in either.

    {"time":"2026-11-29T14:26:09.120Z","level":"warning","logger":"doorward.relay","message":"…","error":{"type":"…","trace":"…"}}

Our own messages name kinds, codes and ids. What else ends up in a log is the text of somebody's exception: a driver
that quotes its URL, a library that quotes a header. So whatever looks like a secret is cut out of every line.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import Literal, TextIO

import msgspec

LogFormat = Literal["auto", "json", "human"]
LogLevel = Literal["debug", "info", "warning", "error"]

REDACTED = "<redacted>"

_SECRETS = re.compile(
    r"""
    (?P<json>\beyJ[\w-]{20,}(?:\.[\w-]*)*)
    | (?P<scheme>\b(?:bearer|dpop|basic)\s+)(?P<credential>[^\s'",;]{8,})
    | (?P<prefixed>\b(?:sk_(?:live|test)|oat|ort|ak|mt|t3env|whsec)_[\w+/-]{8,})
    | (?P<url>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+(?=@)
    | (?P<key>-----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z))
    | (?P<name>\b(?:password|secret|token|credential|authorization|cookie|dpop|private_key|client_secret)['"]?\s*[=:]\s*['"]?)
      (?!\s)(?P<value>[^\s'",;&}]{6,})
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def without_secrets(text: str) -> str:
    """`text` with everything that looks like a credential replaced."""
    return _SECRETS.sub(_redacted, text)


def _redacted(match: re.Match[str]) -> str:
    kept = match["scheme"] or match["url"] or match["name"] or ""
    return f"{kept}{REDACTED}"


class _Failure(msgspec.Struct):
    type: str
    trace: str


class _Line(msgspec.Struct, omit_defaults=True):
    time: str
    level: str
    logger: str
    message: str
    operation: str = ""
    error: _Failure | None = None


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        failure = None
        if record.exc_info and record.exc_info[0] is not None:
            trace = without_secrets(self.formatException(record.exc_info))
            failure = _Failure(record.exc_info[0].__qualname__, trace)
        line = _Line(
            time=_time(record.created),
            level=record.levelname.lower(),
            logger=record.name,
            message=without_secrets(record.getMessage()),
            operation=str(getattr(record, "operation", "")),
            error=failure,
        )
        return msgspec.json.encode(line).decode()


class HumanFormatter(logging.Formatter):
    """Time of day, level, message; the traceback below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def _time(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"


def write_logs_beside_answers() -> None:
    """For programs whose output people read: warnings on a terminal, everything in a journal."""
    write_logs(level="warning" if sys.stderr.isatty() else "info")


def write_logs(
    *, shape: LogFormat = "auto", level: LogLevel = "info", stream: TextIO | None = None
) -> logging.Handler:
    """Send this process's logs to `stream` (standard error), from now on; the handler, for taking it away again."""
    stream = stream or sys.stderr
    is_json = shape == "json" or (shape == "auto" and not stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if is_json else HumanFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Libraries tell at INFO what only their developers need, headers among it.
    for name in ("httpcore", "asyncio", "alembic", "uvicorn", "psycopg", "hpack"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler
