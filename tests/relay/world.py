"""A relay, an accounts server, an environment and, on wish, Cloudflare on loopback, and a client that speaks to the relay."""

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from doorward.jose import PrivateKey, create_dpop_proof, generate_key
from doorward.outbound import Outbound
from doorward.relay import Relay, RelaySettings, barred_by_news, create_relay, nobody_is_barred
from doorward.relay.settings import CloudflareSettings
from doorward.store import Database, Sealer
from tests.conftest import ClockForTests
from tests.relay.cloudflare import FakeCloudflare
from tests.relay.described import Described
from tests.relay.foreign import AccountsServer, Environment
from tests.relay.servers import listen, serve

ALL = {"notificationsEnabled": True, "liveActivitiesEnabled": True, "managedTunnelsEnabled": True}
PATIENT = {"request_deadline": 60.0, "environment_timeout": 50.0}
"""No answer is cut short because the machine that runs the tests has much else to do."""
PUBLISH_ONLY = {**ALL, "managedTunnelsEnabled": False}
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class World:
    """`origin` is the relay's; requests go there over a real socket."""

    def __init__(
        self,
        relay: Relay,
        database: Database,
        accounts: AccountsServer,
        environment: Environment,
        clock: ClockForTests,
        http: httpx.AsyncClient,
        port: int,
        *,
        sealer: Sealer,
        outbound: Outbound,
        cloudflare: FakeCloudflare,
    ) -> None:
        self.relay = relay
        self.cloudflare = cloudflare
        self.sealer = sealer
        self.outbound = outbound
        self.database = database
        self.accounts = accounts
        self.environment = environment
        self.clock = clock
        self.http = http
        self.port = port
        self.device: PrivateKey = generate_key("ES256")
        self.saved_token = self.saved_credential = ""
        self.described = Described()

    @property
    def origin(self) -> str:
        return self.relay.settings.issuer

    async def restart(self, **changes: Any) -> None:
        """A new relay over the same rows and key file, as after a restart or on a second node."""
        settings = msgspec.structs.replace(self.relay.settings, **changes)
        self.relay = await create_relay(
            settings, self.database, sealer=self.sealer, outbound=self.outbound, clock=self.clock
        )

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self.described.serve(self.relay.app, scope, receive, send)

    def bearer(self, user_id: str = "user_alice") -> dict[str, str]:
        return {"authorization": f"Bearer {self.accounts.session(user_id)}"}

    async def challenge(self, user_id: str = "user_alice", **flags: bool) -> str:
        response = await self.http.post(
            "/v1/client/environment-link-challenges", json={**ALL, **flags}, headers=self.bearer(user_id)
        )
        assert response.status_code == 200, response.text
        return str(response.json()["challenge"])

    async def post_link(self, proof: str, user_id: str = "user_alice", **changes: Any) -> httpx.Response:
        return await self.http.post(
            "/v1/client/environment-links",
            json={**ALL, "proof": proof, **changes},
            headers=self.bearer(user_id),
        )

    async def link(
        self, user_id: str = "user_alice", *, environment: Environment | None = None, **flags: bool
    ) -> dict[str, Any]:
        who = environment or self.environment
        response = await self.post_link(
            who.link_proof(await self.challenge(user_id, **flags)), user_id, **flags
        )
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def proof(self, method: str, path: str, *, token: str | None = None, **changes: Any) -> str:
        key: PrivateKey = changes.pop("key", self.device)
        url = changes.pop("url", self.origin + path)
        now: int = changes.pop("now", self.clock() // 1000)
        return create_dpop_proof(key, method=method, url=url, now=now, access_token=token, **changes)

    def exchange_form(self, **changes: str) -> dict[str, str]:
        return {
            "grant_type": EXCHANGE,
            "subject_token": self.accounts.session(),
            "subject_token_type": JWT,
            "requested_token_type": ACCESS_TOKEN,
            "resource": self.origin,
            "scope": "environment:status environment:connect",
            "client_id": "t3-web",
            **changes,
        }

    async def exchange(self, proof: str | None = None, **changes: str) -> httpx.Response:
        return await self.http.post(
            "/v1/client/dpop-token",
            data=self.exchange_form(**changes),
            headers={"dpop": proof or self.proof("POST", "/v1/client/dpop-token")},
        )

    async def token(self, **changes: str) -> str:
        response = await self.exchange(**changes)
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    def dpop_headers(self, token: str, path: str, **changes: Any) -> dict[str, str]:
        return {"authorization": f"DPoP {token}", "dpop": self.proof("POST", path, token=token, **changes)}

    async def connect(
        self, token: str | None = None, *, environment_id: str = "env-1", body: Any = None, **proof: Any
    ) -> httpx.Response:
        token = token or await self.token()
        path = f"/v1/environments/{environment_id}/connect"
        if body is None:
            body = {"clientProofKeyThumbprint": self.device.public.thumbprint, "client": {"label": "Phone"}}
        return await self.http.post(path, json=body, headers=self.dpop_headers(token, path, **proof))

    async def status(self, token: str | None = None, *, environment_id: str = "env-1") -> httpx.Response:
        token = token or await self.token()
        path = f"/v1/environments/{environment_id}/status"
        return await self.http.post(path, headers=self.dpop_headers(token, path))

    async def unlink(self, user_id: str = "user_alice", environment_id: str = "env-1") -> httpx.Response:
        path = f"/v1/client/environment-links/{environment_id}"
        return await self.http.delete(path, headers=self.bearer(user_id))

    async def release(self, user_id: str = "user_alice") -> httpx.Response:
        path = "/v1/client/environment-links/env-1/tunnel"
        return await self.http.delete(path, headers=self.bearer(user_id))

    async def recover(self, linked: dict[str, Any], **changes: Any) -> httpx.Response:
        """Tell of a tunnel (`tunnel_id` given) or ask for a new one."""
        path = "/v1/environments/env-1/tunnel" + ("/recovery" if "tunnel_id" in changes else "")
        return await self.http.post(
            path,
            json=self.environment.recovery_body(**changes),
            headers={"authorization": f"Bearer {linked['environmentCredential']}"},
        )

    async def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        return await self.database.read(lambda tx: tx.fetch_all(sql, params))

    async def execute(self, sql: str, *params: object) -> None:
        await self.database.write(lambda tx: tx.execute(sql, params))


@contextlib.asynccontextmanager
async def open_world(
    database: Database, clock: ClockForTests, folder: Path, **changes: Any
) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(listen())) for _ in range(3)]
        world = await _start(database, clock, folder, stack, sockets, changes)
        yield world
    assert world.described.faults == [], "an answer that the relay's OpenAPI document does not know"


