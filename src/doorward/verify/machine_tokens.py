"""Tokens of machines, API keys and OAuth clients: telling them apart, and verifying each.

JWTs are verified here; opaque ones are sent to the Backend API, because only it knows whether they were revoked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from doorward.verify import reasons
from doorward.verify.effects import ApiAnswer, ApiCall, Flow, KeysFor
from doorward.verify.errors import KeySetUnavailable, TokenRefused, VerifyError
from doorward.verify.jwt import (
    M2M_CATEGORY,
    OAUTH_TYPES,
    SESSION_TYPES,
    ClaimRules,
    UnverifiedJwt,
    check_claims,
    check_oauth_audience,
    check_signature,
    read_jwt,
)
from doorward.verify.results import ApiKeyAuth, M2MAuth, OAuthAuth, TokenType
from doorward.verify.settings import Settings

M2M_PREFIX, OAUTH_PREFIX, API_KEY_PREFIX = "mt_", "oat_", "ak_"
MACHINE_PREFIX = "mch_"
_LOOKS_LIKE_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_STANDARD_CLAIMS = frozenset(("iss", "sub", "exp", "nbf", "iat", "jti"))

MachineAuth = ApiKeyAuth | M2MAuth | OAuthAuth


class MachineTokenRefused(VerifyError):
    """A machine token, API key or OAuth token refused; `token_type` is what it was taken for."""

    def __init__(self, token_type: TokenType, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.token_type = token_type
        self.code = code
        self.message = message
        self.status = status

    def full_message(self) -> str:
        return f"{self.message} (code={self.code}, status={self.status or 'n/a'})"


class BearerToken:
    """What stands in `Authorization`, read as far as telling its kind needs; `jwt` is None for an opaque one."""

    __slots__ = ("jwt", "refusal", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.jwt: UnverifiedJwt | None = None
        self.refusal: TokenRefused | None = None
        try:
            self.jwt = read_jwt(text)
        except TokenRefused as refusal:
            self.refusal = refusal

    @property
    def machine_type(self) -> TokenType | None:
        """The kind of machine token; None for everything else, which is then taken for a session's."""
        text, jwt = self.text, self.jwt
        if text.startswith(M2M_PREFIX) or (jwt and _is_of_machine(jwt.claims)):
            return "m2m_token"
        if text.startswith(OAUTH_PREFIX) or (jwt and jwt.header.get("typ") in OAUTH_TYPES):
            return "oauth_token"
        return "api_key" if text.startswith(API_KEY_PREFIX) else None

    @property
    def is_of_session_category(self) -> bool:
        """Also True for what is no JWT at all: that is refused by its form, later."""
        return self.jwt is None or self.jwt.is_of_session_category


def verify_machine_token(bearer: BearerToken, settings: Settings, now: float) -> Flow[MachineAuth]:
    """Who or what a machine token stands for. Raises MachineTokenRefused."""
    jwt = bearer.jwt
    if jwt is not None and _is_of_machine(jwt.claims):
        return (yield from _verify_m2m_jwt(jwt, settings, now))
    if jwt is not None:
        return (yield from _verify_oauth_jwt(jwt, settings, now))
    if _LOOKS_LIKE_JWT.match(bearer.text) and bearer.refusal is not None:
        raise MachineTokenRefused("m2m_token", reasons.TOKEN_INVALID, bearer.refusal.message)
    if bearer.text.startswith(M2M_PREFIX):
        return (yield from verify_opaque_m2m(bearer.text, settings.machine_secret_key or settings.secret_key))
    if bearer.text.startswith(OAUTH_PREFIX):
        return (yield from verify_opaque_oauth(bearer.text, settings.secret_key, settings.rules.audience))
    return (yield from verify_api_key(bearer.text, settings.secret_key))


def verify_opaque_m2m(token: str, bearer: str) -> Flow[M2MAuth]:
    body = yield from _ask(
        "m2m_token", "/m2m_tokens/verify", {"token": token}, bearer, "Machine token not found"
    )
    return m2m_from_json(body, token)


def verify_opaque_oauth(token: str, bearer: str, audience: tuple[str, ...] = ()) -> Flow[OAuthAuth]:
    path = "/oauth_applications/access_tokens/verify"
    body = yield from _ask("oauth_token", path, {"access_token": token}, bearer, "OAuth token not found")
    try:
        check_oauth_audience(body.get("aud"), audience)
    except TokenRefused as refusal:
        raise MachineTokenRefused("oauth_token", reasons.TOKEN_VERIFICATION_FAILED, refusal.message) from None
    # Trap: a server that answers 200 for an inactive token must not make anybody of it.
    subject = _subject(body, "oauth_token")
    return OAuthAuth(
        is_authenticated=True,
        token=token,
        id=_text(body.get("id")),
        subject=subject,
        user_id=subject,
        client_id=_text(body.get("client_id")),
        scopes=_texts(body.get("scopes")),
    )


def verify_api_key(secret: str, bearer: str) -> Flow[ApiKeyAuth]:
    body = yield from _ask("api_key", "/api_keys/verify", {"secret": secret}, bearer, "API key not found")
    subject = _subject(body, "api_key")
    return ApiKeyAuth(
        is_authenticated=True,
        token=secret,
        id=_text(body.get("id")),
        subject=subject,
        name=_text(body.get("name")),
        claims=body.get("claims"),
        scopes=_texts(body.get("scopes")),
        user_id=subject if subject.startswith("user_") else None,
        org_id=subject if subject.startswith("org_") else None,
    )


