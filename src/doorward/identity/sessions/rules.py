"""Lifetimes and claims of a session. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from doorward.identity.sessions.organization_claims import FoldedOrganization, OrganizationClaim
from doorward.identity.sessions.store import SessionRecord

SESSION_TOKEN_LIFETIME = 60  # seconds
NOT_BEFORE_ALLOWANCE = 10  # seconds a verifier's clock may be behind ours
CATEGORY_SESSION = "cl_B7d4PD111AAA"


class SessionClaims(msgspec.Struct, omit_defaults=True):
    """Clerk's session token, version 2. Times in seconds; `fva` in minutes, -1 for never."""

    iss: str
    sub: str
    sid: str
    iat: int
    nbf: int
    exp: int
    jti: str
    fva: tuple[int, int]
    sts: str
    v: int
    azp: str | None = None
    act: msgspec.Raw | None = None
    o: OrganizationClaim | None = None
    fea: str | None = None


def is_alive(session: SessionRecord, now: int) -> bool:
    """Stored as active and within both lifetimes."""
    return session.status == "active" and now < session.expire_at and now < session.abandon_at


def status_of(session: SessionRecord, now: int) -> str:
    """The status a reader sees: time ends a session without anyone writing it down."""
    if session.status != "active":
        return session.status
    if now >= session.abandon_at:
        return "abandoned"
    return "expired" if now >= session.expire_at else "active"


def idle_deadline(session: SessionRecord, *, now: int, idle_ms: int) -> int:
    """When the session ends unless used again; never past its absolute end."""
    return min(session.abandon_at, now + idle_ms)


def factor_age_minutes(session: SessionRecord, now: int) -> int:
    return max(0, (now - session.verified_at) // 60_000)


def claims_of(
    session: SessionRecord,
    *,
    issuer: str,
    origin: str | None,
    jti: str,
    now: int,
    lifetime: int = SESSION_TOKEN_LIFETIME,
    allowance: int = NOT_BEFORE_ALLOWANCE,
    organization: FoldedOrganization | None = None,
) -> SessionClaims:
    """`organization` is the one the session is active in; without one the token says nothing of any."""
    seconds = now // 1000
    return SessionClaims(
        iss=issuer,
        sub=session.user_id,
        sid=session.id,
        iat=seconds,
        nbf=seconds - allowance,
        exp=seconds + lifetime,
        jti=jti,
        fva=(factor_age_minutes(session, now), -1),
        sts="active",
        v=2,
        azp=origin,
        act=None if session.actor is None else msgspec.Raw(session.actor.encode()),
        o=None if organization is None else organization.o,
        fea=None if organization is None else organization.fea,
    )


def as_dict(claims: SessionClaims) -> dict[str, Any]:
    """To put other claims beside them."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(claims))
    return found
