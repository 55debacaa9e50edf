"""The edge: one public listener that sends each request where its `Host` says.

A control host's requests go to its upstream, the tunnel endpoint's become tunnels, an environment's host goes through
that environment's tunnel. The edge authenticates connectors, never visitors: the environment judges every request.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl as tls
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from doorward.http1 import (
    Answer,
    AnswerTaker,
    Decision,
    Forward,
    Limits,
    Peer,
    ProxyServer,
    RequestHead,
    Takeover,
    Upstream,
    problem,
)
from doorward.http1.receive_buffers import ReceiveBuffers
from doorward.tunnel.admission import Authorize, Claim, LocalClaims, ResolveHost, TunnelGrant, Want
from doorward.tunnel.admitting import Admissions
from doorward.tunnel.allowances import UNLIMITED, Allowances, TokenBucket
from doorward.tunnel.edge_link import EdgeLink
from doorward.tunnel.endpoint import Windows
from doorward.tunnel.liveness import Heartbeat
from doorward.tunnel.machine_link import MachineLink, VisitorWebSocket
from doorward.tunnel.probing import Probe, Probing
from doorward.tunnel.t3_relay import T3_RELAY_PATH, T3RelayDoor
from doorward.tunnel.way_here import TrustedFronts, Way
from doorward.tunnel.websocket_upgrade import accept_websocket, carried_by_websocket
from doorward.tunnel.window_budget import WindowBudget, quarter_of_memory

log = logging.getLogger(__name__)

TUNNEL_PATH = b"/.well-known/connect/tunnel"
UPGRADE = b"connect-mux/1"
_OWN_PATHS = b"/.well-known/"
_WANT_SECONDS = 1.0
# Long enough for an admission that is under way while another node tells of a later one.
_REMEMBERED_EPOCHS = 10_000


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """How an edge leaves, in seconds. `alternates` are URLs of other edges machines may go to."""

    notice: float = 0.0
    """How long a load balancer may take to see that this node is not ready any more: new connections are taken."""
    settle: float = 2.0
    """For requests on connections that a load balancer has open already."""
    grace: float = 30.0
    """For open exchanges, and for machines to connect to another node, after that."""
    jitter: float = 10.0
    """WebSockets are closed within so long, at the end of `grace` or when nothing else is open."""
    spread: float = 20.0
    """Within which machines connect elsewhere."""
    is_alone: bool = False
    """There is no other node: machines stay until this one ends."""
    alternates: tuple[str, ...] = ()


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
    bytes_from_machines: int
    bytes_to_machines: int


class Edge:
    """Create it inside a running loop. `origin` is the edge's own origin: a connector's proof must name it.

    `claim` and `want` join several nodes: without them this one is alone. `control` maps host names, with the port
    where that tells two apart, to upstreams. `trusted_proxies` are networks (or `unix`) whose `X-Forwarded-For` and
    `-Proto` are believed: a TLS front on this machine. `t3_relay` also lets in T3 Code's own experimental connector.
    `probing`: what every machine is asked through its new tunnel, to tell it whether something comes through.
    """

    def __init__(
        self,
        *,
        origin: str,
        authorize: Authorize,
        resolve_host: ResolveHost,
        claim: Claim | None = None,
        want: Want | None = None,
        control: Mapping[str, Upstream] | None = None,
        limits: Limits | None = None,
        windows: Windows | None = None,
        heartbeat: Heartbeat | None = None,
        hold_seconds: float = 5.0,
        trusted_proxies: Collection[str] = (),
        allowances: Allowances = UNLIMITED,
        budget: WindowBudget | None = None,
        t3_relay: bool = False,
        probing: Probing | None = None,
    ) -> None:
        self.origin = origin.rstrip("/")
        self._resolve_host = resolve_host
        self.admissions = Admissions(authorize, claim or LocalClaims().claim, allowances)
        self.windows = windows or Windows()
        self.heartbeat = heartbeat or Heartbeat()
        self.links: set[MachineLink] = set()
        self.buffers = ReceiveBuffers()
        self.budget = budget or WindowBudget(quarter_of_memory())
        rate = allowances.handshakes_per_second
        # Half a second's worth at once: a burst larger than that is a herd.
        self._handshakes = (
            None if rate is None else TokenBucket(rate, max(1.0, rate / 2), asyncio.get_running_loop().time())
        )
        self._control = {host.lower(): upstream for host, upstream in (control or {}).items()}
        self._hold_seconds = hold_seconds
        self._fronts = TrustedFronts(trusted_proxies)
        self._tunnels: dict[str, MachineLink] = {}
        self._links_of: dict[str, set[MachineLink]] = {}
        self._hosts: dict[str, MachineLink] = {}
        self._epochs: dict[str, int] = {}
        self._arrivals: dict[str, set[asyncio.Future[None]]] = {}
        self._t3_relay = T3RelayDoor(self, resolve_host) if t3_relay else None
        self._want = want
        self._wanted_at: dict[str, float] = {}
        self._is_draining = False
        self._opened = self._superseded = self._unknown = self._offline = 0
        self._past_requests = self._past_received = self._past_sent = 0
        self._server = ProxyServer(self._route, limits=limits, is_front=self._fronts.holds)
        self.probe = None if probing is None else Probe(probing, self.ask)

    async def serve(self, sockets: Sequence[socket.socket], *, ssl: tls.SSLContext | None = None) -> None:
        """Accept on bound sockets; may be called again, for instance once plain and once with TLS."""
        for sock in sockets:
            await self._server.serve(sock, ssl=ssl)

    async def drain(self, plan: Drain, *, uniform: Callable[[float, float], float] = random.uniform) -> None:
        """Leave without failing a request: say so, serve until it was heard, then let what is open end.

        `close` is due afterwards.
        """
        loop = asyncio.get_running_loop()
        self._is_draining = True
        self._server.announce_close()
        if not plan.is_alone:
            for link in list(self.links):
                link.turn_away(
                    "edge_restarting",
                    "The edge is restarting.",
                    spread=plan.spread,
                    drain=plan.notice + plan.settle + plan.grace,
                    alternates=list(plan.alternates),
                )
        await asyncio.sleep(plan.notice)
        self._server.stop_accepting()
        # Whoever has a connection may send on it before it hears that it is closed: such a request would fail.
        await _until(lambda: not self._server.stats().connections, plan.settle)
        deadline = loop.time() + plan.grace
        closing_websockets = asyncio.create_task(self._close_websockets(plan, uniform))
        try:
            await self._server.close(grace=plan.grace)
        finally:
            closing_websockets.cancel()
        if not plan.is_alone:
            await _until(lambda: all(link.has_moved for link in self.links), deadline - loop.time())

    async def _close_websockets(self, plan: Drain, uniform: Callable[[float, float], float]) -> None:
        """At the end, or as soon as nothing else is open: a WebSocket does not end by itself."""
        await _until(
            lambda: self._server.stats().connections <= len(self._websockets()), plan.grace - plan.jitter
        )
        for stream in self._websockets():
            asyncio.get_running_loop().call_later(uniform(0.0, plan.jitter * 0.9), stream.close_for_restart)

    def _websockets(self) -> list[VisitorWebSocket]:
        return [websocket for link in self.links for websocket in link.websockets()]

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

    def leads(self, host: str) -> bool:
        """Whether this name of a machine leads through a tunnel of this node now."""
        return host in self._hosts

    async def ask(self, head: RequestHead, body: bytes, peer: Peer, taker: AnswerTaker) -> None:
        """A request of this process's own, judged as if `peer` had sent it. Raises BadResponse, what `taker` raises."""
        await self._server.ask(head, body, peer, taker)

    def environments(self) -> list[str]:
        """The environments whose tunnels are open now."""
        return list(self._tunnels)

    def close_tunnel(self, environment_id: str, *, below_generation: int) -> None:
        """End the environment's tunnels whose generation is lower, at once, with every exchange in them."""
        for link in list(self._links_of.get(environment_id, ())):
            if link.grant is not None and link.grant.generation < below_generation:
                link.go_away(
                    "unlinked", "This machine was unlinked or its connector token replaced.", is_final=True
                )

    def close_account(self, account: str) -> int:
        """End every tunnel of an account at once, with every visitor in them; how many there were."""
        ended = [link for link in self.links if link.grant is not None and link.grant.account == account]
        for link in ended:
            link.go_away(
                "account_barred",
                "The account this machine is linked to was banned or deleted.",
                is_final=True,
            )
        return len(ended)

    def accounts(self) -> set[str]:
        """The accounts whose tunnels are open now."""
        return {link.grant.account for link in self.links if link.grant is not None}

    def supersede(self, environment_id: str, *, epoch: int) -> None:
        """Another connector of this environment was admitted, here or on another node: end the older ones."""
        newest = max(epoch, self._epochs.pop(environment_id, 0))
        if len(self._epochs) >= _REMEMBERED_EPOCHS:
            del self._epochs[next(iter(self._epochs))]
        self._epochs[environment_id] = newest
        for link in list(self._links_of.get(environment_id, ())):
            if link.epoch < newest:
                self._superseded += 1
                link.go_away("superseded", "A newer connection of this machine took over.", is_final=True)

    def wanted_elsewhere(self, environment_id: str, hostname: str) -> None:
        """A visitor of this name waits at another node: send the machine there too."""
        link = self._tunnels.get(environment_id)
        if link is not None:
            link.want_elsewhere(hostname)

    def set_hostnames(self, environment_id: str, hostnames: Sequence[str]) -> None:
        """The names the environment serves from now on."""
        link = self._tunnels.get(environment_id)
        if link is not None:
            self._forget_hosts(link)
            for name in hostnames:
                self._lead(name.lower(), link)

    def close_tag(self, tag: str) -> int:
        """End every open exchange of an environment (its id is the tag), leaving its tunnel up."""
        return self._server.close_tag(tag)

    def stats(self) -> EdgeStats:
        server = self._server.stats()
        return EdgeStats(
            connections=server.connections,
            connections_refused=server.connections_refused,
            tunnels=len(self._tunnels),
            streams=sum(link.open_streams for link in self.links),
            tunnels_opened=self._opened,
            tunnels_superseded=self._superseded,
            requests=self._past_requests + sum(link.requests for link in self.links),
            requests_unknown_host=self._unknown,
            requests_offline=self._offline,
            bytes_from_machines=self._past_received + sum(link.bytes_received for link in self.links),
            bytes_to_machines=self._past_sent + sum(link.bytes_sent for link in self.links),
        )

    # What links report.

    def link_ready(self, link: MachineLink, grant: TunnelGrant) -> None:
        """The newest authenticated connector owns the environment's names; the one before it is told why it ends.

        Epochs decide, not the order in which two admissions end. A second connection of one connector is its next one.
        """
        self._opened += 1
        environment_id = grant.environment_id
        older = self._tunnels.get(environment_id)
        self._links_of.setdefault(environment_id, set()).add(link)
        # News of a later admission on another node may have come before this one had ended.
        self.supersede(environment_id, epoch=link.epoch)
        if not link.is_open:
            return
        self._tunnels[grant.environment_id] = link
        if link.use is not None:
            self.admissions.connected(grant, link.use)
        self.set_hostnames(grant.environment_id, grant.hostnames)
        if older is not None and older.is_open:
            self._forget_hosts(older)
            older.retire()
        for arrival in self._arrivals.pop(grant.environment_id, ()):
            if not arrival.done():
                arrival.set_result(None)

    def stop_routing(self, link: MachineLink) -> None:
        """New requests do not go through this link any more; open ones end as they will."""
        self._forget_hosts(link)
        if link.grant is not None and self._tunnels.get(link.grant.environment_id) is link:
            del self._tunnels[link.grant.environment_id]
            if link.use is not None:
                link.use.environments.discard(link.grant.environment_id)

    def link_closed(self, link: MachineLink, reason: str) -> None:
        self.stop_routing(link)
        self.links.discard(link)
        if link.grant is not None:
            others = self._links_of.get(link.grant.environment_id, set())
            others.discard(link)
            if not others:
                self._links_of.pop(link.grant.environment_id, None)
        self._past_requests += link.requests
        self._past_received += link.bytes_received
        self._past_sent += link.bytes_sent
        if link.grant is not None:
            log.info("tunnel of %s closed: %s", link.grant.environment_id, reason)

    def _lead(self, host: str, link: MachineLink) -> None:
        self._hosts[host] = link
        link.hosts.add(host)

    def _forget_hosts(self, link: MachineLink) -> None:
        for host in link.hosts:
            if self._hosts.get(host) is link:
                del self._hosts[host]
        link.hosts.clear()

    # Routing.

    def _route(self, head: RequestHead, peer: Peer) -> Decision | asyncio.Future[Decision]:
        way = self._fronts.way(head, peer)
        if head.target.startswith(_OWN_PATHS):
            path = head.path
            if path == TUNNEL_PATH:
                return self._tunnel(head, way.peer)
            if self._t3_relay is not None and path == T3_RELAY_PATH:
                return self._refused_for_now(way.peer, head) or asyncio.ensure_future(
                    self._t3_relay.decide(head, way.peer, way.name)
                )
        link = self._hosts.get(way.name)
        if link is not None:
            return _through(link, head, way)
        control = self._control.get(way.host) or self._control.get(way.name)
        if control is not None:
            return Forward(control, way.carried(head))
        return asyncio.ensure_future(self._find(head, way))

    def _tunnel(self, head: RequestHead, peer: Peer) -> Decision:
        refusal = self._refused_for_now(peer, head)
        if refusal is not None:
            return refusal
        if head.method == b"GET" and head.upgrade.lower() == UPGRADE:
            return Takeover(UPGRADE, lambda: EdgeLink(self, peer))
        websocket = accept_websocket(head)
        if websocket is not None:
            return Takeover(b"websocket", lambda: carried_by_websocket(EdgeLink(self, peer)), websocket)
        answer = problem(
            426, "upgrade_required", "Machines open their tunnel here.", accept=head.get(b"accept")
        )
        answer.headers = [*answer.headers, (b"upgrade", UPGRADE)]
        return answer

    def _refused_for_now(self, peer: Peer, head: RequestHead) -> Answer | None:
        """Before any work is done for a machine that asks: whether it has to come later, or elsewhere."""
        accept = head.get(b"accept")
        now = asyncio.get_running_loop().time()
        blocked = self.admissions.failed_proofs.wait(peer.ip, now)
        if blocked:
            answer = problem(
                429, "too_many_failures", "Too many failed proofs from your address.", accept=accept
            )
            return _busy(answer, max(1, round(blocked)))
        if self._handshakes is not None and self._handshakes.try_take(now):
            answer = problem(503, "edge_busy", "Too many machines connect at once.", accept=accept)
            # Spread, or those who were refused together come back together.
            return _busy(answer, random.randint(1, 10))  # noqa: S311
        if self._is_draining:
            return _busy(problem(503, "edge_restarting", "This edge is restarting.", accept=accept), 1)
        return None

    async def _find(self, head: RequestHead, way: Way) -> Decision:
        """A host without a tunnel: unknown, or known and perhaps just reconnecting."""
        accept, name = head.get(b"accept"), way.name
        owner = await self._resolve_host(name)
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
            await self._arrival(owner.environment_id, name)
        link = self._hosts.get(name)
        if link is None and owner.environment_id in self._tunnels:
            # The relay knows a name that its notice has not brought here yet.
            link = self._tunnels[owner.environment_id]
            self._lead(name, link)
        if link is None:
            self._offline += 1
            return _offline(accept)
        return _through(link, head, way)

    async def _arrival(self, environment_id: str, name: str) -> None:
        """Wait for the environment's tunnel, at most `hold_seconds`; it may have to come from another node."""
        arrival = asyncio.get_running_loop().create_future()
        waiting = self._arrivals.setdefault(environment_id, set())
        waiting.add(arrival)
        try:
            async with asyncio.timeout(self._hold_seconds):
                await self._arrive(arrival, environment_id, name)
        except TimeoutError:
            pass
        finally:
            waiting.discard(arrival)
            if not waiting and self._arrivals.get(environment_id) is waiting:
                del self._arrivals[environment_id]

    async def _arrive(self, arrival: asyncio.Future[None], environment_id: str, name: str) -> None:
        """Ask the other nodes for the tunnel until it is here; the caller sets the limit."""
        while self._want is not None and not arrival.done():
            now = arrival.get_loop().time()
            if now - self._wanted_at.get(environment_id, -_WANT_SECONDS) >= _WANT_SECONDS:
                # Once a second at most: the visitors of a machine that is off must not keep every node busy.
                if len(self._wanted_at) > 1000:
                    self._wanted_at.clear()
                self._wanted_at[environment_id] = now
                try:
                    await self._want(environment_id, name)
                except Exception:
                    log.exception("the other nodes could not be asked for a tunnel")
            await asyncio.wait((arrival,), timeout=_WANT_SECONDS)
        await arrival


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    """At most so long; coarse, for what happens once."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def _through(link: MachineLink, head: RequestHead, way: Way) -> Decision:
    grant = link.grant
    refusal = link.refusal(way.peer.ip)
    if refusal is not None:
        failure, wait = refusal
        accept = head.get(b"accept")
        return _busy(problem(failure.status, failure.code, failure.message, accept=accept), wait)
    tag = "" if grant is None else grant.environment_id
    return Forward(link, way.carried(head), tag, peer=way.peer)


def _busy(answer: Answer, seconds: int) -> Answer:
    answer.headers = [*answer.headers, (b"retry-after", b"%d" % seconds)]
    return answer


def _offline(accept: bytes | None) -> Answer:
    answer = problem(
        502,
        "machine_offline",
        "This address is known, but its machine is not connected. Start it, or wait until it is back, then reload.",
        accept=accept,
        title="The machine is offline",
    )
    return _busy(answer, 5)
