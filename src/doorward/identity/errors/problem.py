"""A row of the table, and the exception that carries some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from doorward.identity.clients.service import ClientChange


class Problem(msgspec.Struct, frozen=True):
    """One row of the table, or one made from it by `at`."""

    status: int
    code: str
    message: str
    long_message: str | None = None
    param: str | None = None
    meta: Mapping[str, object] = {}

    @property
    def text(self) -> str:
        """The sentence for a person."""
        return self.long_message or self.message

    def at(self, param: str | None = None, /, *, long_message: str | None = None, **meta: object) -> Problem:
        """The same problem, said of one parameter or with more detail."""
        return msgspec.structs.replace(
            self,
            param=param or self.param,
            long_message=long_message or self.long_message,
            meta={**self.meta, **meta},
        )


class Refused(Exception):
    """A request that gets an error answer. `retry_after` is in seconds.

    `client` is set when the browser's client changed although the request was refused; its cookie still has to be set.
    """

    client: ClientChange | None = None

    def __init__(self, *errors: Problem, retry_after: int | None = None) -> None:
        if not errors:
            raise ValueError("a refusal names at least one problem")
        super().__init__(", ".join(error.code for error in errors))
        self.errors = errors
        self.status = errors[0].status
        self.retry_after = retry_after
