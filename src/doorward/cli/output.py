"""What every command shares: running a coroutine, answering in JSON or words, and telling failures.

Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted; the code of a failure says which of 1 and 2. Failures go to
standard error as one sentence that says what happened and one that says what to do; with `--json` as
`{"error": {"code", "message"}}`. Standard output holds nothing else than the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import textwrap
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import msgspec

T = TypeVar("T")

INTERRUPTED = 130
WRONG_USAGE = 2
#: What is wrong was typed, or is in a variable that stands for an option or in a file that was named to be read; it was found
#: before anything was done. Whatever the world is like by then (what a server says, what is there already) is status 1.
_USAGE_CODES = frozenset(
    (
        "configuration_invalid",
        "database_url_invalid",
        "file_unreadable",
        "json_invalid",
        "key_missing",
        "local_only",
        "name_missing",
        "option_invalid",
        "url_invalid",
        "usage_wrong",
    )
)
_TRACE_VARIABLES = ("OTEL_EXPORTER_OTLP_", "T3CODE_RELAY_CLIENT_OTLP_TRACES_")


class _Failure(msgspec.Struct):
    code: str
    message: str


class _FailureAnswer(msgspec.Struct):
    error: _Failure


def run(coroutine: Coroutine[Any, Any, T], *, as_json: bool = False) -> T:
    """Run to the end on a fresh event loop; turns known failures into an exit status."""
    try:
        with _traces():
            return asyncio.run(coroutine)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        code = getattr(error, "code", None)
        if not _is_for_people(error):
            raise
        fail(str(error), code=code if isinstance(code, str) else "failed", as_json=as_json)
    finally:
        coroutine.close()  # one that never began would be complained about


def _traces() -> contextlib.AbstractContextManager[None]:
    """The process's spans go to a collector where variables of OpenTelemetry or T3 name one."""
    if not any(name.startswith(_TRACE_VARIABLES) for name in os.environ):
        return contextlib.nullcontext()
    import click

    from doorward.server.tracing import tracing

    context = click.get_current_context(silent=True)
    return tracing((context.info_name if context else None) or "doorward")


def _is_for_people(error: Exception) -> bool:
    """Whether the message was written to be read: errors of our own rooms, not defects."""
    return type(error).__module__.startswith("doorward.")


def fail(message: str, *, code: str = "failed", as_json: bool = False) -> NoReturn:
    """Say it on standard error and leave."""
    if as_json:
        print(msgspec.json.encode(_FailureAnswer(_Failure(code, message))).decode(), file=sys.stderr)
    else:
        # Messages quote machines and servers.
        print(f"{_red('Error:')} " + "\n".join(map(_fitted, message.splitlines())), file=sys.stderr)
    raise SystemExit(WRONG_USAGE if code in _USAGE_CODES else 1)


def _fitted(line: str) -> str:
    """Between words, for a person; whole, for whoever searches it."""
    if not sys.stderr.isatty():
        return plain(line)
    width = shutil.get_terminal_size().columns - len("Error: ")
    return textwrap.fill(plain(line), max(width, 40), break_long_words=False, break_on_hyphens=False)


def plain(text: str) -> str:
    """Another party's word, without what a terminal would act upon: escape sequences, line breaks, turned writing."""
    return "".join(character for character in text if character.isprintable())


def answer_json(value: object) -> None:
    """Two-space indented JSON and a final newline, as T3's CLI prints it."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def event_json(value: object) -> None:
    """One object a line, at once: what a command that waits or streams says on its way."""
    print(msgspec.json.encode(value).decode(), flush=True)


def _red(text: str) -> str:
    return f"\x1b[31m{text}\x1b[0m" if colours(sys.stderr) else text


def colours(stream: Any) -> bool:
    """Colour only on a terminal, and not where the person said no (no-color.org)."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR")
