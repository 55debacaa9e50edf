"""The two JWTs the accounts server issues: a session's, and an OAuth access token (RFC 9068)."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any, TypeVar

import msgspec

from doorward.jose import ClaimRefused, verify_jwt
from doorward.verify.jwks import JwksCache

T = TypeVar("T")

TYP_ACCESS_TOKEN = "at+jwt"
_PLAIN_SESSION = "cl_B7d4PD111AAA"  # Clerk's values of the header `cat`
_SESSION_CATEGORIES = frozenset((_PLAIN_SESSION, "cl_I7d4PD111III"))
_TEMPLATE_CATEGORY = "cl_B7d4PD222AAA"
_LEEWAY_SECONDS = 5  # Clerk's own SDKs forgive as much


class SessionToken(msgspec.Struct, frozen=True):
    """A signed-in person: `user_id` (sub), `session_id` (sid; None in a template token without
    it), and every claim of the token."""

    user_id: str
    session_id: str | None
    claims: dict[str, Any]


class AccessToken(msgspec.Struct, frozen=True):
    """What a person let an OAuth client do. `thumbprint` is set when the token is bound to a DPoP key
    (RFC 9449 §6.1): then it is worth nothing without a proof by that key."""

    user_id: str
    client_id: str
    scopes: tuple[str, ...]
    thumbprint: str | None
    claims: dict[str, Any]


class _Confirmation(msgspec.Struct):
    jkt: str | None = None


class _AccessClaims(msgspec.Struct):
    sub: str
    client_id: str
    scope: str = ""
    cnf: _Confirmation = msgspec.field(default_factory=_Confirmation)


class _SessionClaims(msgspec.Struct):
    sub: str
    sid: str | msgspec.UnsetType = msgspec.UNSET
    azp: str | msgspec.UnsetType = msgspec.UNSET


async def verify_session_token(
    token: str,
    *,
    jwks: JwksCache,
    issuer: str,
    audience: str | None = None,
    authorized_parties: Collection[str] | None = None,
    now: int | None = None,
) -> SessionToken:
    """The session a JWT stands for. `audience` is for template tokens; `authorized_parties` are the
    origins a browser may have got it for (`azp`), to stop another site's token from being replayed here.

    `now` in seconds, by default the clock. Raises JoseError, KeySetUnavailable.
    """
    verified = await jwks.check(
        lambda keys: verify_jwt(
            token,
            keys,
            claims=dict,
            now=_now(now),
            typ=("JWT", None),
            issuer=issuer,
            audience=audience,
            algorithms=("RS256", "ES256", "EdDSA", "Ed25519"),
            leeway=_LEEWAY_SECONDS,
            required=("exp", "sub", "sid") if audience is None else ("exp", "sub"),
        )
    )
    # Machine tokens, and template tokens meant for somebody else, are signed by the same keys.
    accepted = _SESSION_CATEGORIES if audience is None else _SESSION_CATEGORIES | {_TEMPLATE_CATEGORY}
    if verified.header.get("cat", _PLAIN_SESSION) not in accepted:
        raise ClaimRefused("a token of another category", code="typ_mismatch", claim="cat")
    # So are ID tokens, with the same typ and for a day: every client a person ever signed in to holds one.
    if "at_hash" in verified.claims:
        raise ClaimRefused("an ID token, not a session", code="typ_mismatch", claim="at_hash")
    if audience is None and "aud" in verified.claims:  # RFC 7519 §4.1.3
        raise ClaimRefused("a token for another audience", code="audience_mismatch", claim="aud")
    claims = _as(verified.claims, _SessionClaims)
    if authorized_parties is not None and claims.azp and claims.azp not in authorized_parties:
        raise ClaimRefused("a token for another application", code="invalid_claim", claim="azp")
    return SessionToken(claims.sub, claims.sid or None, verified.claims)


async def verify_oauth_access_token(
    token: str,
    *,
    jwks: JwksCache,
    issuer: str,
    audience: str | None = None,
    client_ids: Collection[str] | None = None,
    required_scopes: Collection[str] = (),
    now: int | None = None,
) -> AccessToken:
    """The grant an access token (typ `at+jwt`) stands for. `client_ids` limits whose tokens count.

    `now` in seconds, by default the clock. Raises JoseError, KeySetUnavailable.
    """
    verified = await jwks.check(
        lambda keys: verify_jwt(
            token,
            keys,
            claims=dict,
            now=_now(now),
            typ=TYP_ACCESS_TOKEN,
            issuer=issuer,
            audience=audience,
            algorithms=("RS256", "ES256", "EdDSA", "Ed25519"),
            leeway=_LEEWAY_SECONDS,
            required=("exp", "sub", "client_id"),
        )
    )
    claims = _as(verified.claims, _AccessClaims)
    if client_ids is not None and claims.client_id not in client_ids:
        raise ClaimRefused("a token of another client", code="invalid_claim", claim="client_id")
    scopes = tuple(claims.scope.split())
    if not set(required_scopes) <= set(scopes):
        raise ClaimRefused("the token lacks a scope", code="invalid_claim", claim="scope")
    return AccessToken(claims.sub, claims.client_id, scopes, claims.cnf.jkt, verified.claims)


def _as(claims: dict[str, Any], shape: type[T]) -> T:
    try:
        return msgspec.convert(claims, shape)
    except msgspec.ValidationError:
        raise ClaimRefused("the claims have another shape") from None


def _now(now: int | None) -> int:
    return int(time.time()) if now is None else now
