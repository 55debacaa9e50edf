"""What the conversations with the SDKs have in common: people to speak of, and a short way to say what was seen."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Generic, TypeVar

C = TypeVar("C")

_NUMBERS = count(1)
PASSWORD = "a quiet harbour at dusk"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40


def new_address(name: str = "ada") -> str:
    """Conversations share one server; each speaks of people of its own."""
    return f"{name}-{secrets.token_hex(4)}@example.com"


def new_number() -> str:
    return f"+1555777{next(_NUMBERS):04}"


def new_name(name: str) -> str:
    return f"{name}-{secrets.token_hex(4)}"


def shows(seen: Any, **members: Any) -> Any:
    """`seen`, once it has these members, as a mapping or an object."""
    is_mapping = isinstance(seen, Mapping)
    found = {name: seen[name] if is_mapping else getattr(seen, name) for name in members}
    assert found == members
    return seen


def ids(listed: Any) -> list[str]:
    return [one["id"] if isinstance(one, Mapping) else one.id for one in listed]


class Outcomes(Generic[C]):
    """Conversations with one client, all held before any is judged, so that what was called can be counted."""

    def __init__(self, client: C, conversations: Iterable[Callable[[C], None]]) -> None:
        self._raised: dict[str, BaseException | None] = {}
        for conversation in conversations:
            self._raised[conversation.__name__] = None
            try:
                conversation(client)
            except Exception as error:
                self._raised[conversation.__name__] = error

    def judge(self, conversation: Callable[[C], None]) -> None:
        """Raises what the conversation raised."""
        raised = self._raised[conversation.__name__]
        if raised is not None:
            raise raised
