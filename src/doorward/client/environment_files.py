"""`.env` files: `NAME=value` lines, as T3 Code's builds read them.

Comments, blank lines and a leading `export` are passed over; a value may stand in single quotes (taken as it is) or
double quotes (`\\n`, `\\"` and `\\\\` mean what they say). Nothing is substituted: a value never names another.
"""

from __future__ import annotations

import re

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse_environment_file(text: str) -> dict[str, str]:
    """The variables a file sets; of a name that appears twice the last counts, a line that is none is passed over."""
    found = {}
    for line in text.splitlines():
        if match := _LINE.fullmatch(line.strip()):
            found[match[1]] = _value(match[2].strip())
    return found


def _value(text: str) -> str:
    if text.startswith("'") and (end := text.find("'", 1)) > 0:
        return text[1:end]
    if quoted := _DOUBLE.match(text):
        return re.sub(r"\\(.)", lambda escaped: _ESCAPES.get(escaped[1], escaped[1]), quoted[1])
    return re.split(r"\s#", text, maxsplit=1)[0].strip()
