"""The listener: accepts clients, limits them, and ends cleanly."""

from __future__ import annotations

import asyncio
import socket
import ssl as tls

import msgspec

from doorward.http1.asking import AnswerTaker, ask
from doorward.http1.engine import Engine
from doorward.http1.exchange import Peer, Router
from doorward.http1.heads import RequestHead
from doorward.http1.limits import Limits
from doorward.http1.listener import IsFront, ListenerState
from doorward.http1.server_connection import ServerConnection

_BACKLOG = 1024
_DRAIN_POLL_SECONDS = 0.02


class ServerStats(msgspec.Struct, frozen=True):
    connections: int
    connections_refused: int


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

        # A client counts once its handshake is over: until then it may take no longer than for a head.
        handshake = None if ssl is None else self._engine.limits.head_seconds
        if isinstance(where, str):
            server = await loop.create_unix_server(connection, where, backlog=_BACKLOG)
        elif where.family == socket.AF_UNIX:
            server = await loop.create_unix_server(
                connection, sock=where, ssl=ssl, ssl_handshake_timeout=handshake, backlog=_BACKLOG
            )
        else:
            server = await loop.create_server(
                connection, sock=where, ssl=ssl, ssl_handshake_timeout=handshake, backlog=_BACKLOG
            )
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
