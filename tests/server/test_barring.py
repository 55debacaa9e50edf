"""A ban, and a deletion, at one of two nodes: at the other one too, nothing that the account had is worth anything.

The nodes are whole servers on one PostgreSQL; what one tells the other goes through the database alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from doorward.http1 import Answer, Peer, RequestHead
from doorward.identity import DevelopmentInbox, create_identity
from doorward.identity.accounts.new_accounts import Details, Identifier, NewPassword, NewUser
from doorward.identity.instance import store as instance
from doorward.identity.webhooks.deliverer import Deliverer
from doorward.identity.webhooks.deliveries import Event
from doorward.jose import create_dpop_proof, generate_key
from doorward.outbound import Outbound
from doorward.relay import AccountsWebhook, RelaySettings
from doorward.relay.credentials.rules import new_credential
from doorward.relay.credentials.store import CredentialOwner, insert
from doorward.relay.users.news import standing_of
from doorward.server.barring import barred_by_identity
from doorward.server.node import Node, NodePlan, running_node
from doorward.store import Sealer, open_database, system_clock
from doorward.tunnel import Connector
from doorward.webhook_signing import key_of, new_secret, signed_headers
from tests import databases
from tests.conftest import ClockForTests
from tests.http1.wire import client
from tests.identity.conftest import ORIGIN, SETTINGS, Browser, World
from tests.identity_backend_api.conftest import Backend, backend_of
from tests.identity_backend_api.test_oauth_applications import OPAQUE, make_app, tokens_of
from tests.server.balancer import Balancer, balancer
from tests.server.machines import Machine
from tests.tunnel.carriers import until
from tests.web.browser import served

pytestmark = [pytest.mark.anyio, pytest.mark.postgresql, pytest.mark.xdist_group("barring")]

ZONE, RELAY = "machines.localhost", "http://relay.localhost:8080"
#: The product's promise is a second; a test machine may be busy with other things, and asks for forty things in that time.
SECONDS = 30
#: What a caller hears whose credential, or whose subject, is no more.
WORTHLESS = (401, 404)


@dataclass
class Pair:
    """Two nodes: what is done is done at the first, what is asked is asked of both."""

    nodes: list[Node]
    worlds: list[World]
    backends: list[Backend]
    front: Balancer
    ports: list[int]

    def relay(self, number: int) -> httpx.AsyncClient:
        relay = self.nodes[number].relay
        assert relay is not None
        return httpx.AsyncClient(transport=httpx.ASGITransport(relay.app), base_url=RELAY)


@pytest.fixture(scope="module")
async def pair(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    folder: Path = tmp_path_factory.mktemp("pair")
    async with contextlib.AsyncExitStack() as stack:
        url = stack.enter_context(databases.new_postgresql(databases.SERVER_SCHEMAS))
        front = await stack.enter_async_context(balancer())
        keys = socket.create_server(("127.0.0.1", 0))
        inbox = DevelopmentInbox(system_clock)
        plan = NodePlan(
            roles=("identity", "relay", "edge"),
            database_url=url,
            key_file=folder / "kek",
            identity=SETTINGS,
            relay=RelaySettings(
                origin=RELAY,
                zone=ZONE,
                edge_url=f"http://edge.{ZONE}:{front.port}",
                accounts_issuer=ORIGIN,
                jwks_url=f"http://accounts.localhost:{keys.getsockname()[1]}/.well-known/jwks.json",
            ),
            mailer=inbox,
            edge_nodes=2,
        )
        nodes, worlds, backends, ports = [], [], [], []
        for _ in range(2):
            node = await stack.enter_async_context(running_node(plan))
            assert node.identity is not None
            assert node.edge is not None
            listener = socket.create_server(("127.0.0.1", 0))
            await node.edge.serve([listener])
            ports.append(listener.getsockname()[1])
            world = World(node.identity, node.database, system_clock, Sealer.from_file(plan.key_file), inbox)  # type: ignore[arg-type]
            nodes.append(node)
            worlds.append(world)
            backends.append(await stack.enter_async_context(backend_of(world)))
        assert nodes[0].identity is not None
        await stack.enter_async_context(served(nodes[0].identity.app, keys))
        yield Pair(nodes, worlds, backends, front, ports)
        for world in worlds:
            for browser in world.browsers:
                await browser.aclose()


@dataclass
class Held:
    """Everything an account can hold, and how each of it is presented."""

    user_id: str
    browser: Browser
    session_id: str
    refresh_token: str
    asks: dict[str, Callable[[int], Awaitable[httpx.Response]]]


async def everything_of(pair: Pair, address: str, machine: Machine) -> Held:
    """Of an account that signed up at the first node and owns the machine."""
    world, backend = pair.worlds[0], pair.backends[0]
    browser = await world.signed_up(address)
    session = await browser.session()
    session_id, user_id = session["id"], session["user"]["id"]
    machine.account = user_id
    await machine.register(world.database)
    template = await browser.post(f"/v1/client/sessions/{session_id}/tokens/t3-relay")
    jwt = await browser.tokens()
    opaque = await tokens_of(browser, await make_app(backend, **OPAQUE))
    key = await backend.ask("POST", "/api_keys", 201, json={"name": "ci key", "subject": user_id})
    device = generate_key("ES256")
    credential = new_credential()
    environment = f"env-{machine.tunnel_id}"

    def keep(tx: Any) -> None:
        (public,) = tx.fetch_one(
            "SELECT environment_public_key FROM relay_environment_links WHERE environment_id = ?",
            (environment,),
        )
        insert(tx, credential, CredentialOwner(user_id, environment, public), now=1)

    await world.database.write(keep)

    def proof(path: str, token: str | None = None) -> str:
        return create_dpop_proof(
            device, method="POST", url=RELAY + path, now=system_clock() // 1000, access_token=token
        )

    async with pair.relay(0) as relay:
        exchanged = await relay.post(
            "/v1/client/dpop-token",
            data={
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject_token": template["jwt"],
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "resource": RELAY,
                "scope": "environment:status environment:connect",
                "client_id": "t3-web",
            },
            headers={"dpop": proof("/v1/client/dpop-token")},
        )
    assert exchanged.status_code == 200, exchanged.text
    bound = exchanged.json()["access_token"]

    async def at_accounts(number: int, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(pair.worlds[number].identity.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
            return await http.request(method, path, **options)

    async def at_relay(number: int, method: str, path: str, **options: Any) -> httpx.Response:
        async with pair.relay(number) as http:
            return await http.request(method, path, **options)

    def own() -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in browser.http.cookies.items())
        return {"cookie": cookie, "origin": ORIGIN}

    def secret(number: int) -> dict[str, str]:
        return {"authorization": pair.backends[number].http.headers["authorization"]}

    def bearer(token: str) -> dict[str, str]:
        return {"authorization": f"Bearer {token}"}

    path = f"/v1/environments/{environment}/status"
    tokens = f"/v1/client/sessions/{session_id}/tokens"
    verify = "/api/v1/oauth_applications/access_tokens/verify"
    at, relay_at = at_accounts, at_relay
    return Held(
        user_id,
        browser,
        session_id,
        jwt["refresh_token"],
        {
            "a session's token": lambda n: at(n, "POST", tokens, headers=own()),
            "a template's token": lambda n: at(n, "POST", f"{tokens}/t3-relay", headers=own()),
            "a session's token by the Backend API": lambda n: at(
                n, "POST", f"/api/v1/sessions/{session_id}/tokens", headers=secret(n), json={}
            ),
            "an opaque access token": lambda n: at(
                n, "POST", verify, headers=secret(n), json={"access_token": opaque["access_token"]}
            ),
            "an access token": lambda n: at(n, "GET", "/oauth/userinfo", headers=bearer(jwt["access_token"])),
            "an API key": lambda n: at(
                n, "POST", "/api/v1/api_keys/verify", headers=secret(n), json={"secret": key["secret"]}
            ),
            "a session at the relay": lambda n: relay_at(
                n, "GET", "/v1/environments", headers=bearer(template["jwt"])
            ),
            "an access token at the relay": lambda n: relay_at(
                n, "GET", "/v1/environments", headers=bearer(jwt["access_token"])
            ),
            "a DPoP token at the relay": lambda n: relay_at(
                n, "POST", path, headers={"authorization": f"DPoP {bound}", "dpop": proof(path, bound)}
            ),
            "the machine's credential at the relay": lambda n: relay_at(
                n, "GET", f"/v1/environments/{environment}/services", headers=bearer(credential.token)
            ),
        },
    )


@contextlib.asynccontextmanager
async def connected(pair: Pair, machine: Machine, number: int) -> AsyncIterator[Connector]:
    """The machine's connector, whose first tunnel is at that node."""

    def router(head: RequestHead, peer: Peer) -> Answer:
        return Answer(200, [], b"ok")

    pair.front.default = pair.ports[number]
    url = f"http://edge.{ZONE}:{pair.front.port}"
    connector = Connector(machine.token(url), router=router, environ={})
    running = asyncio.create_task(connector.run())
    try:
        await until(lambda: connector.state.word == "connected", 20)
        yield connector
    finally:
        await connector.close()
        await asyncio.wait_for(running, 30)


