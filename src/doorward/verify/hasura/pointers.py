"""JSON pointers (RFC 6901)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_INDEX = re.compile(r"0|[1-9][0-9]*", re.ASCII)


class _Missing:
    """Tells "not there" from a null that is there."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


def parse_pointer(text: str) -> tuple[str, ...]:
    """The pointer's steps. Raises ValueError: it starts with a slash unless it is empty, and `~` stands before 0 or 1 only."""
    if text and not text.startswith("/"):
        raise ValueError(f"the pointer {text!r} must start with a slash")
    if re.search(r"~(?![01])", text):
        raise ValueError(f"the pointer {text!r} has a ~ that is neither ~0 nor ~1")
    # ~1 first: `~01` is the name `~1`, not a slash.
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])


def look_up(value: Any, steps: tuple[str, ...]) -> Any:
    """What the pointer leads to, or MISSING. Array steps are plain decimal indexes; `-` and leading zeros lead nowhere."""
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
        if value is MISSING:
            return MISSING
    return value
