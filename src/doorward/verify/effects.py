"""What a decision needs from outside, so that one core serves synchronous and asynchronous callers.

A flow is a generator: it yields a wish, is sent the answer, and returns its result. It never touches a
socket, a lock or a clock; `run` and `run_async` in shells.py do.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class KeysFor(msgspec.Struct, frozen=True):
    """Answered with a `KeySet` (or the pinned `PublicKey`) that holds `kid` if any does; or KeySetUnavailable is thrown in."""

    kid: str | None


class ApiCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the Backend API. `bearer` is the secret key to call with; `path` begins with a slash."""

    method: str
    path: str
    bearer: str
    query: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    def __repr__(self) -> str:  # never the key, nor a token in the body
        return f"ApiCall({self.method} {self.path})"


class ApiAnswer(msgspec.Struct, frozen=True):
    """`status` None stands for no answer at all; `body` is its JSON, or None."""

    status: int | None
    body: Any = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def first_error(self) -> tuple[str | None, str | None]:
        """The code and the message of the first error entry."""
        errors = self.body.get("errors") if isinstance(self.body, dict) else None
        first = errors[0] if isinstance(errors, list) and errors else None
        if not isinstance(first, dict):
            return None, None
        code, message = first.get("code"), first.get("message")
        return code if isinstance(code, str) else None, message if isinstance(message, str) else None


Wish = KeysFor | ApiCall
Flow = Generator[Wish, Any, T]