async def ban(pair: Pair, held: Held) -> None:
    await pair.backends[0].ask("POST", f"/users/{held.user_id}/ban")


async def delete(pair: Pair, held: Held) -> None:
    await pair.backends[0].ask("DELETE", f"/users/{held.user_id}")


async def delete_oneself(pair: Pair, held: Held) -> None:
    answer = await held.browser.http.delete("/v1/me", params={"_clerk_session_id": held.session_id})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("end", [ban, delete, delete_oneself])
async def test_what_ends_an_account_at_one_node_ends_all_it_had_at_both(
    pair: Pair, end: Callable[[Pair, Held], Awaitable[None]]
) -> None:
    name = end.__name__.replace("_", "-")
    machines = [Machine(f"{name}-{number}", zone=ZONE) for number in range(2)]
    held = await everything_of(pair, f"{name}@example.com", machines[0])
    machines[1].account = held.user_id
    await machines[1].register(pair.worlds[0].database)
    async with contextlib.AsyncExitStack() as stack:
        connectors = [
            await stack.enter_async_context(connected(pair, machine, number))
            for number, machine in enumerate(machines)
        ]
        for number, machine in enumerate(machines):
            async with client(pair.ports[number]) as visitor:
                await visitor.get(host=machine.hosts[0])
                assert (await visitor.head())[0] == 200
        for number in range(2):
            for what, ask in held.asks.items():
                answer = await ask(number)
                assert answer.status_code < 500 and answer.status_code not in WORTHLESS, (what, answer.text)

        await end(pair, held)
        began = time.monotonic()
        waiting = {(number, what) for number in range(2) for what in held.asks}
        while waiting:
            for number, what in sorted(waiting):
                if (await held.asks[what](number)).status_code in WORTHLESS:
                    waiting.discard((number, what))
            assert time.monotonic() - began < SECONDS, waiting
        for connector in connectors:
            await until(lambda connector=connector: connector.state.reason == "account_barred", SECONDS)
        # For the threat model's figure: `pytest -s` shows it.
        print(f"{end.__name__} took effect within {time.monotonic() - began:.3f} s")
    form = {"grant_type": "refresh_token", "client_id": "doorward-cli", "refresh_token": held.refresh_token}
    refreshed = await pair.worlds[1].browser().http.post("/oauth/token", data=form)
    assert refreshed.json()["error"] == "invalid_grant"
    for node in pair.nodes:
        assert node.edge is not None
        assert held.user_id not in node.edge.accounts()


