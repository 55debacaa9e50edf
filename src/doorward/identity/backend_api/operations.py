"""What an operation of the Backend API is, as a value: routing, authorisation tests and the OpenAPI document read it.

OPERATIONS = (
    operation("GET", "/users/{user_id}", get_user, answer=wire.User),
    operation("POST", "/users", create_user, body=CreateUser, answer=wire.User),
)

async def create_user(call: Call[NoQuery, CreateUser]) -> wire.User: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from doorward.identity.backend_api.callers import Caller, CallerKind
from doorward.identity.backend_api.wire.shapes import NoBody, NoQuery

if TYPE_CHECKING:
    from doorward.identity.services import Identity

Q = TypeVar("Q")
B = TypeVar("B")

INSTANCE: frozenset[CallerKind] = frozenset({"instance"})
MACHINE: frozenset[CallerKind] = frozenset({"machine"})
EITHER: frozenset[CallerKind] = INSTANCE | MACHINE


class Call(msgspec.Struct, Generic[Q, B], frozen=True):
    """One request, authenticated and read."""

    identity: Identity
    caller: Caller
    path: dict[str, str]
    query: Q
    body: B
    version: str
    """`YYYY-MM-DD`; the oldest where none was asked for."""

    @property
    def now(self) -> int:
        return self.identity.clock()


Handler = Callable[[Any], Awaitable[Any]]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is below `/v1`; a versionless one is below `/api` too. An `answer` of None is a 204."""

    method: str
    path: str
    handler: Handler
    query: type
    body: Any
    answer: Any
    status: int
    callers: frozenset[CallerKind]
    is_versionless: bool

    @property
    def name(self) -> str:
        """The operation's id in the OpenAPI document."""
        return self.handler.__name__


def operation(
    method: str,
    path: str,
    handler: Handler,
    *,
    answer: Any,
    query: type = NoQuery,
    body: Any = NoBody,
    status: int | None = None,
    callers: frozenset[CallerKind] = INSTANCE,
    is_versionless: bool = False,
) -> Operation:
    return Operation(
        method=method,
        path=path,
        handler=handler,
        query=query,
        body=body,
        answer=answer,
        status=status or (204 if answer is None else 200),
        callers=callers,
        is_versionless=is_versionless,
    )
