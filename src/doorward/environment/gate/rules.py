"""The gate's decisions on plain values: no sockets, no clock, no rows.

Each question has one function here, and every way past it has a test in tests/environment_gate/test_rules.py.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from doorward.environment.gate.headers import Header

OWN_PATHS = "/.doorward/"
MAX_RETURN_PATH = (
    2048  # characters: what every browser and proxy carries in a Location beside our own parameters
)

_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_OPAQUE_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 random bytes, base64url without padding
_NONCE_HASH = re.compile(r"[A-Za-z0-9_-]{43}")

Approach = Literal["upgrade", "navigation", "request"]


def only_header(headers: Sequence[Header], name: bytes) -> bytes | None:
    """The header's value, or None when it is absent or repeated: a repeated singleton is never believed."""
    values = [value for key, value in headers if key == name]
    return values[0].strip(b" \t") if len(values) == 1 else None


def has_header(headers: Sequence[Header], name: bytes) -> bool:
    return any(key == name for key, _ in headers)


def approach_of(method: bytes, headers: Sequence[Header], *, is_upgrade: bool) -> Approach:
    """How is the visitor coming: a person opening a page, a WebSocket, or anything else?

    Only a top-level document navigation may be answered with a redirect to sign in. A frame, a script's fetch or
    an image that followed one would hand a sign-in page to code that asked for data.
    """
    if is_upgrade:
        return "upgrade"
    if method != b"GET":
        return "request"
    mode = only_header(headers, b"sec-fetch-mode")
    destination = only_header(headers, b"sec-fetch-dest")
    if has_header(headers, b"sec-fetch-mode") or has_header(headers, b"sec-fetch-dest"):
        return "navigation" if mode == b"navigate" and destination == b"document" else "request"
    accept = only_header(headers, b"accept") or b""
    return "navigation" if accept.lower().startswith(b"text/html") else "request"


def is_foreign_to_cookie(
    method: bytes, headers: Sequence[Header], *, is_upgrade: bool, own_origin: str
) -> bool:
    """Would honouring the session cookie let another origin act, or read, as this visitor?

    SameSite=Lax keeps other *sites* out, but every service in the zone is the same site, a stranger's too, and
    WebSockets carry cookies without CORS (RFC 6455 §10.2). So an upgrade must name the service's own origin, and an
    unsafe method must not name another one. Of the safe ones another origin may do what a link does, open a page: a
    `<script src>` of a sibling would read what it loads, and a frame would dress it up.
    """
    origin = only_header(headers, b"origin")
    own = own_origin.encode()
    if is_upgrade:
        return origin != own
    if has_header(headers, b"origin"):
        return origin != own
    fetch_site = only_header(headers, b"sec-fetch-site")
    is_own_page = not has_header(headers, b"sec-fetch-site") or fetch_site in (b"same-origin", b"none")
    if method in _SAFE_METHODS:
        return not is_own_page and approach_of(method, headers, is_upgrade=False) != "navigation"
    return not is_own_page


def is_own_form(headers: Sequence[Header], *, own_origin: str) -> bool:
    """Did this service's own page send the request? Required of a POST to our own paths; absence is refusal."""
    return only_header(headers, b"origin") == own_origin.encode()


def safe_return_path(path: str | None) -> str:
    """Where to go after sign-in: a path on this very host, else `/`.

    Browsers read `//host`, `/\\host` and a tab or newline between the slashes as another host, and our own paths would
    loop.
    """
    if path is None or len(path) > MAX_RETURN_PATH or not path.startswith("/"):
        return "/"
    if path[1:2] in ("/", "\\") or "\\" in path:
        return "/"
    if any(not 0x21 <= ord(character) <= 0x7E for character in path):
        return "/"
    if path.startswith(OWN_PATHS) or path.split("?", 1)[0] == OWN_PATHS.rstrip("/"):
        return "/"
    return path


def nonce_hash(nonce: str) -> str:
    """base64url(SHA-256(nonce)): what leaves the service host; the nonce itself stays in its cookie."""
    return urlsafe_b64encode(hashlib.sha256(nonce.encode()).digest()).rstrip(b"=").decode()


def is_opaque_secret(value: str | None) -> bool:
    """Could this be a cookie value or code that we made? Anything else never reaches the database."""
    return value is not None and _OPAQUE_SECRET.fullmatch(value) is not None


def is_nonce_hash(value: str | None) -> bool:
    return value is not None and _NONCE_HASH.fullmatch(value) is not None


def sign_in_location(api_origin: str, *, service_host: str, nonce: str, return_path: str) -> str:
    """The API host's gate URL that brings this browser back to `return_path` of `service_host`."""
    return (
        f"{api_origin}/gate?service={quote(service_host, safe='')}"
        f"&nonce={nonce_hash(nonce)}&return={quote(safe_return_path(return_path), safe='')}"
    )


def is_authority_of(host: str, origin: str) -> bool:
    """Is this `Host` value exactly the authority of `origin`, its scheme's default port spelled out or not?

    The host name alone does not do: user information, another port or a trailing dot are other origins to a browser.
    """
    scheme, _, authority = origin.partition("://")
    default = ":443" if scheme == "https" else ":80"
    return host.lower().removesuffix(default) == authority.lower().removesuffix(default)