async def test_an_organization_that_is_deleted_at_one_node_has_no_keys_at_the_other(pair: Pair) -> None:
    first, second = pair.backends
    await first.ask("PATCH", "/instance/organization_settings", json={"enabled": True})
    works = await first.ask("POST", "/organizations", json={"name": "Works"})
    body = {"name": "works key", "subject": works["id"]}
    secret = {"secret": (await first.ask("POST", "/api_keys", 201, json=body))["secret"]}
    await second.ask("POST", "/api_keys/verify", json=secret)
    await first.ask("DELETE", f"/organizations/{works['id']}")
    await second.ask("POST", "/api_keys/verify", 404, json=secret)


async def test_a_relay_with_a_database_of_its_own_bars_nobody_it_does_not_know(tmp_path: Path) -> None:
    schemas = databases.SERVER_SCHEMAS
    database = await open_database(databases.new_sqlite(tmp_path, schemas), schemas=schemas)
    is_barred = barred_by_identity(database)
    assert not await is_barred("user_elsewhere")
    await database.write(lambda tx: instance.plant(tx, 1))
    assert await is_barred("user_elsewhere")
    await database.close()


async def test_a_webhook_closes_the_tunnels_of_an_account_that_is_kept_elsewhere(tmp_path: Path) -> None:
    secret = new_secret()
    async with contextlib.AsyncExitStack() as stack:
        front = await stack.enter_async_context(balancer())
        plan = NodePlan(
            roles=("relay", "edge"),
            database_url=databases.new_sqlite(tmp_path, databases.SERVER_SCHEMAS),
            key_file=tmp_path / "kek",
            identity=SETTINGS,
            relay=RelaySettings(
                origin=RELAY,
                zone=ZONE,
                edge_url=f"http://edge.{ZONE}:{front.port}",
                accounts_issuer=ORIGIN,
                jwks_url=f"{ORIGIN}/.well-known/jwks.json",
                accounts_webhook=AccountsWebhook(secret=secret),
            ),
            mailer=DevelopmentInbox(system_clock),
        )
        node = await stack.enter_async_context(running_node(plan))
        assert node.edge is not None
        assert node.relay is not None
        listener = socket.create_server(("127.0.0.1", 0))
        await node.edge.serve([listener])
        pair = Pair([node], [], [], front, [listener.getsockname()[1]])
        machines = [Machine(name, zone=ZONE, account=f"user_{name}") for name in ("hers", "his")]
        for machine in machines:
            await machine.register(node.database)
        hers, his = [await stack.enter_async_context(connected(pair, machine, 0)) for machine in machines]
        body = msgspec.json.encode(
            {"type": "user.updated", "data": {"id": "user_hers", "banned": True, "updated_at": 5}}
        )
        headers = signed_headers([key_of(secret)], "msg_1", system_clock() // 1000, body)
        async with pair.relay(0) as relay:
            answer = await relay.post("/v1/webhooks/accounts", content=body, headers=headers)
        assert answer.status_code == 204, answer.text
        await until(lambda: hers.state.reason == "account_barred", SECONDS)
        assert node.edge.accounts() == {"user_his"}
        assert his.state.word == "connected"


async def test_a_relay_elsewhere_understands_what_identity_tells(
    tmp_path: Path, clock: ClockForTests
) -> None:
    """The events of our own accounts server, as they leave it."""
    schemas = databases.SERVER_SCHEMAS
    database = await open_database(databases.new_sqlite(tmp_path, schemas), schemas=schemas)
    sealer = Sealer.from_file(tmp_path / "kek")
    mailer = DevelopmentInbox(clock)
    identity = await create_identity(SETTINGS, database, sealer=sealer, mailer=mailer, clock=clock)
    await identity.webhooks.create("https://relay.example.com/v1/webhooks/accounts", actor=None)
    wish = NewUser(
        details=Details(), email_addresses=(Identifier("ada@example.com"),), password=NewPassword()
    )
    user_id = (await identity.administration.create(wish, actor="test")).user.id
    for change in (
        identity.accounts.ban,
        identity.accounts.unban,
        identity.accounts.ban,
        identity.accounts.delete,
    ):
        clock.advance(1)  # who hears of it knows the last one by its time
        await change(user_id, actor="test")
    rows = await database.read(
        lambda tx: tx.fetch_all(
            "SELECT id, kind, data, client_ip, user_agent, created_at FROM identity_webhook_events"
        )
    )
    outbound = Outbound()
    deliverer = Deliverer(database, sealer, outbound, system_clock, instance_id="ins_1")
    told = [standing_of(deliverer.body_of(Event(*row))) for row in rows]
    heard = sorted(
        (standing for standing in told if standing is not None), key=lambda standing: standing.as_of
    )
    assert {standing.user_id for standing in heard} == {user_id}
    assert sorted(standing.is_barred for standing in heard) == [False, False, True, True, True]
    assert heard[-1].is_barred
    await outbound.close()
    await identity.stop()
    await database.close()
