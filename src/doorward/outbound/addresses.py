"""Which names are this machine, and what to dial for them.

RFC 6761 §6.3 reserves `localhost` and everything below it for loopback, but resolvers disagree about the names
below it, so ours never asks one: the answer would otherwise depend on the network this machine happens to be in.
"""

import asyncio
import ipaddress
import re
import socket
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from doorward.outbound.errors import AddressRefused, InsecureUrl

LOOPBACK = "127.0.0.1"
LOOPBACK_IPV6 = "::1"
_UNPRINTABLE = re.compile(r"[^!-~]")
# A translator (RFC 6052) turns these into the IPv4 address in their last 32 bits.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


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


def is_public(address: str) -> bool:
    """Whether an address literal is one of the public Internet: not of this machine, its network, or reserved.

    An IPv6 address that only carries an IPv4 one is as public as that: it leads there.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        carried = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            carried = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if carried is not None:
            ip = carried
    return ip.is_global and not ip.is_multicast and not ip.is_unspecified and not ip.is_reserved


def require_public_name(target: "Target") -> None:
    """Raise AddressRefused where the URL itself says that it leads to this machine or its network.

    What a name resolves to is checked when it is dialled (`addresses_to_dial`).
    """
    try:
        is_inside = not is_public(target.host.strip("[]"))
    except ValueError:
        is_inside = is_localhost(target.host)
    if is_inside or target.scheme != "https":
        raise AddressRefused("This URL does not lead to the public Internet by https; nothing was sent.")


def dial_address(host: str, port: int) -> tuple[str, int]:
    """What a raw socket connects to in order to reach `host`; TLS still verifies the name `host`."""
    return (LOOPBACK if is_localhost(host) else host.strip("[]"), port)


async def addresses_to_dial(host: str, port: int, *, private_hosts: frozenset[str] | None) -> list[str]:
    """What to connect to for `host`, in order. Raises AddressRefused, OSError.

    With `private_hosts` (a stranger gave us the name) every other host must lead to public addresses only. It is
    resolved here, once, and the very addresses that were checked are dialled: a name that changes its mind between a
    check and a connection (DNS rebinding) would otherwise lead inside. One private address among several refuses all.
    """
    if private_hosts is not None and host not in private_hosts:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not addresses or not all(is_public(address) for address in addresses):
            raise AddressRefused(f"{host} does not lead to the public Internet; nothing was sent.")
        return addresses
    return [LOOPBACK, LOOPBACK_IPV6] if is_localhost(host) else [host]


@lru_cache(maxsize=256)
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
    if _UNPRINTABLE.search(url):
        raise InsecureUrl(f"A URL for {host} holds characters that must be percent-encoded.")
    if parts.scheme == "http" and not is_loopback(host):
        raise InsecureUrl(
            f"Refusing plain http to {host}: only this machine's own names may be asked without TLS."
        )
    name = f"[{host}]" if ":" in host else host
    authority = name if port is None else f"{name}:{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), authority, target)
