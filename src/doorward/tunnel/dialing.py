"""How the connector reaches its edge: directly, or through the CONNECT proxy the environment's variables name.

`localhost` and `*.localhost` are this machine, whatever a resolver says, and never go through a proxy (RFC 6761).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from doorward.http1.connect_proxy import ProxyRefused, connect_through
from doorward.tunnel.pinning import KeyNotPinned, require_pinned_key

P = TypeVar("P", bound=asyncio.BaseProtocol)


class DialError(Exception):
    """The edge could not be reached; `code` is stable, the message says which hop failed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidEdgeUrl(ValueError):
    """The edge's URL is not https, or http for a localhost name."""


class EdgeAddress(msgspec.Struct, frozen=True):
    """Where an edge URL points. `authority` goes into `Host`, `origin` into the proof's audience."""

    scheme: str
    host: str
    port: int
    authority: str
    origin: str

    @property
    def parent_domain(self) -> str:
        """What `host` and its siblings have in common; empty for a single label."""
        return self.host.partition(".")[2]

    def with_port_of(self, hostname: str) -> str:
        """`hostname` as visitors send it in `Host`: with the edge's port where that is not the scheme's own."""
        return f"{hostname}:{self.port}" if self.authority.endswith(f":{self.port}") else hostname


def edge_address(url: str) -> EdgeAddress:
    """Raises InvalidEdgeUrl."""
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError as error:
        raise InvalidEdgeUrl(f"{url!r} is not the URL of an edge") from error
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise InvalidEdgeUrl(f"{url!r} is not the URL of an edge")
    if parts.scheme == "http" and not (is_localhost(host) or host in ("127.0.0.1", "::1")):
        raise InvalidEdgeUrl("an edge is reached over https; http is for localhost names only")
    default = 443 if parts.scheme == "https" else 80
    port = given_port or default
    name = f"[{host}]" if ":" in host else host
    authority = name if port == default else f"{name}:{port}"
    return EdgeAddress(parts.scheme, host, port, authority, f"{parts.scheme}://{authority}")


def is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def proxy_for(address: EdgeAddress, environ: Mapping[str, str]) -> str | None:
    """The proxy URL that HTTPS_PROXY / HTTP_PROXY / NO_PROXY name for this edge, in either case."""
    if is_localhost(address.host) or address.host in ("127.0.0.1", "::1"):
        return None
    values = {
        key.lower(): value for key, value in environ.items() if key.lower().endswith("_proxy") and value
    }
    if is_excepted(address.host, address.port, values.get("no_proxy", "")):
        return None
    return values.get(f"{address.scheme}_proxy") or values.get("all_proxy")


def is_excepted(host: str, port: int, no_proxy: str) -> bool:
    """`no_proxy` is a comma-separated list of names, each covering its subdomains too, some with a port, or `*`."""
    for item in no_proxy.lower().split(","):
        name, colon, port_text = item.strip().removeprefix("*.").lstrip(".").partition(":")
        if name == "*" or (
            name and (host == name or host.endswith(f".{name}")) and (not colon or port_text == str(port))
        ):
            return True
    return False


def tls_context(ca_file: Path | None, pins: Set[str] = frozenset()) -> ssl.SSLContext:
    """TLS 1.3, checked against the system's trust and `ca_file`, and against `pins` where there are any."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])
    if pins:
        require_pinned_key(context, pins)
    return context


async def dial(
    address: EdgeAddress,
    protocol: Callable[[], P],
    *,
    context: ssl.SSLContext | None,
    environ: Mapping[str, str],
) -> P:
    """A connection to the edge speaking `protocol`. Raises DialError."""
    loop = asyncio.get_running_loop()
    tls = context if address.scheme == "https" else None
    server_hostname = address.host if tls is not None else None
    proxy = proxy_for(address, environ)
    try:
        if proxy is not None:
            sock = await connect_through(proxy, address.host, address.port)
            _, made = await loop.create_connection(
                protocol, sock=sock, ssl=tls, server_hostname=server_hostname
            )
        else:
            host = "127.0.0.1" if is_localhost(address.host) else address.host
            _, made = await loop.create_connection(
                protocol, host, address.port, ssl=tls, server_hostname=server_hostname
            )
    except ProxyRefused as error:
        raise DialError(error.code, str(error)) from error
    except KeyNotPinned as error:
        raise DialError(
            "tls_intercepted",
            f"Somebody stands between this machine and {address.authority}: the key shown there is not a pinned one"
            f" ({error.pin}, in a certificate issued by {error.issuer}).",
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise DialError(
            "tls_untrusted", f"The certificate of {address.authority} is not trusted: {error.verify_message}."
        ) from error
    except (socket.gaierror, UnicodeError) as error:
        # The second for what could be no name: a label of more than 63 characters.
        raise DialError("name_unknown", f"The name {address.host} does not resolve.") from error
    except OSError as error:
        raise DialError(
            "unreachable", f"{address.authority} does not answer: {error.strerror or error}."
        ) from error
    return made
