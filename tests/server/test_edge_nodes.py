"""Two edge nodes that know of each other through the database alone."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import websockets
from websockets.exceptions import ConnectionClosedError

from doorward.http1 import Answer, Decision, Forward, Peer, RequestHead, TcpUpstream
from doorward.identity.accounts import store as accounts
from doorward.identity.accounts.service import BARRED_CHANNEL
from doorward.identity.app import SCHEMA as IDENTITY_SCHEMA
from doorward.outbound import Outbound
from doorward.relay import SCHEMA, Relay, RelaySettings, create_relay
from doorward.server.barring import barred_by_identity
from doorward.server.edge_node import running_edge
from doorward.store import Database, Sealer, Tx, open_database
from doorward.tunnel import Connector, Drain, Edge, TunnelHello
from tests import databases
from tests.http1.wire import client
from tests.server.balancer import Balancer, balancer
from tests.server.machines import Machine
from tests.tunnel.carriers import never, until

# What several nodes need: SQLite serves one process.
pytestmark = [pytest.mark.anyio, pytest.mark.postgresql]

ZONE = "machines.localhost"


class Nodes:
    """Two edges, `first` and `second`, behind a balancer; machines dial the balancer's port."""

    def __init__(
        self,
        front: Balancer,
        edges: list[Edge],
        ports: list[int],
        database: Database,
        relays: list[Relay],
    ) -> None:
        self.front = front
        self.first, self.second = edges
        self.ports = ports
        self.database = database
        self.relays = relays

    @property
    def url(self) -> str:
        return f"http://edge.{ZONE}:{self.front.port}"

    def lead(self, host: str, number: int) -> None:
        self.front.nodes[host] = self.ports[number]

    @contextlib.asynccontextmanager
    async def running(self, machine: Machine, answer: bytes = b"ok") -> AsyncIterator[Connector]:
        """A connector of the machine whose every answer is `answer`."""

        def router(head: RequestHead, peer: Peer) -> Answer:
            return Answer(200, [], answer)

        async with self.connector(machine, router) as connector:
            yield connector

    @contextlib.asynccontextmanager
    async def connector(self, machine: Machine, router: object) -> AsyncIterator[Connector]:
        connector = Connector(
            machine.token(self.url),
            router=router,  # type: ignore[arg-type]
            environ={},
            uniform=lambda low, high: min(high, 0.05) if high <= 30 else high,
        )
        task = asyncio.create_task(connector.run())
        try:
            await until(lambda: connector.state.word == "connected", 20)
            yield connector
        finally:
            await connector.close()
            await asyncio.wait_for(task, 30)

    async def ask(self, host: str, number: int) -> tuple[int, bytes]:
        """A visitor who reaches that node, whatever the balancer says."""
        async with client(self.ports[number]) as visitor:
            await visitor.get(host=host)
            status, headers = await visitor.head()
            return status, await visitor.body(int(headers["content-length"]))


@pytest.fixture
async def nodes(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Nodes]:
    async with contextlib.AsyncExitStack() as stack:
        url = stack.enter_context(databases.new_postgresql([SCHEMA, IDENTITY_SCHEMA]))
        front = await stack.enter_async_context(balancer())
        edges, ports, opened, relays = [], [], [], []
        for _ in range(2):
            database = await open_database(url, schemas=[SCHEMA, IDENTITY_SCHEMA])
            stack.push_async_callback(database.close)
            outbound = Outbound()
            stack.push_async_callback(outbound.close)
            settings = RelaySettings(
                origin="http://relay.localhost",
                zone=ZONE,
                edge_url=f"http://edge.{ZONE}:{front.port}",
                accounts_issuer="http://accounts.localhost",
                jwks_url="http://accounts.localhost/jwks",
            )
            relay = await create_relay(
                settings,
                database,
                sealer=Sealer.from_file(tmp_path / "key"),
                outbound=outbound,
                is_barred=barred_by_identity(database),
            )
            edge = await stack.enter_async_context(
                running_edge(relay, database, control={}, trusted_proxies=(), is_alone=False)
            )
            edge._hold_seconds = 30.0  # a machine on a busy computer comes when it can
            sock = socket.create_server(("127.0.0.1", 0))
            await edge.serve([sock])
            edges.append(edge)
            relays.append(relay)
            ports.append(sock.getsockname()[1])
            opened.append(database)
        front.default = ports[0]
        yield Nodes(front, edges, ports, opened[0], relays)


