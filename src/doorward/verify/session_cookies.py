"""Which of a browser's cookies speak for this instance: those with the publishable key's suffix, or the plain ones.

Several instances may share a host (localhost above all), so each has a suffix; older scripts set plain names
only. Which set is the newer is decided here as `@clerk/backend` decides it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from doorward.verify.errors import TokenRefused
from doorward.verify.jwt import UnverifiedJwt, read_jwt
from doorward.verify.settings import PublishableKey

SESSION = "__session"
CLIENT_UAT = "__client_uat"
REFRESH = "__refresh"
HANDSHAKE = "__clerk_handshake"
HANDSHAKE_NONCE = "__clerk_handshake_nonce"
DEV_BROWSER = "__clerk_db_jwt"
REDIRECT_COUNT = "__clerk_redirect_count"


class SessionCookies:
    """The cookies that count. `client_uat` is when sign-in last changed (Unix seconds; 0: signed out or unknown)."""

    __slots__ = ("_cookies", "_suffix", "client_uat", "dev_browser", "is_suffixed", "refresh", "session")

    def __init__(self, cookies: Mapping[str, str], key: PublishableKey, *, now: float) -> None:
        self._cookies = cookies
        self._suffix = f"_{key.cookie_suffix}"
        self.is_suffixed = self._uses_suffix(key, now)
        self.session = self._counting(SESSION)
        self.client_uat = leading_integer(self._counting(CLIENT_UAT))
        self.dev_browser = self._counting(DEV_BROWSER)
        self.refresh = self.plain(REFRESH + self._suffix)

    def plain(self, name: str) -> str | None:
        return self._cookies.get(name) or None

    def _counting(self, name: str) -> str | None:
        return self.plain(name + self._suffix if self.is_suffixed else name)

    def _uses_suffix(self, key: PublishableKey, now: float) -> bool:
        session, uat = self.plain(SESSION), self.plain(CLIENT_UAT)
        suffixed_session, suffixed_uat = (
            self.plain(SESSION + self._suffix),
            self.plain(CLIENT_UAT + self._suffix),
        )
        claims, suffixed_claims = _claims(session), _claims(suffixed_session)
        if session and not claims.get("iss"):
            return False
        if session and not _is_issued_by(claims, key.frontend_api):
            return True
        if not suffixed_uat and not suffixed_session:
            return False
        is_plain_newer = _number(claims.get("iat")) > _number(suffixed_claims.get("iat"))
        if suffixed_uat != "0" and uat != "0" and is_plain_newer:
            return False
        if suffixed_uat == "0" and uat != "0":
            return False
        if key.is_development and suffixed_uat != "0" and uat == "0":
            expires = suffixed_claims.get("exp")
            if isinstance(expires, (int, float)) and expires <= int(now):
                return False
        return bool(suffixed_uat) or not suffixed_session


def leading_integer(text: str | None) -> int:
    """The integer a text begins with, else 0, as `parseInt` reads a cookie."""
    found = re.match(r"\s*([+-]?[0-9]{1,15})", text or "")
    return int(found[1]) if found else 0


def _claims(token: str | None) -> dict[str, Any]:
    return {} if token is None else _read(token)


def _read(token: str) -> dict[str, Any]:
    try:
        read: UnverifiedJwt = read_jwt(token)
    except TokenRefused:
        return {}
    return read.claims


def _is_issued_by(claims: Mapping[str, Any], frontend_api: str) -> bool:
    issuer = claims.get("iss")
    return isinstance(issuer, str) and re.sub(r"https?://", "", issuer, flags=re.IGNORECASE) == frontend_api


def _number(value: Any) -> float:
    return value if isinstance(value, (int, float)) else 0
