"""Which headers and cookies cross the gate: pure functions over header lists.

Inbound (visitor to local service) the gate takes away everything that is a credential of ours or of the
accounts server, everything that only the gate or the edge may say, and every spelling of such a name that
some server would read as that name. Outbound it keeps the service from planting cookies on other hosts or
in our names. All header names are lower-case bytes, as `doorward.http1` delivers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import msgspec

Header = tuple[bytes, bytes]

SESSION_COOKIE = "__Host-doorward"
NONCE_COOKIE = "__Host-doorward-nonce"

# Cookie names that belong to us or to the accounts server's SDKs. Compared in lower case: browsers treat the
# `__Host-` prefix without regard to case, and a service must not learn a near miss either.
_RESERVED_COOKIE_PREFIXES = (b"__host-doorward", b"__session", b"__client", b"__clerk", b"__refresh")

# Names only the gate or the edge may speak. `x-real-ip` is here because nginx-shaped services trust it as
# they trust X-Forwarded-For.
_SPOKEN_BY_US_PREFIXES = (b"doorward-", b"x-forwarded-")
_SPOKEN_BY_US = frozenset({b"forwarded", b"x-real-ip"})

_COOKIE_SPACE = b" \t"


class Visitor(msgspec.Struct, frozen=True):
    """How the visitor reached the public side, as the edge saw it."""

    ip: str
    scheme: str  # "http" | "https"
    host: str  # authority of the public URL


class HostRewrite(msgspec.Struct, frozen=True):
    """`host_header local`: what the service is told its name is."""

    authority: str


def is_spoken_by_us(name: bytes) -> bool:
    """Is this header name reserved for the gate or the edge, in any spelling?

    WSGI, CGI and PHP servers fold `_` and `-` (and `.`) to the same variable, so `Doorward_Assertion` would arrive in
    the service as if the gate had said it.
    """
    folded = name.lower().replace(b"_", b"-").replace(b".", b"-")
    return folded in _SPOKEN_BY_US or folded.startswith(_SPOKEN_BY_US_PREFIXES)


def is_reserved_cookie(name: bytes) -> bool:
    """Does a cookie of this name belong to us or to the accounts server?"""
    return name.strip(_COOKIE_SPACE).lower().startswith(_RESERVED_COOKIE_PREFIXES)


def cookie_values(headers: Sequence[Header], name: str) -> list[str]:
    """Every value of cookie `name` over all Cookie headers, in order. Names compare exactly (RFC 6265bis §5.6)."""
    wanted = name.encode()
    found: list[str] = []
    for header, value in headers:
        if header != b"cookie":
            continue
        for pair in value.split(b";"):
            key, separator, content = pair.strip(_COOKIE_SPACE).partition(b"=")
            if separator and key == wanted:
                found.append(content.decode("latin-1"))
    return found


def only_cookie_value(headers: Sequence[Header], name: str) -> str | None:
    """The value of cookie `name`, or None when it is absent or present more than once.

    A browser holds at most one `__Host-` cookie of a name on a host. Two of them mean that somebody got one in past
    the browser's rules, and no order of preference makes it safe to guess which.
    """
    values = cookie_values(headers, name)
    return values[0] if len(values) == 1 else None


def strip_cookies(value: bytes) -> bytes | None:
    """A Cookie header without reserved cookies; None when nothing is left.

    A pair without `=` is a cookie with an empty name (RFC 6265bis §5.7): its value is what a careless server
    takes for the name, so it is judged as one. `=name=value` likewise.
    """
    kept = []
    for pair in value.split(b";"):
        trimmed = pair.strip(_COOKIE_SPACE)
        if not trimmed:
            continue
        key, separator, content = trimmed.partition(b"=")
        judged = key if key.strip(_COOKIE_SPACE) or not separator else content.partition(b"=")[0]
        if not is_reserved_cookie(judged):
            kept.append(trimmed)
    return b"; ".join(kept) if kept else None


def inbound_headers(
    headers: Sequence[Header], *, visitor: Visitor, assertion: str, host_rewrite: HostRewrite | None
) -> list[Header]:
    """The header list the local service receives.

    Keeps order and duplicates of everything that is not ours. `Host` stays unless `host_rewrite`; with it, `Origin` and
    `Referer` of the public origin follow, because services that check `Host` compare `Origin` against it.
    """
    public_origin = f"{visitor.scheme}://{visitor.host}".encode()
    sent: list[Header] = []
    for name, value in headers:
        if is_spoken_by_us(name):
            continue
        if name == b"cookie":
            remaining = strip_cookies(value)
            if remaining is not None:
                sent.append((name, remaining))
        elif host_rewrite is not None and name == b"host":
            sent.append((name, host_rewrite.authority.encode()))
        elif host_rewrite is not None and name in (b"origin", b"referer"):
            sent.append((name, _rebase(value, public_origin, f"http://{host_rewrite.authority}".encode())))
        else:
            sent.append((name, value))
    sent += [
        (b"x-forwarded-for", visitor.ip.encode()),
        (b"x-forwarded-proto", visitor.scheme.encode()),
        (b"x-forwarded-host", visitor.host.encode()),
        (b"doorward-assertion", assertion.encode()),
    ]
    return sent


def _rebase(url: bytes, from_origin: bytes, to_origin: bytes) -> bytes:
    if url == from_origin or url.startswith((from_origin + b"/", from_origin + b"?")):
        return to_origin + url[len(from_origin) :]
    return url


def visitor_of(headers: Sequence[Header], *, peer_ip: str, scheme: str, host: str) -> Visitor:
    """Who is visiting, by the edge's X-Forwarded-For when there is exactly one address, else by the connection.

    The edge drops what visitors send under this name and sets its own; a second value means something came
    along beside it, and then none of them is believed. Scheme and host are those of the public URL.
    """
    values = [value for key, value in headers if key == b"x-forwarded-for"]
    address = values[0].decode("latin-1").strip() if len(values) == 1 else ""
    return Visitor(ip=address if _is_address(address) else peer_ip, scheme=scheme, host=host)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def outbound_headers(
    headers: Sequence[Header], *, public_origin: str, host_rewrite: HostRewrite | None
) -> list[Header]:
    """The header list the visitor receives from the service.

    Programs act on `Doorward-Gate`, so only the gate may say it; Set-Cookie passes `confine_set_cookie`. A service that was
    told a local name redirects to that name, which means nothing to the visitor: it is put back.
    """
    kept: list[Header] = []
    for name, value in headers:
        if name.startswith(b"doorward-"):
            continue
        if name == b"set-cookie":
            confined = confine_set_cookie(value)
            if confined is not None:
                kept.append((name, confined))
        elif name == b"location" and host_rewrite is not None:
            local_origin = f"http://{host_rewrite.authority}".encode()
            kept.append((name, _rebase(value, local_origin, public_origin.encode())))
        else:
            kept.append((name, value))
    return kept


def confine_set_cookie(value: bytes) -> bytes | None:
    """A Set-Cookie value confined to the service's own host; None when the service may not set that cookie.

    Without `Domain` a cookie is host-only (RFC 6265 §5.3 step 6), so a service can neither reach the machine's
    other hosts nor a stranger's in the same zone. Every other attribute stays byte for byte.
    """
    pair, *attributes = value.split(b";")
    key, separator, content = pair.partition(b"=")
    named = bool(separator) and bool(key.strip(_COOKIE_SPACE))
    # Older browsers file `Set-Cookie: =__Host-x=1` and `Set-Cookie: __Host-x` under an empty name and send the
    # value back bare, which reads as that very name.
    judged = key if named else (content if separator else pair).partition(b"=")[0]
    if is_reserved_cookie(judged):
        return None
    kept = [pair]
    kept += [a for a in attributes if a.partition(b"=")[0].strip(_COOKIE_SPACE).lower() != b"domain"]
    return b";".join(kept)
