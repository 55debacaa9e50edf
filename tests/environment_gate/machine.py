"""A whole machine for the gate's tests: a real environment, a real local service, the gate on a real socket.

The gate stands here behind a `ProxyServer` of its own; through a tunnel it is the same Router.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from doorward.environment.access import MACHINE
from doorward.environment.app import create_environment
from doorward.environment.approvals.rules import Knock
from doorward.environment.children import Child
from doorward.environment.environment import Environment
from doorward.environment.gate.router import Gate
from doorward.environment.gate.rules import nonce_hash
from doorward.environment.keys import names
from doorward.environment.sessions.service import Caller, Issued
from doorward.environment.settings import EnvironmentSettings, Service
from doorward.http1 import UnixUpstream
from doorward.http1.asgi import AsgiUpstream
from doorward.http1.server import ProxyServer
from doorward.jose import PrivateKey, create_dpop_proof, generate_key
from doorward.outbound import Outbound
from doorward.store import Clock
from doorward.t3_connect.messages import Endpoint

NONCE = "n" * 43
ACCOUNT = "user_ada"


@dataclass
class Local:
    """The local service: says what it received."""

    port: int
    largest_piece: int = 0
    uploaded: int = 0
    open_streams: int = 0
    was_closed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Machine:
    environment: Environment
    gate: Gate
    proxy: ProxyServer
    port: int
    local: Local
    clock: Clock
    client: httpx.AsyncClient
    zone: str = "env.localhost"
    scheme: str = "http"

    @property
    def host(self) -> str:
        return f"notes.{self.zone}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def loopback(self) -> str:
        """The authority of the machine's own pages."""
        return f"machine.localhost:{self.environment.port}"

    @property
    def api_origin(self) -> str:
        return f"{self.scheme}://box-1.{self.zone}:{self.port}"

    async def ask(
        self, path: str = "/", *, method: str = "GET", host: str | None = None, **options: object
    ) -> httpx.Response:
        """One request to the gate's socket under a public host."""
        headers = httpx.Headers(options.pop("headers", {}))  # type: ignore[arg-type]
        headers["host"] = host or self.host
        return await self.client.request(
            method, f"http://127.0.0.1:{self.port}{path}", headers=headers, **options
        )  # type: ignore[arg-type]

    async def session(
        self, key: PrivateKey | None = None, *, account: str = ACCOUNT
    ) -> tuple[PrivateKey, Issued]:
        """A device that was let in: its key and its session."""
        key = key or generate_key("ES256")
        thumbprint = key.public.thumbprint
        knock = Knock(thumbprint=thumbprint, cloud_user_id=account, label="Laptop")
        await self.environment.approvals.decide(knock)
        await self.environment.approvals.approve(MACHINE, thumbprint)
        decision = await self.environment.approvals.decide(knock)
        assert decision.link is not None
        issued = await self.environment.sessions.exchange(
            decision.link.credential,
            method="bearer-access-token",
            thumbprint=thumbprint,
            requested_scopes=None,
            caller=Caller(),
        )
        return key, issued

    async def child(self, session_id: str, host: str | None = None) -> Child:
        code = await self.environment.children.issue_code(session_id, host or self.host, nonce_hash(NONCE))
        child = await self.environment.children.redeem_code(code, host or self.host, NONCE)
        assert child is not None
        return child

    async def cookie(self) -> dict[str, str]:
        """The Cookie header of a browser that was let in to the service."""
        _, issued = await self.session()
        return {"cookie": f"__Host-doorward={(await self.child(issued.session.id)).cookie}"}

    def proof(
        self,
        key: PrivateKey,
        token: str | None,
        path: str = "/",
        *,
        method: str = "GET",
        origin: str | None = None,
    ) -> str:
        return create_dpop_proof(
            key,
            method=method,
            url=(origin or self.origin) + path,
            now=self.clock() // 1000,
            access_token=token,
        )

    def program(self, key: PrivateKey, token: str, path: str = "/", *, method: str = "GET") -> dict[str, str]:
        """The headers of a program that holds the key."""
        return {
            "doorward-authorization": f"DPoP {token}",
            "doorward-dpop": self.proof(key, token, path, method=method),
        }