async def test_a_visitor_at_the_other_node_brings_the_machine_there_and_both_go_on(nodes: Nodes) -> None:
    machine = Machine("box", "app", zone=ZONE)
    api, app = machine.hosts
    await machine.register(nodes.database)
    nodes.lead(app, 1)
    async with nodes.running(machine):
        assert nodes.first.is_connected(machine.tunnel_id)
        assert not nodes.second.is_connected(machine.tunnel_id)
        # No node says of a machine that it is off because it is not here.
        assert [relay.is_connected(machine.tunnel_id) for relay in nodes.relays] == [True, None]
        assert await nodes.ask(app, 1) == (200, b"ok")
        assert await nodes.ask(api, 0) == (200, b"ok")
        assert nodes.first.stats().tunnels == nodes.second.stats().tunnels == 1
        # The ring changes: the API host's visitors come to the second node, which has the machine already.
        nodes.lead(api, 1)
        assert await nodes.ask(api, 1) == (200, b"ok")
        assert nodes.second.stats().tunnels_superseded == 0


async def test_a_machine_that_is_nowhere_is_offline_at_every_node(nodes: Nodes) -> None:
    machine = Machine("box", zone=ZONE)
    await machine.register(nodes.database)
    nodes.second._hold_seconds = 0.3
    assert (await nodes.ask(machine.hosts[0], 1))[0] == 502


async def test_the_newest_connector_wins_on_every_node_and_the_older_is_told(nodes: Nodes) -> None:
    machine = Machine("box", zone=ZONE)
    (host,) = machine.hosts
    await machine.register(nodes.database)
    async with nodes.running(machine, b"old") as old:
        nodes.lead(host, 1)
        assert await nodes.ask(host, 1) == (200, b"old")
        # The twin is admitted by the first node; both connections of the older end.
        nodes.lead(host, 0)
        async with nodes.running(machine, b"new"):
            await until(lambda: old.state.word == "superseded", 20)
            assert await nodes.ask(host, 0) == (200, b"new")
            await until(lambda: not nodes.second.is_connected(machine.tunnel_id), 20)
            nodes.lead(host, 1)
            assert await nodes.ask(host, 1) == (200, b"new")
            assert await nodes.ask(host, 0) == (200, b"new")
            assert old.state.word == "superseded"


async def test_a_node_that_ends_sends_its_machines_and_visitors_to_the_other(nodes: Nodes) -> None:
    machine = Machine("box", zone=ZONE)
    (host,) = machine.hosts
    await machine.register(nodes.database)
    waiting = asyncio.Event()

    async def echo(chat: websockets.ServerConnection) -> None:
        async for message in chat:
            await chat.send(message)

    async with websockets.serve(echo, "127.0.0.1", 0) as service:
        upstream = TcpUpstream("127.0.0.1", service.sockets[0].getsockname()[1])

        async def router(head: RequestHead, peer: Peer) -> Decision:
            if head.upgrade:
                return Forward(upstream, head)
            if head.path == b"/slow":
                await waiting.wait()
            return Answer(200, [], b"ok")

        async with (
            nodes.connector(machine, router),
            client(nodes.ports[0]) as early,
            client(nodes.ports[0]) as slow,
            websockets.connect(f"ws://{host}:{nodes.ports[0]}/", host="127.0.0.1", proxy=None) as chat,
        ):
            await chat.send("hello")
            assert await chat.recv() == "hello"
            await early.get(host=host)
            assert (await early.head())[0] == 200
            await early.body(2)
            await slow.get("/slow", host=host)
            await until(lambda: nodes.first.stats().streams == 2)

            nodes.front.default = nodes.ports[1]
            noticing = asyncio.create_task(nodes.first.drain(Drain(notice=600, spread=0.1)))
            await until(lambda: nodes.second.is_connected(machine.tunnel_id), 20)
            # A request on a connection that is open already is answered, and is its last.
            await early.get(host=host)
            status, headers = await early.head()
            assert (status, headers["connection"]) == (200, "close")
            assert await nodes.ask(host, 1) == (200, b"ok")
            # The time of the notice is over when all of this was seen, however long it took.
            noticing.cancel()
            await asyncio.gather(noticing, return_exceptions=True)
            draining = asyncio.create_task(
                nodes.first.drain(Drain(settle=0, grace=60, jitter=0.3, is_alone=True))
            )
            waiting.set()
            assert (await slow.head())[0] == 200
            with pytest.raises(ConnectionClosedError) as closed:
                await chat.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
            await asyncio.wait_for(draining, 30)
            with pytest.raises(ConnectionRefusedError):
                await nodes.ask(host, 0)
            assert all(link.has_moved for link in nodes.first.links)


