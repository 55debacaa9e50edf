"""Machines' tokens. Times in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from doorward.identity.m2m_tokens.store import M2MToken as M2MTokenRecord


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
