"""Which names are this machine, and what to dial for them.

RFC 6761 §6.3 reserves `localhost` and everything below it for loopback, but resolvers disagree about the names
below it, so ours never asks one: the answer would otherwise depend on the network this machine happens to be in.
"""

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

from doorward.outbound.errors import InsecureUrl

LOOPBACK = "127.0.0.1"
LOOPBACK_IPV6 = "::1"


class Target(NamedTuple):
    """A URL that may be asked, in its parts. `authority` is what `Host` carries."""

    scheme: str
    host: str
    port: int
    authority: str
    target: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"


def is_localhost(host: str) -> bool:
    """Whether `host` is `localhost` or a name below it."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def is_loopback(host: str) -> bool:
    """Whether `host` is a localhost name or a loopback address literal."""
    if is_localhost(host):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def dial_address(host: str, port: int) -> tuple[str, int]:
    """What a raw socket connects to in order to reach `host`; TLS still verifies the name `host`."""
    return (LOOPBACK if is_localhost(host) else host.strip("[]"), port)


def parse_target(url: str) -> Target:
    """The parts of an https URL, or of an http URL of this machine. Raises InsecureUrl."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InsecureUrl(f"This is not a URL: {error}.") from None
    if parts.scheme not in ("https", "http") or not host:
        raise InsecureUrl("This is not an http or https URL with a host.")
    if parts.username is not None or parts.password is not None:
        raise InsecureUrl(f"A URL for {host} carries a user name or password; send credentials in a header.")
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise InsecureUrl(f"A URL for {host} holds characters that must be percent-encoded.")
    if parts.scheme == "http" and not is_loopback(host):
        raise InsecureUrl(
            f"Refusing plain http to {host}: only this machine's own names may be asked without TLS."
        )
    name = f"[{host}]" if ":" in host else host
    authority = name if port is None else f"{name}:{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), authority, target)
