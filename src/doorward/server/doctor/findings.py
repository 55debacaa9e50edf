"""What a check says."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """`check` is stable. `why` and `mend` say, of what is not well, what it leads to and what to do."""

    check: str
    level: Level
    what: str
    why: str = ""
    mend: str = ""


def ok(check: str, what: str) -> Finding:
    return Finding(check, "ok", what)


def warning(check: str, what: str, *, why: str, mend: str) -> Finding:
    return Finding(check, "warning", what, why, mend)


def problem(check: str, what: str, *, why: str, mend: str) -> Finding:
    return Finding(check, "problem", what, why, mend)