async def test_a_node_that_ends_takes_no_more_machines(nodes: Nodes) -> None:
    nodes.first._is_draining = True
    async with client(nodes.ports[0]) as machine:
        await machine.get(
            "/.well-known/connect/tunnel", headers="Connection: Upgrade\r\nUpgrade: connect-mux/1\r\n"
        )
        status, headers = await machine.head()
        assert (status, headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    "url", ["http://elsewhere.localhost", "https://edge.machines.localhost", "http://127.0.0.1:1", "x"]
)
async def test_an_edge_names_siblings_of_its_own_only(url: str) -> None:
    connector = Connector(Machine("box", zone=ZONE).token(f"http://edge.{ZONE}:1"), router=never, environ={})
    assert connector._choose([url]) is connector._address
    assert connector._choose([url, f"http://other.{ZONE}:2"]).authority == f"other.{ZONE}:2"


async def test_machines_go_to_the_alternate_that_a_draining_edge_names(nodes: Nodes) -> None:
    machine = Machine("box", zone=ZONE)
    await machine.register(nodes.database)
    other = f"http://edge.{ZONE}:{nodes.ports[1]}"
    # Another edge has another origin, which the proof must name.
    nodes.second.origin = other
    async with nodes.running(machine):
        draining = asyncio.create_task(
            nodes.first.drain(Drain(settle=0, grace=60, jitter=0, spread=0.05, alternates=(other,)))
        )
        await until(lambda: nodes.second.is_connected(machine.tunnel_id), 20)
        await draining


async def test_news_of_a_later_admission_that_overtakes_an_earlier_one_is_not_lost(nodes: Nodes) -> None:
    """A node hears that the machine was admitted elsewhere while its own, older, admission is still under way."""
    machine = Machine("box", zone=ZONE)
    await machine.register(nodes.database)
    claim, overtaken = nodes.first.admissions.claim, asyncio.Event()

    async def slow_claim(hello: TunnelHello) -> int:
        epoch = await claim(hello)
        nodes.first.supersede(hello.environment_id, epoch=epoch + 1)
        overtaken.set()
        return epoch

    nodes.first.admissions.claim = slow_claim
    late = Connector(machine.token(nodes.url), router=lambda head, peer: Answer(204), environ={})
    task = asyncio.create_task(late.run())
    await until(lambda: late.state.word == "superseded", 20)
    assert overtaken.is_set()
    assert not nodes.first.is_connected(machine.tunnel_id)
    await late.close()
    await task


async def ban(database: Database, user_id: str, *, is_banned: bool) -> None:
    """What identity's transaction does, whichever node it runs on."""

    def write(tx: Tx) -> None:
        accounts.set_banned(tx, user_id, is_banned, 2)
        tx.notify(BARRED_CHANNEL, user_id)

    await database.write(write)


async def test_a_ban_ends_tunnels_and_visitors_on_every_node_and_nobody_elses(nodes: Nodes) -> None:
    barred, other = Machine("box", "app", zone=ZONE), Machine("peer", zone=ZONE, account="user_2")
    for machine in (barred, other):
        await machine.register(nodes.database)
    nodes.lead(barred.hosts[1], 1)
    async with nodes.running(barred) as connector, nodes.running(other):
        assert await nodes.ask(barred.hosts[1], 1) == (200, b"ok")
        assert nodes.first.is_connected(barred.tunnel_id)
        assert nodes.second.is_connected(barred.tunnel_id)
        await ban(nodes.database, barred.account, is_banned=True)
        await until(lambda: not nodes.first.is_connected(barred.tunnel_id), 30)
        await until(lambda: not nodes.second.is_connected(barred.tunnel_id), 30)
        await until(lambda: connector.state.reason == "account_barred", 30)
        assert nodes.first.is_connected(other.tunnel_id)
    nodes.first._hold_seconds = 0.3
    assert (await nodes.ask(barred.hosts[0], 0))[0] == 502


async def test_the_relay_refuses_a_banned_machine_a_tunnel_until_the_ban_ends(nodes: Nodes) -> None:
    machine = Machine("box", zone=ZONE)
    await machine.register(nodes.database)
    await ban(nodes.database, machine.account, is_banned=True)
    assert all([await relay.is_barred(machine.account) for relay in nodes.relays])
    await ban(nodes.database, machine.account, is_banned=False)
    async with nodes.running(machine):
        assert nodes.first.is_connected(machine.tunnel_id)
