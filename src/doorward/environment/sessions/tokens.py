"""Session tokens and WebSocket tickets: `b64url(claims) "." b64url(HMAC-SHA256(first part))`. Pure.

Claims are in milliseconds (connect-environment §1.7). A token proves only that this machine made it; the
session's row says whether it still counts.
"""

import hashlib
import hmac
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from doorward.jose import JoseError, b64url_decode, b64url_encode

SessionMethod = Literal["browser-session-cookie", "bearer-access-token", "dpop-access-token"]

# Longer than any token we make; a bound before the first hash.
MAX_TOKEN_CHARACTERS = 8_192


class SessionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """Member order is part of the format: the same claims always make the same token."""

    v: Literal[1] = 1
    kind: Literal["session"] = "session"
    sid: str
    sub: str
    scopes: list[str]
    method: SessionMethod
    jkt: str | UnsetType = UNSET
    iat: int
    exp: int


class TicketClaims(msgspec.Struct, frozen=True, kw_only=True):
    v: Literal[1] = 1
    kind: Literal["websocket"] = "websocket"
    sid: str
    iat: int
    exp: int


class TokenRefused(Exception):
    """Malformed, altered, of another kind, or expired. One answer for all: callers must not tell them apart."""

    code = "token_refused"


def sign_token(claims: SessionClaims | TicketClaims, key: bytes) -> str:
    payload = b64url_encode(msgspec.json.encode(claims))
    return f"{payload}.{b64url_encode(_mac(payload, key))}"


def read_session_token(token: str, key: bytes, *, now: int) -> SessionClaims:
    """The claims of a genuine, unexpired session token. `now` in ms. Raises TokenRefused."""
    try:
        claims = msgspec.json.decode(_open(token, key), type=_StrictSession)
    except msgspec.MsgspecError as error:
        raise TokenRefused from error
    if now >= claims.exp:
        raise TokenRefused
    return claims


def read_ticket(token: str, key: bytes, *, now: int) -> TicketClaims:
    """The claims of a genuine, unexpired WebSocket ticket. `now` in ms. Raises TokenRefused."""
    try:
        claims = msgspec.json.decode(_open(token, key), type=_StrictTicket)
    except msgspec.MsgspecError as error:
        raise TokenRefused from error
    if now >= claims.exp:
        raise TokenRefused
    return claims


class _StrictSession(SessionClaims, frozen=True, kw_only=True):
    # Reading requires what writing defaults: a token without a kind must not count as either kind.
    v: Literal[1]
    kind: Literal["session"]


class _StrictTicket(TicketClaims, frozen=True, kw_only=True):
    v: Literal[1]
    kind: Literal["websocket"]


def _open(token: str, key: bytes) -> bytes:
    payload, dot, signature = token.partition(".")
    if not dot or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
        raise TokenRefused
    try:
        presented = b64url_decode(signature)
    except (JoseError, ValueError) as error:
        raise TokenRefused from error
    if not hmac.compare_digest(presented, _mac(payload, key)):
        raise TokenRefused
    try:
        return b64url_decode(payload)
    except (JoseError, ValueError) as error:
        raise TokenRefused from error


def _mac(payload: str, key: bytes) -> bytes:
    return hmac.digest(key, payload.encode(), hashlib.sha256)