def m2m_from_json(body: Mapping[str, Any], token: str | None) -> M2MAuth:
    subject = _subject(body, "m2m_token")
    return M2MAuth(
        is_authenticated=True,
        token=token,
        id=_text(body.get("id")),
        subject=subject,
        machine_id=subject,
        claims=body.get("claims"),
        scopes=_texts(body.get("scopes")),
    )


def _verify_m2m_jwt(jwt: UnverifiedJwt, settings: Settings, now: float) -> Flow[M2MAuth]:
    if jwt.header.get("cat", M2M_CATEGORY) != M2M_CATEGORY:
        raise MachineTokenRefused("m2m_token", reasons.TOKEN_INVALID, "Invalid M2M JWT category.")
    rules = ClaimRules(audience=settings.rules.audience, clock_skew=settings.rules.clock_skew)
    yield from _check_jwt("m2m_token", jwt, settings, rules, SESSION_TYPES, now)
    claims = jwt.claims
    scopes, own = claims.get("scopes"), {n: v for n, v in claims.items() if n not in _STANDARD_CLAIMS}
    return M2MAuth(
        is_authenticated=True,
        token=jwt.token,
        id=_text(claims.get("jti")) or "",
        subject=claims["sub"],
        machine_id=claims["sub"],
        claims=own or None,
        scopes=tuple(scopes.split(" ")) if isinstance(scopes, str) else _texts(claims.get("aud")) or (),
    )


def _verify_oauth_jwt(jwt: UnverifiedJwt, settings: Settings, now: float) -> Flow[OAuthAuth]:
    rules = ClaimRules(clock_skew=settings.rules.clock_skew)
    yield from _check_jwt("oauth_token", jwt, settings, rules, OAUTH_TYPES, now)
    claims = jwt.claims
    try:
        check_oauth_audience(claims.get("aud"), settings.rules.audience)
    except TokenRefused as refusal:
        raise MachineTokenRefused("oauth_token", reasons.TOKEN_VERIFICATION_FAILED, refusal.message) from None
    if is_bound_to_key(claims):  # RFC 9449 §7.1: as a mere bearer token it is worth nothing
        raise MachineTokenRefused(
            "oauth_token",
            reasons.TOKEN_VERIFICATION_FAILED,
            "The token is bound to a DPoP key and counts only with a proof by it.",
        )
    listed, scope = claims.get("scp"), claims.get("scope")
    return OAuthAuth(
        is_authenticated=True,
        token=jwt.token,
        id=_text(claims.get("jti")) or "",
        subject=claims["sub"],
        user_id=claims["sub"],
        client_id=_text(claims.get("client_id")) or "",
        scopes=_texts(listed)
        if listed is not None
        else tuple(scope.split(" "))
        if isinstance(scope, str)
        else (),
    )


def is_bound_to_key(claims: Mapping[str, Any]) -> bool:
    """Whether the token needs a proof of possession (`cnf`, RFC 7800) to count."""
    return "cnf" in claims


def _check_jwt(
    token_type: TokenType,
    jwt: UnverifiedJwt,
    settings: Settings,
    rules: ClaimRules,
    types: tuple[str, ...],
    now: float,
) -> Flow[None]:
    failed = reasons.TOKEN_VERIFICATION_FAILED
    if not settings.can_resolve_keys:
        raise MachineTokenRefused(token_type, failed, "Failed to resolve JWK during verification.")
    try:
        keys = yield KeysFor(jwt.header.get("kid"))
        check_signature(jwt, keys, types=types)
        check_claims(jwt.claims, rules, now=now)
    except TokenRefused as refusal:
        raise MachineTokenRefused(token_type, failed, refusal.message) from None
    except KeySetUnavailable as error:
        raise MachineTokenRefused(token_type, failed, str(error)) from None


def _ask(
    token_type: TokenType, path: str, body: Mapping[str, str], bearer: str, not_found: str
) -> Flow[dict[str, Any]]:
    if not bearer:
        raise MachineTokenRefused(
            token_type, reasons.SECRET_KEY_INVALID, "An opaque token needs a secret key to be verified with."
        )
    answer: ApiAnswer = yield ApiCall(method="POST", path=path, body=body, bearer=bearer)
    if answer.is_success and isinstance(answer.body, dict):
        return answer.body
    if answer.status == 401:
        message = answer.first_error()[1] or "Invalid secret key"
        raise MachineTokenRefused(token_type, reasons.SECRET_KEY_INVALID, message, status=401)
    if answer.status == 404:
        raise MachineTokenRefused(token_type, reasons.TOKEN_INVALID, not_found, status=404)
    raise MachineTokenRefused(token_type, reasons.UNEXPECTED_ERROR, "Unexpected error", status=answer.status)


def _subject(body: Mapping[str, Any], token_type: TokenType) -> str:
    subject = body.get("subject")
    if not isinstance(subject, str) or not subject or body.get("revoked") or body.get("expired"):
        raise MachineTokenRefused(token_type, reasons.TOKEN_INVALID, "The token is not valid any more.")
    return subject


def _is_of_machine(claims: Mapping[str, Any]) -> bool:
    subject = claims.get("sub")
    return isinstance(subject, str) and subject.startswith(MACHINE_PREFIX)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (value,)
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else None
