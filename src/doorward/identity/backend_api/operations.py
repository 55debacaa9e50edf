"""What an operation of the Backend API is, as a value: routing, authorisation tests and the OpenAPI document read it.

OPERATIONS = (
    operation("GET", "/users/{user_id}", get_user, answer=wire.User),
    operation("POST", "/users", create_user, body=CreateUser, answer=wire.User),
)

async def create_user(call: Call[NoQuery, CreateUser]) -> wire.User: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import msgspec

from doorward.identity.backend_api.callers import Caller, CallerKind

if TYPE_CHECKING:
    from doorward.identity.services import Identity

Q = TypeVar("Q")
B = TypeVar("B")

INSTANCE: frozenset[CallerKind] = frozenset({"instance"})
MACHINE: frozenset[CallerKind] = frozenset({"machine"})
EITHER: frozenset[CallerKind] = INSTANCE | MACHINE


#: Whole numbers that both databases can count with: a larger one is the asker's mistake, not a fault of ours.
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
#: Milliseconds since the epoch.
Time = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a query string; unknown ones are ignored, as Clerk's SDKs send some everywhere."""


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON object; an unknown member is 422 `form_param_unknown`. `UNSET` tells an absent member from null."""


class NoQuery(Query, frozen=True):
    pass


class NoBody(msgspec.Struct, frozen=True):
    """Whatever comes is ignored: SDKs send `{}`, nothing, or members of another version."""


class Upload(msgspec.Struct, frozen=True):
    """The part `file` of a `multipart/form-data` body: an image of at most 10 MB."""

    file: bytes

    def __repr__(self) -> str:
        return f"Upload({len(self.file)} bytes)"


class Page(Query, frozen=True, kw_only=True):
    """`limit` and `offset` of a list. With `paginated` a bare array becomes `{data, total_count}`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 10
    offset: Offset = 0
    paginated: bool = False


class Listed(msgspec.Struct, Generic[Q]):
    """A page of a list, and how many there are in all."""

    data: list[Q]
    total_count: int


class Deleted(msgspec.Struct, frozen=True):
    """What a deletion answers; SDKs recognise it by `object` and `deleted` together."""

    object: str
    id: str
    deleted: bool = True


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
