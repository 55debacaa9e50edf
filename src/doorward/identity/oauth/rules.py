"""What an OAuth request must look like. Pure functions of plain values."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from doorward.identity.oauth.clients import OAuthClient
from doorward.jose import b64url_encode

CODE_LIFETIME_MS = 10 * 60_000
REFRESH_GRACE_MS = 60_000
# Clerk's last ten years; an absolute end is what ASVS 5 V10.4.8 asks for.
REFRESH_LIFETIME_MS = 365 * 86_400_000
DEVICE_LIFETIME_MS = 10 * 60_000
DEVICE_INTERVAL_MS = 5_000
MIN_STATE_LENGTH = 8
DEFAULT_SCOPE = ("profile", "email")

SCOPE_DESCRIPTIONS = {
    "openid": "Know who you are",
    "profile": "View your name",
    "email": "View your email address",
    "offline_access": "Stay connected while you are away",
}

#: What an application may let its clients ask for.
KNOWN_SCOPES = frozenset(
    ["openid", "profile", "email", "offline_access", "public_metadata", "private_metadata", "user:org:read"]
)
_FORBIDDEN_SCHEMES = frozenset(["javascript", "data", "vbscript", "file", "blob", "about"])
_OPAQUE = re.compile(r"oat_[A-Za-z0-9_-]{43}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# No vowels, so that no word appears; no characters that look like others (RFC 8628 §6.1). 20^8 = 34 bits.
_USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_USER_CODE = re.compile(rf"[{_USER_CODE_LETTERS}]{{8}}")


def parse_scope(text: str | None, client: OAuthClient) -> tuple[str, ...] | None:
    """The requested scopes in the order asked, without repeats; None when one is not the client's to ask."""
    if text is None or not text.strip():
        return tuple(scope for scope in DEFAULT_SCOPE if scope in client.scopes) or client.scopes
    scopes = tuple(dict.fromkeys(text.split(" ")))
    if all(_SCOPE_TOKEN.fullmatch(scope) and scope in client.scopes for scope in scopes):
        return scopes
    return None


def is_code_challenge(text: str) -> bool:
    return _CHALLENGE.fullmatch(text) is not None


def verifier_matches(verifier: str, challenge: str) -> bool:
    """PKCE S256, the one check every grant with a challenge goes through (RFC 7636 §4.6)."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    computed = b64url_encode(hashlib.sha256(verifier.encode("ascii")).digest())
    return hmac.compare_digest(computed, challenge)


def is_redirect_uri(uri: str) -> bool:
    """Whether an application may register it: absolute, without fragment (RFC 6749 §3.1.2), of any scheme but those a
    browser would run or read from."""
    parts = _split(uri)
    if parts is None or len(uri) > 1024 or not uri.isascii() or not uri.isprintable() or " " in uri:
        return False
    if not parts.scheme or "#" in uri or parts.scheme in _FORBIDDEN_SCHEMES:
        return False
    return bool(parts.hostname) if parts.scheme in ("http", "https") else uri != f"{parts.scheme}:"


def is_opaque_token(text: str) -> bool:
    """Could this be an opaque access token of ours? Anything else never reaches the database."""
    return _OPAQUE.fullmatch(text) is not None


def is_registered_redirect(uri: str, client: OAuthClient) -> bool:
    """Exact string comparison; a public client's loopback address matches with any port (RFC 8252 §7.3)."""
    if uri in client.redirect_uris:
        return True
    if not client.is_public:
        return False
    asked = _loopback_without_port(uri)
    return asked is not None and any(_loopback_without_port(known) == asked for known in client.redirect_uris)


def is_loopback(uri: str) -> bool:
    """Whether any program on the person's machine could receive this redirect."""
    return _loopback_without_port(uri) is not None


def _loopback_without_port(uri: str) -> str | None:
    """`http://127.0.0.1/callback` for any port; None for what is not a loopback *address* (`localhost` is a name)."""
    parts = _split(uri)
    if parts is None or parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "::1"):
        return None
    if parts.username is not None or parts.fragment or "#" in uri:
        return None
    host = "[::1]" if parts.hostname == "::1" else parts.hostname
    prefix = f"http://{host}" + ("" if parts.port is None else f":{parts.port}")
    if not uri.startswith(prefix + "/"):
        return None  # a port written otherwise (`:080`), or no path
    return f"http://{host}" + uri[len(prefix) :]


def gate_origin(uri: str, *, gate_zone: str, scheme: str) -> str | None:
    """The environment's API origin if `uri` is a gate's callback: `<scheme>://<one label>.<zone>/gate/callback`."""
    origin, slash, path = uri.partition("/gate/callback")
    if not slash or path or not origin.startswith(f"{scheme}://"):
        return None
    label, dot, zone = origin.removeprefix(f"{scheme}://").partition(".")
    if not dot or zone != gate_zone or _LABEL.fullmatch(label) is None:
        return None
    return origin


def with_query(uri: str, members: Iterable[tuple[str, str | None]]) -> str:
    """`uri` with parameters added to the query it may already have; None ones left out."""
    parts = urlsplit(uri)
    query = parse_qsl(parts.query, keep_blank_values=True) + [
        (name, value) for name, value in members if value is not None
    ]
    return parts._replace(query=urlencode(query)).geturl()


def redirect_host(uri: str) -> str:
    """What a person is told about where the answer goes."""
    parts = _split(uri)
    host = (parts.hostname or "") if parts else ""
    try:
        return "this computer" if ipaddress.ip_address(host).is_loopback else host
    except ValueError:
        return host


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts


def new_user_code() -> str:
    """As shown to a person: `WDJB-MJHT`."""
    letters = "".join(secrets.choice(_USER_CODE_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def normalise_user_code(text: str) -> str | None:
    """What a person typed, in the stored form (no dash, upper case), or None when it cannot be a code."""
    if len(text) > 40 or not text.isascii():
        return None
    letters = re.sub(r"[^A-Z]", "", text.upper())
    return letters if _USER_CODE.fullmatch(letters) else None
