"""How a visitor came to the edge: whose word about that is believed, and what the machine is told of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

import msgspec

from doorward.http1 import Headers, Peer, RequestHead
from doorward.http1.heads import Derived

_FORWARDED = frozenset({b"forwarded", b"x-real-ip", b"x-original-host", b"x-original-url", b"x-rewrite-url"})
_FORWARDED_PREFIXES = (b"x-forwarded-", b"x-connect-")


class Way(msgspec.Struct, frozen=True, gc=False):
    """How a request came: the same for every request of this header block from this peer."""

    asked_by: Peer
    """The other end of the connection."""
    peer: Peer
    """Who asks, by the word of a trusted front."""
    host: str
    """`Host` in lower case."""
    name: str
    """`Host` without its port."""
    headers: Headers
    """What came with nothing of what a visitor claims about its way here, and with what we know of it."""

    def carried(self, head: RequestHead) -> RequestHead:
        return RequestHead(head.method, head.target, self.headers, head.upgrade, head.length)


class TrustedFronts:
    """`networks` are addresses and networks, or `unix`, whose `X-Forwarded-For` and `-Proto` are believed."""

    def __init__(self, networks: Collection[str]) -> None:
        self._has_unix = "unix" in networks
        self._networks = [ipaddress.ip_network(item) for item in networks if item != "unix"]
        self._ways: Derived[Way] = Derived()

    def way(self, head: RequestHead, peer: Peer) -> Way:
        known = self._ways.get(id(head.headers))
        if known is not None and known[1].asked_by == peer:
            return known[1]
        true_peer, host = self._true_peer(head, peer), head.host
        name = host if host.startswith("[") else host.partition(":")[0]
        headers = _forwarded_headers(head.headers, true_peer, head.get(b"host") or b"")
        return self._ways.keep(head.headers, Way(peer, true_peer, host, name, headers))

    def _true_peer(self, head: RequestHead, peer: Peer) -> Peer:
        """Who asks: a trusted front's word counts, anybody else's does not."""
        if not self._networks and not self._has_unix:
            return peer
        if not (self._has_unix if not peer.ip else self.holds(peer.ip)):
            return peer
        ip = (head.get(b"x-forwarded-for") or b"").decode("latin-1").rpartition(",")[2].strip()
        is_tls = head.get(b"x-forwarded-proto") == b"https"
        try:
            return Peer(str(ipaddress.ip_address(ip)), is_tls)
        except ValueError:
            return Peer(peer.ip, is_tls)

    def holds(self, ip: str) -> bool:
        address = ipaddress.ip_address(ip)
        return any(address in network for network in self._networks)


def _forwarded_headers(received: Headers, peer: Peer, host: bytes) -> Headers:
    headers = [
        item for item in received if item[0] not in _FORWARDED and not item[0].startswith(_FORWARDED_PREFIXES)
    ]
    headers.append((b"x-forwarded-for", peer.ip.encode()))
    headers.append((b"x-forwarded-proto", b"https" if peer.is_tls else b"http"))
    headers.append((b"x-forwarded-host", host))
    return headers
