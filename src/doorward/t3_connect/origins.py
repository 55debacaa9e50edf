"""Issuers and origins: what names a relay or an environment in `iss`, `aud` and links."""

from __future__ import annotations

from urllib.parse import urlsplit

from doorward.jose import normalize_url
from doorward.t3_connect.wire import trim

ENVIRONMENT_ISSUER_PREFIX = "t3-env:"
_LOOPBACK_HOSTS = frozenset(("127.0.0.1", "::1", "localhost"))


class InsecureOrigin(ValueError):
    """Not an origin tokens may be sent to."""


def normalize_issuer(issuer: str) -> str:
    """Trimmed, without trailing slashes."""
    return trim(issuer).rstrip("/")


def environment_issuer(environment_id: str) -> str:
    return ENVIRONMENT_ISSUER_PREFIX + environment_id


def secure_origin(url: str) -> str:
    """The origin of an https URL that is nothing but an origin (a path of slashes is forgiven).

    http is taken for `localhost` and `*.localhost` only, which never leave the machine. Raises
    InsecureOrigin for everything else, user information, a query or a fragment.
    """
    try:
        text = trim(url)
        if "?" in text or "#" in text:
            raise ValueError("a query or fragment")
        parts = urlsplit(normalize_url(text))
    except ValueError:
        raise InsecureOrigin("not an origin") from None
    if parts.path.strip("/") or not (parts.scheme == "https" or _is_local_http(parts.scheme, parts.hostname)):
        raise InsecureOrigin("not an https origin, nor http of a localhost name")
    return f"{parts.scheme}://{parts.netloc}"


def is_secure_endpoint(http_base_url: str, ws_base_url: str) -> bool:
    """Whether a published endpoint is https and wss; http and ws pass for localhost names only."""
    try:
        http, ws = urlsplit(normalize_url(http_base_url)), urlsplit(normalize_url(ws_base_url))
    except ValueError:
        return False
    return (http.scheme == "https" or _is_local_http(http.scheme, http.hostname)) and (
        ws.scheme == "wss" or (ws.scheme == "ws" and _is_localhost(ws.hostname))
    )


def is_loopback_host(host: str) -> bool:
    """Whether a link proof's origin host is this machine: 127.0.0.1, ::1 (bracketed or not), localhost."""
    return trim(host).lower().removeprefix("[").removesuffix("]") in _LOOPBACK_HOSTS


def _is_local_http(scheme: str, host: str | None) -> bool:
    return scheme == "http" and _is_localhost(host)


def _is_localhost(host: str | None) -> bool:
    return host is not None and (host == "localhost" or host.endswith(".localhost"))
