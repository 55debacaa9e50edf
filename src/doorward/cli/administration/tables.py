"""Lists and single things as a person reads them. Every value is somebody else's word and printed without what terminals obey."""

from __future__ import annotations

import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from doorward.cli.output import colours, plain

Record = Mapping[str, Any]

GAP = 2
#: Below this a column says nothing any more.
NARROWEST = 8


@dataclass(frozen=True)
class Column:
    """`value` is a member's name, or what makes a text of the whole record. `is_whole`: never cut, as ids are copied."""

    title: str
    value: str | Callable[[Record], str]
    is_whole: bool = False

    def text(self, record: Record) -> str:
        if callable(self.value):
            return plain(self.value(record))
        return told(self.value, record.get(self.value), is_brief=True)


def table(columns: Sequence[Column], records: Sequence[Record]) -> str:
    """One line a record. On a terminal it fits: the widest columns give way first, and are cut with `…`."""
    rows = [[column.text(record) for column in columns] for record in records]
    widths = [max(map(width_of, texts)) for texts in zip([c.title for c in columns], *rows, strict=True)]
    if sys.stdout.isatty():
        widths = _fitted(columns, widths, shutil.get_terminal_size().columns)
    lines = [_line([column.title for column in columns], widths), *(_line(row, widths) for row in rows)]
    if colours(sys.stdout):
        lines[0] = f"\x1b[2m{lines[0]}\x1b[0m"
    return "\n".join(lines)


def details(members: Sequence[tuple[str, str]]) -> str:
    """One line a member, the values under one another."""
    widest = max((width_of(name) for name, _ in members), default=0)
    return "\n".join(f"{_padded(name, widest)}{' ' * GAP}{plain(value)}" for name, value in members)


def told(name: str, value: Any, *, is_brief: bool = False) -> str:
    """A member's value in words; `is_brief` where there is little room. Members named `…_at` are times in milliseconds."""
    if value is None or value == "":
        return "–" if is_brief else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and (name.endswith(("_at", "_since", "expiration")) or name == "not_before"):
        form = "%Y-%m-%d" if is_brief else "%Y-%m-%d %H:%M:%S UTC"
        return time.strftime(form, time.gmtime(value / 1000))
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(map(plain, value))
    if isinstance(value, (dict, list)):
        return plain(msgspec.json.encode(value).decode())
    return plain(str(value))


def width_of(text: str) -> int:
    """Columns of a terminal: East Asian characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in text
    )


def _fitted(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    fitted = list(widths)
    excess = sum(fitted) + GAP * (len(fitted) - 1) - room
    while excess > 0:
        candidates = [
            index
            for index, column in enumerate(columns)
            if not column.is_whole and fitted[index] > max(NARROWEST, width_of(column.title))
        ]
        if not candidates:
            break  # it wraps, and everything is there
        widest = max(candidates, key=lambda index: fitted[index])
        fitted[widest] -= 1
        excess -= 1
    return fitted


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    cells = [_padded(_cut(text, width), width) for text, width in zip(texts, widths, strict=True)]
    return (" " * GAP).join(cells).rstrip()


def _cut(text: str, width: int) -> str:
    if width_of(text) <= width:
        return text
    kept = ""
    for sign in text:
        if width_of(kept + sign) > width - 1:
            break
        kept += sign
    return kept + "…"


def _padded(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))
