"""Two ways from a client to an origin, as one thing: the proxy engine alone, and an edge with a tunnel."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from doorward.http1 import Forward, Limits, Peer, ProxyServer, RequestHead, Router, TcpUpstream
from doorward.tunnel import (
    Connector,
    ConnectorToken,
    Edge,
    Heartbeat,
    HostOwner,
    TunnelGrant,
    TunnelHello,
    TunnelRefusal,
)
from tests.http1.wire import PATIENCE

TAG = "session-1"


class Carrier:
    """`port` takes visitors; `close_tag` is the machine's."""

    def __init__(self, port: int, close_tag: Callable[[str], int]) -> None:
        self.port = port
        self.close_tag = close_tag


def to_origin(port: int) -> Router:
    upstream = TcpUpstream("127.0.0.1", port)
    return lambda head, peer: Forward(upstream, head, tag=TAG)


@asynccontextmanager
async def proxy(origin_port: int, limits: Limits | None = None) -> AsyncIterator[Carrier]:
    sock = socket.create_server(("127.0.0.1", 0))
    server = ProxyServer(to_origin(origin_port), limits=limits)
    await server.serve(sock)
    try:
        yield Carrier(sock.getsockname()[1], server.close_tag)
    finally:
        await server.close(grace=0)


@asynccontextmanager
async def tunnel(origin_port: int, limits: Limits | None = None) -> AsyncIterator[Carrier]:
    async with Registry() as registry:
        await registry.start_edge(limits=limits)
        async with registry.connector(router=to_origin(origin_port), limits=limits) as connector:
            yield Carrier(registry.port, connector.close_tag)


class Registry:
    """What a relay would know, an edge on it, and connectors: enough of a Doorward to carry bytes.

    `is_asked_for`: a visitor wants a machine that is not here. Whoever starts the edge twice gives it a `port`.
    """

    def __init__(self, hostnames: tuple[str, ...] = ("app.localhost",)) -> None:
        self.seed = secrets.token_bytes(32)
        self.generation = 1
        self.hostnames = hostnames
        self.refusal: TunnelRefusal | None = None
        self.port = 0
        self.edge: Edge | None = None
        self.hellos: list[TunnelHello] = []
        self.is_asked_for = asyncio.Event()

    async def __aenter__(self) -> "Registry":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop_edge()

    @property
    def origin(self) -> str:
        return f"http://edge.localhost:{self.port}"

    async def authorize(self, hello: TunnelHello) -> TunnelGrant | TunnelRefusal:
        self.hellos.append(hello)
        if self.refusal is not None:
            return self.refusal
        key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return TunnelGrant(hello.environment_id, self.generation, self.hostnames, "account", key)

    async def resolve_host(self, host: str) -> HostOwner | None:
        self.is_asked_for.set()
        return HostOwner("env-1", "account") if host in self.hostnames else None

    async def start_edge(self, **options: Any) -> Edge:
        sock = socket.create_server(("127.0.0.1", self.port))
        self.port = sock.getsockname()[1]
        self.edge = Edge(
            origin=self.origin, authorize=self.authorize, resolve_host=self.resolve_host, **options
        )
        await self.edge.serve([sock])
        return self.edge

    async def stop_edge(self) -> None:
        if self.edge is not None:
            await self.edge.close(grace=0, spread=0.2)
            self.edge = None

    def token(self, **changes: Any) -> ConnectorToken:
        fields: dict[str, Any] = {
            "edge_url": self.origin,
            "hostnames": list(self.hostnames),
            "environment_id": "env-1",
            "generation": self.generation,
            "seed": self.seed,
        }
        return ConnectorToken(**(fields | changes))

    @asynccontextmanager
    async def connector(
        self, *, router: Router, wait: bool = True, **options: Any
    ) -> AsyncIterator[Connector]:
        token = options.pop("token", None) or self.token()
        options.setdefault("uniform", lambda low, high: min(high, 0.05))
        options.setdefault("environ", {})
        connector = Connector(token, router=router, **options)
        running = asyncio.create_task(connector.run())
        try:
            if wait:
                await until(lambda: connector.state.word == "connected")
            yield connector
        finally:
            await connector.close()
            await asyncio.wait_for(running, PATIENCE)


def token_for(port: int) -> ConnectorToken:
    """Of a machine whose edge would be at this port."""
    return ConnectorToken(
        edge_url=f"http://edge.localhost:{port}",
        hostnames=[],
        environment_id="t",
        generation=1,
        seed=b"\x01" * 32,
    )


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def never(head: RequestHead, peer: Peer) -> Forward:
    raise AssertionError("no request was expected")


FAST_HEARTBEAT = Heartbeat(interval=0.2, grace=0.2, probe=0.2)