async def _start(
    database: Database,
    clock: ClockForTests,
    folder: Path,
    stack: contextlib.AsyncExitStack,
    sockets: list[socket.socket],
    changes: dict[str, Any],
) -> World:
    relay_socket, accounts_socket, environment_socket = sockets
    accounts = AccountsServer(f"http://accounts.localhost:{_port(accounts_socket)}", clock)
    cloudflare = FakeCloudflare(clock)
    if changes.get("provider") == "cloudflare":
        cleanup = changes.pop("cleanup", "off")
        changes = {**changes, "cloudflare": await _serve_cloudflare(cloudflare, stack, cleanup)}
    origin = changes.pop("origin", f"http://relay.localhost:{_port(relay_socket)}")
    settings = RelaySettings(
        **{
            "origin": origin,
            "zone": "env.localhost",
            "edge_url": f"http://edge.localhost:{_port(relay_socket)}",
            "accounts_issuer": accounts.origin,
            "jwks_url": f"{accounts.origin}/.well-known/jwks.json",
            "endpoint_scheme": "http",
            "endpoint_port": _port(environment_socket),
            **PATIENT,
            **changes,
        }
    )
    environment = Environment(settings.issuer, clock)
    outbound = Outbound()
    sealer = Sealer.from_file(folder / "kek")
    is_barred = nobody_is_barred if settings.accounts_webhook is None else barred_by_news(database)
    relay = await create_relay(
        settings, database, sealer=sealer, outbound=outbound, clock=clock, is_barred=is_barred
    )
    http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{_port(relay_socket)}", timeout=60)
    port = _port(relay_socket)
    world = World(
        relay,
        database,
        accounts,
        environment,
        clock,
        http,
        port,
        sealer=sealer,
        outbound=outbound,
        cloudflare=cloudflare,
    )
    await stack.enter_async_context(
        serve(
            (world.serve, relay_socket),
            (accounts.app, accounts_socket),
            (environment.app, environment_socket),
        )
    )
    stack.push_async_callback(outbound.close)
    await stack.enter_async_context(http)
    return world


async def _serve_cloudflare(
    cloudflare: FakeCloudflare, stack: contextlib.AsyncExitStack, cleanup: Any
) -> CloudflareSettings:
    listener = stack.enter_context(contextlib.closing(listen()))
    await stack.enter_async_context(serve((cloudflare.app, listener)))
    return CloudflareSettings(
        account_id="acc-1",
        zone_id="zone-1",
        api_token=cloudflare.token,
        api_url=f"http://api.localhost:{_port(listener)}/client/v4",
        cleanup=cleanup,
    )


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])