def local_service(local: Local) -> Starlette:
    async def echo(request: Request) -> Response:
        return JSONResponse(
            {"path": request.url.path, "headers": [[k, v] for k, v in request.headers.items()]}
        )

    async def cookies(request: Request) -> Response:
        response = Response("set")
        for value in (
            "plain=1; Path=/; HttpOnly",
            f"wide=1; Domain={(request.url.hostname or '').partition('.')[2]}; Path=/",
            "__Host-doorward=stolen; Path=/; Secure",
            "__session=stolen",
        ):
            response.raw_headers.append((b"set-cookie", value.encode()))
        response.headers["doorward-gate"] = "https://evil.test/gate"
        return response

    async def upload(request: Request) -> Response:
        local.uploaded = 0
        async for piece in request.stream():
            local.uploaded += len(piece)
            local.largest_piece = max(local.largest_piece, len(piece))
        return JSONResponse({"received": local.uploaded})

    async def download(request: Request) -> Response:
        pieces = int(request.query_params["pieces"])

        async def body() -> AsyncIterator[bytes]:
            for _ in range(pieces):
                yield b"x" * 65536

        return StreamingResponse(body(), media_type="application/octet-stream")

    async def events(_: Request) -> Response:
        async def body() -> AsyncIterator[str]:
            local.open_streams += 1
            try:
                for number in range(100_000):
                    yield f"data: {number}\n\n"
                    await asyncio.sleep(0.02)
            finally:
                local.open_streams -= 1
                local.was_closed.set()

        return StreamingResponse(body(), media_type="text/event-stream")

    async def socket_echo(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol=(websocket.scope["subprotocols"] or [None])[0])
        await websocket.send_json({"headers": dict(websocket.headers)})
        with suppress(Exception):
            while True:
                await websocket.send_text(await websocket.receive_text())
        local.was_closed.set()

    return Starlette(
        routes=[
            Route("/cookies", cookies),
            Route("/upload", upload, methods=["POST"]),
            Route("/download", download),
            Route("/events", events),
            WebSocketRoute("/socket", socket_echo),
            Route("/{path:path}", echo, methods=["GET", "POST", "DELETE", "OPTIONS"]),
        ]
    )


@asynccontextmanager
async def serving(
    app: object, *, uds: str | None = None, bound: socket.socket | None = None
) -> AsyncIterator[None]:
    """uvicorn in this loop, until the end of the block."""
    config = uvicorn.Config(app, uds=uds, log_level="error", lifespan="off", timeout_graceful_shutdown=1)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve(sockets=[bound] if bound else None))
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


def bound_socket(port: int = 0) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


@asynccontextmanager
async def running_machine(
    home: Path,
    clock: Clock,
    *,
    remote_admin: bool = False,
    host_header: str = "public",
    relay_url: str | None = "http://relay.localhost:1",
    accounts_origin: str | None = "http://accounts.localhost:1",
    zone: str = "env.localhost",
    tls: ssl.SSLContext | None = None,
    outbound: Outbound | None = None,
) -> AsyncIterator[Machine]:
    settings = EnvironmentSettings(
        home=home,
        label="Study desk",
        remote_admin=remote_admin,
        relay_url=relay_url,
        accounts_origin=accounts_origin,
    )
    settings.run_dir.mkdir(parents=True)
    outbound = outbound or Outbound()
    environment = await create_environment(settings, outbound=outbound, clock=clock)
    await environment.start()
    await environment.approvals.set_mode(MACHINE, "client-approval")
    local_socket, public_socket, loopback_socket = bound_socket(), bound_socket(), bound_socket()
    environment.port = loopback_socket.getsockname()[1]
    local = Local(port=local_socket.getsockname()[1])
    port = public_socket.getsockname()[1]
    scheme = "https" if tls else "http"
    endpoint = Endpoint(
        http_base_url=f"{scheme}://box-1.{zone}:{port}/",
        ws_base_url=f"{'wss' if tls else 'ws'}://box-1.{zone}:{port}/ws",
        provider_kind="cloudflare_tunnel",
    )
    environment.secrets.set(names.MANAGED_ENDPOINT, msgspec.json.encode(endpoint))
    environment.secrets.set(names.LINKED_USER, ACCOUNT.encode())
    environment.link.load()
    for name in ("notes", "photos"):
        await environment.services.add(MACHINE, Service(name=name, port=local.port, host_header=host_header))  # type: ignore[arg-type]
        await environment.services.claimed(MACHINE, name, f"{scheme}://{name}.{zone}:{port}/")
    api_socket = str(settings.run_dir / "api.sock")
    api = AsgiUpstream(environment.tunnel_app)
    gate = Gate(
        environment,
        api=api,
        api_sockets=UnixUpstream(api_socket),
        close_tag=lambda tag: proxy.close_tag(tag),
    )
    proxy = ProxyServer(gate.route)
    await proxy.serve(public_socket, ssl=tls)
    is_watching = asyncio.Event()
    watching = asyncio.create_task(gate.watch(is_watching))
    await is_watching.wait()
    async with (
        serving(local_service(local), bound=local_socket),
        serving(environment.tunnel_app, uds=api_socket),
        serving(environment.loopback_app, bound=loopback_socket),
        httpx.AsyncClient(timeout=60) as client,
    ):
        try:
            yield Machine(environment, gate, proxy, port, local, clock, client, zone, scheme)
        finally:
            environment.is_stopping.set()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await proxy.close(grace=0)
            await api.close()
            await environment.stop()
            await outbound.close()


def received(response: httpx.Response) -> list[tuple[str, str]]:
    """The headers the local service says it received."""
    return [(name, value) for name, value in json.loads(response.content)["headers"]]
