"""Machines' tokens as Clerk's Backend API writes them. Times in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from doorward.identity.backend_api.wire.shapes import Body, Offset, Query
from doorward.identity.machines.rules import MAX_TOKEN_SECONDS

if TYPE_CHECKING:
    from doorward.identity.m2m_tokens.store import M2MToken as M2MTokenRecord

#: SDKs write whole numbers as floats.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_TOKEN_SECONDS)]


class M2MToken(msgspec.Struct, kw_only=True):
    object: str = "machine_to_machine_token"
    id: str
    subject: str
    claims: msgspec.Raw
    """An object, or null."""
    scopes: list[str]
    revoked: bool
    revocation_reason: str | None
    expired: bool
    expiration: int
    last_used_at: int | None
    created_at: int
    updated_at: int


class MadeM2MToken(M2MToken, kw_only=True):
    token: str


class ListedM2MTokens(msgspec.Struct):
    m2m_tokens: list[M2MToken]
    total_count: int


def m2m_token(token: M2MTokenRecord, now: int) -> M2MToken:
    return M2MToken(**members(token, now))


def members(token: M2MTokenRecord, now: int) -> dict[str, Any]:
    """What every form of a token tells."""
    return {
        "id": token.id,
        "subject": token.machine_id,
        "claims": msgspec.Raw(token.claims.encode()),
        "scopes": list(token.scopes),
        "revoked": token.revoked_at is not None,
        "revocation_reason": token.revocation_reason,
        "expired": now >= token.expire_at,
        "expiration": token.expire_at,
        "last_used_at": token.last_used_at,
        "created_at": token.created_at,
        "updated_at": token.updated_at,
    }


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
