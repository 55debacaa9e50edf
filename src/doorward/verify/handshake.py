"""The handshake: sending a browser to the accounts server and back, to learn what only its cookie there knows.

A server sees the session token the page keeps, which may be stale; the long-lived cookie is the accounts
server's own. So a page request in doubt is answered 307 to `/v1/client/handshake`, and comes back with a signed
list of cookies to set.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from doorward.verify import reasons
from doorward.verify.effects import ApiAnswer, ApiCall, Flow, KeysFor
from doorward.verify.errors import TokenRefused
from doorward.verify.jwt import SESSION_TYPES, check_signature, read_jwt
from doorward.verify.requests import AuthRequest, Url, form
from doorward.verify.session_cookies import (
    DEV_BROWSER,
    HANDSHAKE,
    HANDSHAKE_NONCE,
    REDIRECT_COUNT,
    SESSION,
    SessionCookies,
    leading_integer,
)
from doorward.verify.settings import PublishableKey, Settings
from doorward.verify.state import Headers

API_VERSION = "2026-05-12"
MAX_REDIRECTS = 3
_LEGACY_DEV_BROWSER = "__dev_session"
_HELP = "__clerk_help"


def is_eligible(request: AuthRequest) -> bool:
    """Only a navigation can follow the redirect and come back: a GET for a document, by what the browser says."""
    if request.method != "GET":
        return False
    destination = request.header("sec-fetch-dest")
    if destination is not None:
        return destination in ("document", "iframe")
    return (request.header("accept") or "").startswith("text/html")


def redirect_headers(
    settings: Settings, key: PublishableKey, url: Url, cookies: SessionCookies, token: str | None, reason: str
) -> Headers:
    """Where to send the browser, and why."""
    base = settings.frontend_api
    if base.startswith("/"):
        base = url.origin + base
    elif not base.startswith("http"):
        base = f"https://{base}"
    query = [
        ("redirect_url", url.without(DEV_BROWSER, _LEGACY_DEV_BROWSER)),
        ("__clerk_api_version", API_VERSION),
        ("suffixed_cookies", "true" if cookies.is_suffixed else "false"),
        ("__clerk_hs_reason", reason),
        ("format", "nonce"),
    ]
    if token:
        query.append((SESSION, token))
    dev_browser = url.parameter(DEV_BROWSER) or cookies.dev_browser
    if key.is_development and dev_browser:
        query.append((DEV_BROWSER, dev_browser))
    location = f"{base.rstrip('/')}/v1/client/handshake?{form(query)}"
    return (("location", location), ("cache-control", "no-store"))


def redirects_so_far(cookies: SessionCookies) -> int:
    return leading_integer(cookies.plain(REDIRECT_COUNT))


def counted(headers: Headers, so_far: int) -> Headers:
    """The redirect with its count: after three within seconds something is wrong that a fourth will not mend."""
    return (*headers, ("set-cookie", f"{REDIRECT_COUNT}={so_far + 1}; SameSite=Lax; HttpOnly; Max-Age=2"))


def token_of(url: Url, cookies: SessionCookies) -> str | None:
    return url.parameter(HANDSHAKE) or cookies.plain(HANDSHAKE)


def nonce_of(url: Url, cookies: SessionCookies) -> str | None:
    return url.parameter(HANDSHAKE_NONCE) or cookies.plain(HANDSHAKE_NONCE)


def directives(settings: Settings, nonce: str | None, token: str | None) -> Flow[list[str]]:
    """The cookies a handshake came back with. Raises TokenRefused, KeySetUnavailable."""
    if nonce:
        path = "/v1/clients/handshake_payload"
        answer: ApiAnswer = yield ApiCall(
            method="GET", path=path, query={"nonce": nonce}, bearer=settings.secret_key
        )
        listed = (
            answer.body.get("directives") if answer.is_success and isinstance(answer.body, dict) else None
        )
        return _texts(listed)
    if token is None:
        return []
    jwt = read_jwt(token)
    if not settings.can_resolve_keys:
        raise TokenRefused(
            reasons.JWK_FAILED_TO_RESOLVE,
            "Failed to resolve JWK during handshake verification.",
            action=reasons.SET_JWT_KEY,
        )
    keys = yield KeysFor(jwt.header.get("kid"))
    if not jwt.is_of_session_category:
        raise TokenRefused(
            reasons.TOKEN_INVALID, "Invalid handshake token category.", action=reasons.ENSURE_OUR_JWT
        )
    check_signature(jwt, keys, types=SESSION_TYPES)
    return _texts(jwt.claims.get("handshake"))


def cookie_headers(cookies_to_set: Iterable[str]) -> tuple[Headers, str]:
    """`Set-Cookie` for each directive, and the session token among them; the last one counts."""
    headers, token = [], ""
    for directive in cookies_to_set:
        headers.append(("set-cookie", directive))
        name, _, value = directive.split(";")[0].partition("=")
        if name.startswith(SESSION):
            token = value.split("=")[0]
    return tuple(headers), token


def clean_url(url: Url) -> str:
    """The page's address without what the handshake added to it."""
    return url.without(HANDSHAKE, _HELP, DEV_BROWSER, HANDSHAKE_NONCE)


def refresh_call(
    settings: Settings, request: AuthRequest, url: Url, cookies: SessionCookies, session_id: str
) -> ApiCall:
    """Asking for a fresh session token for an expired one, with the browser's refresh cookie."""
    return ApiCall(
        method="POST",
        path=f"/v1/sessions/{quote(session_id, safe='')}/refresh",
        query={"suffixed_cookies": "true"} if cookies.is_suffixed else {},
        bearer=settings.secret_key,
        body={
            "format": "cookie",
            "expired_token": cookies.session,
            "refresh_token": cookies.refresh,
            "request_origin": url.origin,
            "request_headers": {name: [value] for name, value in request.headers.items()},
        },
    )


def _texts(listed: Any) -> list[str]:
    """Directives become header lines as they are, so none may hold a line break."""
    if not isinstance(listed, list):
        return []
    return [text for text in listed if isinstance(text, str) and text.isprintable()]
