"""The edge: one public listener that sends each request where its `Host` says.

A control host's requests go to its upstream, the tunnel endpoint's become tunnels, an environment's host goes through
that environment's tunnel. The edge authenticates connectors, never visitors: the environment judges every request.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl as tls
from collections.abc import Collection, Mapping, Sequence

import msgspec

from doorward.http1 import (
    Answer,
    Decision,
    Forward,
    Headers,
    Limits,
    Peer,
    ProxyServer,
    RequestHead,
    Takeover,
    Upstream,
    problem,
)
from doorward.http1.receive_buffers import ReceiveBuffers
from doorward.tunnel.admission import Authorize, ResolveHost, TunnelGrant
from doorward.tunnel.edge_link import EdgeLink
from doorward.tunnel.endpoint import Windows
from doorward.tunnel.liveness import Heartbeat

log = logging.getLogger(__name__)

TUNNEL_PATH = b"/.well-known/connect/tunnel"
UPGRADE = b"connect-mux/1"

_FORWARDED = frozenset({b"forwarded", b"x-real-ip", b"x-original-host", b"x-original-url", b"x-rewrite-url"})
_FORWARDED_PREFIXES = (b"x-forwarded-", b"x-connect-")


class EdgeStats(msgspec.Struct, frozen=True):
    """Counts since the start, except `connections`, `tunnels` and `streams`, which are open now."""

    connections: int
    connections_refused: int
    tunnels: int
    streams: int
    tunnels_opened: int
    tunnels_superseded: int
    requests: int
    requests_unknown_host: int
    requests_offline: int


class Edge:
    """Create it inside a running loop. `origin` is the edge's own origin: a connector's proof must name it.

    `control` maps host names, with the port where that tells two apart, to upstreams. `trusted_proxies` are networks
    (or `unix`) whose `X-Forwarded-For` and `-Proto` are believed: a TLS front on this machine.
    """

    def __init__(
        self,
        *,
        origin: str,
        authorize: Authorize,
        resolve_host: ResolveHost,
        control: Mapping[str, Upstream] | None = None,
        limits: Limits | None = None,
        windows: Windows | None = None,
        heartbeat: Heartbeat | None = None,
        hold_seconds: float = 5.0,
        trusted_proxies: Collection[str] = (),
    ) -> None:
        self.origin = origin.rstrip("/")
        self.authorize = authorize
        self.resolve_host = resolve_host
        self.windows = windows or Windows()
        self.heartbeat = heartbeat or Heartbeat()
        self.log = log
        self.links: set[EdgeLink] = set()
        self.buffers = ReceiveBuffers()
        self._control = {host.lower(): upstream for host, upstream in (control or {}).items()}
        self._hold_seconds = hold_seconds
        self._trusts_unix = "unix" in trusted_proxies
        self._trusted = [ipaddress.ip_network(item) for item in trusted_proxies if item != "unix"]
        self._tunnels: dict[str, EdgeLink] = {}
        self._hosts: dict[str, EdgeLink] = {}
        self._arrivals: dict[str, set[asyncio.Future[None]]] = {}
        self._opened = self._superseded = self._unknown = self._offline = 0
        self._past_requests = 0
        self._server = ProxyServer(self._route, limits=limits)

    async def serve(self, sockets: Sequence[socket.socket], *, ssl: tls.SSLContext | None = None) -> None:
        """Accept on bound sockets; may be called again, for instance once plain and once with TLS."""
        for sock in sockets:
            await self._server.serve(sock, ssl=ssl)

    async def close(self, *, grace: float = 5.0, spread: float = 5.0) -> None:
        """Tell connectors to come back within `spread` seconds, let open exchanges end for `grace`, then end all."""
        draining = asyncio.ensure_future(self._server.close(grace=grace))
        for link in list(self.links):
            self.stop_routing(link)
        await draining
        for link in list(self.links):
            link.go_away("edge_restarting", "The edge is restarting.", spread_ms=int(spread * 1000))

    # What the edge's owner calls.

    def is_connected(self, environment_id: str) -> bool:
        return environment_id in self._tunnels

    def environments(self) -> list[str]:
        """The environments whose tunnels are open now."""
        return list(self._tunnels)

    def close_tunnel(self, environment_id: str, *, below_generation: int) -> None:
        """End the environment's tunnels whose generation is lower, at once, with every exchange in them."""
        for link in list(self.links):
            grant = link.grant
            if (
                grant is not None
                and grant.environment_id == environment_id
                and grant.generation < below_generation
            ):
                link.go_away(
                    "unlinked", "This machine was unlinked or its connector token replaced.", is_final=True
                )

    def set_hostnames(self, environment_id: str, hostnames: Sequence[str]) -> None:
        """The names the environment serves from now on."""
        link = self._tunnels.get(environment_id)
        if link is not None:
            self._forget_hosts(link)
            self._hosts.update(dict.fromkeys((name.lower() for name in hostnames), link))

    def close_tag(self, tag: str) -> int:
        """End every open exchange of an environment (its id is the tag), leaving its tunnel up."""
        return self._server.close_tag(tag)

    def stats(self) -> EdgeStats:
        server = self._server.stats()
        return EdgeStats(
            connections=server.connections,
            connections_refused=server.connections_refused,
            tunnels=len(self._tunnels),
            streams=sum(len(link.endpoint.streams) for link in self.links),
            tunnels_opened=self._opened,
            tunnels_superseded=self._superseded,
            requests=self._past_requests + sum(link.requests for link in self.links),
            requests_unknown_host=self._unknown,
            requests_offline=self._offline,
        )

    # What links report.

    def link_ready(self, link: EdgeLink, grant: TunnelGrant) -> None:
        """The newest authenticated connection owns the environment's names; the one before it is told why it ends."""
        self._opened += 1
        older = self._tunnels.get(grant.environment_id)
        self._tunnels[grant.environment_id] = link
        self.set_hostnames(grant.environment_id, grant.hostnames)
        if older is not None:
            self._superseded += 1
            self._forget_hosts(older)
            older.go_away("superseded", "A newer connection of this machine took over.", is_final=True)
        for arrival in self._arrivals.pop(grant.environment_id, ()):
            if not arrival.done():
                arrival.set_result(None)

    def stop_routing(self, link: EdgeLink) -> None:
        """New requests do not go through this link any more; open ones end as they will."""
        self._forget_hosts(link)
        if link.grant is not None and self._tunnels.get(link.grant.environment_id) is link:
            del self._tunnels[link.grant.environment_id]

    def link_closed(self, link: EdgeLink, reason: str) -> None:
        self.stop_routing(link)
        self.links.discard(link)
        self._past_requests += link.requests
        if link.grant is not None:
            log.info("tunnel of %s closed: %s", link.grant.environment_id, reason)

    def _forget_hosts(self, link: EdgeLink) -> None:
        for host in [host for host, owner in self._hosts.items() if owner is link]:
            del self._hosts[host]

    # Routing.

    def _route(self, head: RequestHead, peer: Peer) -> Decision | asyncio.Future[Decision]:
        host = head.host
        peer, forwarded_host = self._true_peer(head, peer)
        if head.path == TUNNEL_PATH:
            return self._tunnel(head, peer)
        name = host if host.startswith("[") else host.partition(":")[0]
        link = self._hosts.get(name)
        if link is not None:
            return _through(link, _with_forwarded(head, peer, forwarded_host), peer)
        control = self._control.get(host) or self._control.get(name)
        if control is not None:
            return Forward(control, _with_forwarded(head, peer, forwarded_host))
        return asyncio.ensure_future(self._find(name, head, peer, forwarded_host))

    def _tunnel(self, head: RequestHead, peer: Peer) -> Decision:
        if head.upgrade.lower() != UPGRADE:
            answer = problem(
                426, "upgrade_required", "Machines open their tunnel here.", accept=head.get(b"accept")
            )
            answer.headers = [*answer.headers, (b"upgrade", UPGRADE)]
            return answer
        return Takeover(UPGRADE, lambda: EdgeLink(self, peer))

    async def _find(self, name: str, head: RequestHead, peer: Peer, forwarded_host: bytes) -> Decision:
        """A host without a tunnel: unknown, or known and perhaps just reconnecting."""
        accept = head.get(b"accept")
        owner = await self.resolve_host(name)
        if owner is None:
            self._unknown += 1
            return problem(
                404,
                "unknown_host",
                "No machine is known by this address.",
                accept=accept,
                title="Nothing here",
            )
        if owner.environment_id not in self._tunnels:
            await self._arrival(owner.environment_id)
        link = self._hosts.get(name)
        if link is None and owner.environment_id in self._tunnels:
            # The relay knows a name that its notice has not brought here yet.
            link = self._tunnels[owner.environment_id]
            self._hosts[name] = link
        if link is None:
            self._offline += 1
            return _offline(accept)
        return _through(link, _with_forwarded(head, peer, forwarded_host), peer)

    async def _arrival(self, environment_id: str) -> None:
        """Wait for the environment's tunnel, at most `hold_seconds`."""
        arrival = asyncio.get_running_loop().create_future()
        waiting = self._arrivals.setdefault(environment_id, set())
        waiting.add(arrival)
        try:
            await asyncio.wait_for(arrival, self._hold_seconds)
        except TimeoutError:
            pass
        finally:
            waiting.discard(arrival)
            if not waiting and self._arrivals.get(environment_id) is waiting:
                del self._arrivals[environment_id]

    def _true_peer(self, head: RequestHead, peer: Peer) -> tuple[Peer, bytes]:
        """Who asks, and the host it asked for: a trusted front's word counts, anybody else's is dropped."""
        host = head.get(b"host") or b""
        if not self._trusted and not self._trusts_unix:
            return peer, host
        if not (self._trusts_unix if not peer.ip else self._is_trusted(peer.ip)):
            return peer, host
        ip = (head.get(b"x-forwarded-for") or b"").decode("latin-1").rpartition(",")[2].strip()
        is_tls = head.get(b"x-forwarded-proto") == b"https"
        try:
            return Peer(str(ipaddress.ip_address(ip)), is_tls), host
        except ValueError:
            return Peer(peer.ip, is_tls), host

    def _is_trusted(self, ip: str) -> bool:
        address = ipaddress.ip_address(ip)
        return any(address in network for network in self._trusted)


def _through(link: EdgeLink, head: RequestHead, peer: Peer) -> Decision:
    grant = link.grant
    return Forward(link, head, tag=grant.environment_id if grant is not None else "", peer=peer)


def _with_forwarded(head: RequestHead, peer: Peer, host: bytes) -> RequestHead:
    """`head` with nothing of what a visitor claims about its way here, and with what we know of it."""
    headers: Headers = [
        item
        for item in head.headers
        if item[0] not in _FORWARDED and not item[0].startswith(_FORWARDED_PREFIXES)
    ]
    headers.append((b"x-forwarded-for", peer.ip.encode()))
    headers.append((b"x-forwarded-proto", b"https" if peer.is_tls else b"http"))
    headers.append((b"x-forwarded-host", host))
    return RequestHead(head.method, head.target, headers, head.upgrade, head.length)


def _offline(accept: bytes | None) -> Answer:
    answer = problem(
        502,
        "machine_offline",
        "This address is known, but its machine is not connected. Start it, or wait until it is back, then reload.",
        accept=accept,
        title="The machine is offline",
    )
    answer.headers = [*answer.headers, (b"retry-after", b"5")]
    return answer
