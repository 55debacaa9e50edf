"""From a row of somebody's file to a user, or the reason why it is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from doorward.identity.backend_api.wire.user_imports import ImportUser

Row = Mapping[str, Any]

_TRUE = frozenset({"true", "t", "yes", "1"})
_FALSE = frozenset({"false", "f", "no", "0", ""})


class BadRow(Exception):
    """Why a row is no user."""


class Skipped(Exception):
    """Why a row is nobody who should be taken over: deleted there, anonymous, …"""


def made(members: Mapping[str, Any]) -> ImportUser:
    """A user of these members, without those that say nothing. Raises BadRow."""
    given = {name: value for name, value in members.items() if value not in (None, "", (), [], {})}
    try:
        return msgspec.convert(given, ImportUser)
    except msgspec.ValidationError as error:
        raise BadRow(f"{error}.") from error


def identified(
    name: str, primary: str | None, verified: Iterable[str], unverified: Iterable[str] = ()
) -> dict[str, Any]:
    """The members for addresses or numbers. What nobody proved is kept for its owner: it must not become somebody else's."""
    statuses: dict[str, str] = {}
    proved = {text for text in verified if text}
    for text in ([primary] if primary else []) + sorted(proved) + [text for text in unverified if text]:
        statuses.setdefault(text, "verified" if text in proved else "reserved")
    return {name: list(statuses), f"{name}_identification_status": list(statuses.values())}


def several(text: Any) -> list[str]:
    """What a cell holds of many: divided by `|` or commas; a list stays one."""
    if isinstance(text, list):
        return [str(one) for one in text]
    return [part.strip() for part in str(text or "").replace(",", "|").split("|") if part.strip()]


def json_value(name: str, text: Any) -> Any:
    """JSON, or an object that was read already; a PostgreSQL export doubles nothing. Raises BadRow."""
    if not isinstance(text, str):
        return text
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadRow(f"{name} is not JSON ({error}).") from error


def boolean(name: str, value: Any) -> bool:
    """Raises BadRow."""
    if isinstance(value, bool):
        return value
    text = str("" if value is None else value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise BadRow(f"{name} is neither true nor false: {text[:40]!r}.")


def instant(name: str, value: Any) -> str | None:
    """ISO 8601 in UTC, of milliseconds since the epoch or of what databases write. Raises BadRow."""
    if value in (None, ""):
        return None
    text = str(value).strip()
    try:
        if text.lstrip("-").isdigit():
            return datetime.fromtimestamp(int(text) / 1000, UTC).isoformat()
        # PostgreSQL writes a space for T and `+00` for the zone; both are read.
        found = datetime.fromisoformat(text.removesuffix(" UTC"))
    except (ValueError, OverflowError, OSError) as error:
        raise BadRow(f"{name} is no time: {text[:40]!r}.") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


def names_of(full: Any) -> dict[str, str]:
    """First and last name, where only both together are known."""
    first, _, last = str(full or "").strip().partition(" ")
    return {"first_name": first, "last_name": last.strip()}


def text_of(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
