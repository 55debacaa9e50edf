"""What the Backend API is asked about machines' tokens."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from doorward.identity.backend_api.wire.shapes import Body, Offset, Query
from doorward.identity.machines.rules import MAX_TOKEN_SECONDS

#: SDKs write whole numbers as floats.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_TOKEN_SECONDS)]


class CreateM2MToken(Body, frozen=True, kw_only=True):
    """`name`, `created_by` and `creation_reason` are what SDKs of the first days sent; nothing remembers them."""

    token_format: Literal["opaque", "jwt"] | None = None
    seconds_until_expiration: Seconds | None = None
    claims: dict[str, Any] | None = None
    min_remaining_ttl_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_TOKEN_SECONDS)] | None = None
    name: str | None = None
    created_by: str | None = None
    creation_reason: str | None = None


class ListM2MTokens(Query, frozen=True, kw_only=True):
    """`revoked` and `expired` take those in as well."""

    subject: str
    revoked: bool = False
    expired: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    offset: Offset = 0


class RevokeM2MToken(Body, frozen=True, kw_only=True):
    revocation_reason: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class VerifyM2MToken(Body, frozen=True, kw_only=True):
    """`secret` is the older name of `token`; Clerk's Python SDK still uses it."""

    token: str | None = None
    secret: str | None = None
