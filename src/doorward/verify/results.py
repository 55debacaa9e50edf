"""Who a request is by: one type for each kind of token, with the same fields signed in and signed out.

`is_authenticated` tells which it is; signed out, every other field is None and `has()` is False.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from doorward.verify.authorization import Reverification, is_authorized
from doorward.verify.organization import Organization, organization_of

TokenType = Literal["session_token", "api_key", "m2m_token", "oauth_token"]


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    is_authenticated: bool = False
    # Whoever logs a result must not log what it was obtained with.
    token: str | None = None

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={getattr(self, name)!r}"
            for name in self.__struct_fields__
            if name not in ("token", "_payload")
        )
        return f"{type(self).__name__}({shown})"


class _NoSession(_Result, frozen=True, kw_only=True):
    def has(self, **_: Any) -> bool:
        """Roles, permissions and plans are a person's: no other token has any."""
        return False


class SessionAuth(_Result, frozen=True, kw_only=True):
    """A person. `session_status` is `pending` while a task keeps the session from counting; then everything
    else is None. `session_claims` is what the token says, `actor` who acts in the person's name,
    `factor_verification_age` minutes since each factor: each read anew when asked for, as several requests may share
    one result."""

    token_type: Literal["session_token"] = "session_token"
    user_id: str | None = None
    session_id: str | None = None
    session_status: str | None = None
    _payload: bytes | None = None
    org_id: str | None = None
    org_role: str | None = None
    org_slug: str | None = None
    org_permissions: tuple[str, ...] | None = None

    @property
    def session_claims(self) -> dict[str, Any] | None:
        return None if self._payload is None else _decode(self._payload)

    @property
    def actor(self) -> dict[str, Any] | None:
        return (self.session_claims or {}).get("act")

    @property
    def factor_verification_age(self) -> list[int] | None:
        return (self.session_claims or {}).get("fva")

    def has(
        self,
        *,
        role: str | None = None,
        permission: str | None = None,
        feature: str | None = None,
        plan: str | None = None,
        reverification: str | Reverification | None = None,
    ) -> bool:
        """Whether the session may: see `authorization.is_authorized`."""
        claims = self.session_claims
        if claims is None or not self.user_id:
            return False
        organization = Organization(self.org_id, self.org_role, self.org_slug, self.org_permissions)
        return is_authorized(
            claims,
            organization,
            role=role,
            permission=permission,
            feature=feature,
            plan=plan,
            reverification=reverification,
        )


class ApiKeyAuth(_NoSession, frozen=True, kw_only=True):
    """A person's or an organization's API key; one of `user_id` and `org_id` is set, as `subject` says."""

    token_type: Literal["api_key"] = "api_key"
    id: str | None = None
    subject: str | None = None
    name: str | None = None
    claims: dict[str, Any] | None = None
    scopes: tuple[str, ...] | None = None
    user_id: str | None = None
    org_id: str | None = None


class M2MAuth(_NoSession, frozen=True, kw_only=True):
    """A machine: `subject` and `machine_id` are the one that made the token, `scopes` those it may speak to."""

    token_type: Literal["m2m_token"] = "m2m_token"
    id: str | None = None
    subject: str | None = None
    machine_id: str | None = None
    claims: dict[str, Any] | None = None
    scopes: tuple[str, ...] | None = None


class OAuthAuth(_NoSession, frozen=True, kw_only=True):
    """What a person let an OAuth client do."""

    token_type: Literal["oauth_token"] = "oauth_token"
    id: str | None = None
    subject: str | None = None
    user_id: str | None = None
    client_id: str | None = None
    scopes: tuple[str, ...] | None = None


class InvalidTokenAuth(_NoSession, frozen=True, kw_only=True):
    """The request carries a kind of token that is none of those accepted."""

    token_type: None = None


Auth = SessionAuth | ApiKeyAuth | M2MAuth | OAuthAuth | InvalidTokenAuth


def session_auth(token: str, claims: dict[str, Any]) -> SessionAuth:
    """The person of a verified session token, whether or not the session counts yet."""
    organization = organization_of(claims)
    return SessionAuth(
        is_authenticated=True,
        token=token,
        user_id=claims.get("sub"),
        session_id=claims.get("sid"),
        session_status=claims.get("sts"),
        _payload=_encode(claims),
        org_id=organization.id,
        org_role=organization.role,
        org_slug=organization.slug,
        org_permissions=organization.permissions,
    )


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

_SIGNED_OUT: dict[str | None, Auth] = {
    "session_token": SessionAuth(),
    "api_key": ApiKeyAuth(),
    "m2m_token": M2MAuth(),
    "oauth_token": OAuthAuth(),
    None: InvalidTokenAuth(),
}


def signed_out_auth(token_type: TokenType | None) -> Auth:
    return _SIGNED_OUT[token_type]


def filtered(auth: Auth, accepts: Literal["any"] | TokenType | frozenset[TokenType]) -> Auth:
    """`auth` where its kind is accepted; elsewhere what a signed-out request is, so that a machine's token never
    passes for a person in a handler that forgot to ask."""
    if auth.token_type == accepts or accepts == "any":
        return auth
    if isinstance(accepts, frozenset):
        return auth if auth.token_type in accepts else InvalidTokenAuth()
    return signed_out_auth(accepts)
