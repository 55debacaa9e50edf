"""What the queries, bodies and answers of every resource are made of."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

import msgspec

T = TypeVar("T")

#: Whole numbers that both databases can count with: a larger one is the asker's mistake, not a fault of ours.
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
#: Milliseconds since the epoch.
Time = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a query string; unknown ones are ignored, as Clerk's SDKs send some everywhere."""


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON object; an unknown member is 422 `form_param_unknown`. `UNSET` tells an absent member from null."""


class SettingsBody(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the instance. What Clerk knows and we do not is ignored: SDKs of many versions send flags of theirs."""


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


class Listed(msgspec.Struct, Generic[T]):
    """A page of a list, and how many there are in all."""

    data: list[T]
    total_count: int
