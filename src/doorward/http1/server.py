"""The listener: accepts clients, limits them, and ends cleanly."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl as tls
from collections import Counter
from collections.abc import Callable

import msgspec

from doorward.http1.asking import AnswerTaker, ask
from doorward.http1.engine import Engine
from doorward.http1.exchange import Peer, Router
from doorward.http1.heads import RequestHead
from doorward.http1.limits import Limits
from doorward.http1.parsing import RequestHeads
from doorward.http1.server_connection import ServerConnection

IsFront = Callable[[str], bool]

_BACKLOG = 1024
_DRAIN_POLL_SECONDS = 0.02


class ServerStats(msgspec.Struct, frozen=True):
    connections: int
    connections_refused: int


class ListenerState:
    """What a listener's connections share."""

    def __init__(self, engine: Engine, is_front: IsFront) -> None:
        self.engine = engine
        self._is_front = is_front
        self.log = logging.getLogger(__name__)
        self.connections: set[ServerConnection] = set()
        self.heads = RequestHeads()
        self.refused = 0
        self._per_ip: Counter[str] = Counter()

    def peer_of(self, transport: asyncio.Transport) -> Peer:
        name = transport.get_extra_info("peername")
        ip = name[0] if isinstance(name, tuple) else ""
        return Peer(ip, is_tls=transport.get_extra_info("sslcontext") is not None)

    def admit(self, connection: ServerConnection, peer: Peer) -> bool:
        self.connections.add(connection)
        self.engine.expiring.add(connection)
        self._per_ip[peer.ip] += 1
        # Connections over a unix socket have no address and come from our own front; one at another address brings
        # everybody's.
        if (
            peer.ip
            and self._per_ip[peer.ip] > self.engine.limits.connections_per_ip
            and not self._is_front(peer.ip)
        ):
            self.refused += 1
            return False
        return True

    def forget(self, connection: ServerConnection, peer: Peer) -> None:
        if connection in self.connections:
            self.connections.discard(connection)
            self.engine.expiring.discard(connection)
            self._per_ip[peer.ip] -= 1
            if self._per_ip[peer.ip] <= 0:
                del self._per_ip[peer.ip]


class ProxyServer:
    """A streaming HTTP/1.1 reverse proxy driven by `router`. Create and use it inside one running loop.

    `is_front` tells the addresses of load balancers, which no limit by address is for.
    """

    def __init__(
        self, router: Router, *, limits: Limits | None = None, is_front: IsFront = lambda _ip: False
    ) -> None:
        self._engine = Engine(router, limits or Limits())
        self._state = ListenerState(self._engine, is_front)
        self._servers: list[asyncio.Server] = []

    async def serve(self, where: socket.socket | str, *, ssl: tls.SSLContext | None = None) -> None:
        """Accept on a bound socket, or on a unix socket created at the path `where`. May be called several times."""
        loop = self._engine.loop

        def connection() -> ServerConnection:
            return ServerConnection(self._state)

        if isinstance(where, str):
            server = await loop.create_unix_server(connection, where, backlog=_BACKLOG)
        elif where.family == socket.AF_UNIX:
            server = await loop.create_unix_server(connection, sock=where, ssl=ssl, backlog=_BACKLOG)
        else:
            server = await loop.create_server(connection, sock=where, ssl=ssl, backlog=_BACKLOG)
        self._servers.append(server)

    async def ask(self, head: RequestHead, body: bytes, peer: Peer, taker: AnswerTaker) -> None:
        """A request of this process's own, as if `peer` had sent it. Raises what `asking.ask` raises."""
        await ask(self._engine, head, body, peer, taker)

    def close_tag(self, tag: str) -> int:
        """End every open exchange whose `Forward` had this tag, now; returns how many there were."""
        return self._engine.close_tag(tag)

    def stats(self) -> ServerStats:
        return ServerStats(len(self._state.connections), self._state.refused)

    def announce_close(self) -> None:
        """From now on every answer ends its connection, so that clients open their next one elsewhere."""
        self._engine.is_draining = True

    def stop_accepting(self) -> None:
        """Refuse new connections; those that are open may ask for more."""
        for server in self._servers:
            server.close()

    async def close(self, *, grace: float = 5.0) -> None:
        """Stop accepting, let open exchanges end for up to `grace` seconds, then end them."""
        loop = self._engine.loop
        self.stop_accepting()
        self._engine.is_draining = True
        for connection in list(self._state.connections):
            connection.drain()
        deadline = loop.time() + grace
        while self._state.connections and loop.time() < deadline:  # noqa: ASYNC110 - a drain is rare and coarse
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        for connection in list(self._state.connections):
            connection.kill()
        # One turn of the loop lets the aborted transports say goodbye.
        await asyncio.sleep(0)
        self._engine.close()
