"""Two edge nodes behind HAProxy under load: restarted one after the other, no visitor notices; killed, the other takes over."""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from doorward.http1 import Answer, Decision, Forward, Peer, RequestHead, TcpUpstream
from doorward.identity import SCHEMA as IDENTITY_SCHEMA
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.store import open_database
from doorward.tunnel import Connector
from tests import databases
from tests.deploy.fronts import ACCOUNTS, RELAY, ZONE, Behind, haproxy
from tests.e2e.certificates import Certificates, issue
from tests.ports import free_ports
from tests.server.machines import Machine
from tests.server.nodes import ServedNode
from tests.tunnel.carriers import until

pytestmark = [pytest.mark.anyio, pytest.mark.postgresql]

MACHINES = 4
EDGE = "nodes = 2\nnotice_seconds = 1\ndrain_seconds = 6"


class Load:
    """Visitors of every machine, one request after the other; what they got."""

    def __init__(self, hosts: list[str], port: int, trust: ssl.SSLContext) -> None:
        self.hosts = hosts
        self.port = port
        self.trust = trust
        self.answers: Counter[str] = Counter()
        self.in_a_row: Counter[str] = Counter()
        """How many answers of each host were good since the last that was not."""
        self.closes: list[int] = []
        self.is_over = False

    async def visit(self, host: str) -> None:
        async with httpx.AsyncClient(verify=self.trust, trust_env=False, timeout=60) as visitor:
            number = 0
            while not self.is_over:
                number += 1
                method, body = ("GET", None) if number % 3 else ("POST", b"x" * 20_000)
                try:
                    answer = await visitor.request(
                        method,
                        f"https://127.0.0.1:{self.port}/{number}",
                        content=body,
                        headers={"host": f"{host}:{self.port}"},
                        extensions={"sni_hostname": host},
                    )
                    outcome = str(answer.status_code)
                except httpx.HTTPError as error:
                    outcome = repr(error)
                self.answers[outcome] += 1
                self.in_a_row[host] = self.in_a_row[host] + 1 if outcome == "200" else 0
                await asyncio.sleep(0.01)

    async def chat(self, host: str) -> None:
        """A WebSocket that comes back whenever it is told to."""
        while not self.is_over:
            async with websockets.connect(
                f"wss://{host}:{self.port}/chat",
                host="127.0.0.1",
                ssl=self.trust,
                proxy=None,
                open_timeout=60,
            ) as chat:
                try:
                    while not self.is_over:
                        await chat.send("still there?")
                        await asyncio.wait_for(chat.recv(), 60)
                        await asyncio.sleep(0.05)
                except ConnectionClosed as closed:
                    self.closes.append(closed.rcvd.code if closed.rcvd is not None else 1006)


@contextlib.asynccontextmanager
async def machines(
    hosts: list[Machine], edge_url: str, certificates: Certificates
) -> AsyncIterator[list[Connector]]:
    async def echo(chat: websockets.ServerConnection) -> None:
        # The edge ends this side without a close frame.
        with contextlib.suppress(ConnectionClosed):
            async for message in chat:
                await chat.send(message)

    async with websockets.serve(echo, "127.0.0.1", 0) as service, asyncio.TaskGroup() as group:
        upstream = TcpUpstream("127.0.0.1", service.sockets[0].getsockname()[1])

        def router(head: RequestHead, peer: Peer) -> Decision:
            return Forward(upstream, head) if head.upgrade else Answer(200, [], b"here")

        connectors = [
            Connector(machine.token(edge_url), router=router, ca_file=certificates.authority, environ={})
            for machine in hosts
        ]
        running = [group.create_task(connector.run()) for connector in connectors]
        await until(lambda: all(connector.state.word == "connected" for connector in connectors))
        try:
            yield connectors
        finally:
            for connector in connectors:
                await connector.close()
            await asyncio.wait(running, timeout=60)


class Pair(NamedTuple):
    """Two nodes that serve, machines that are connected to them, and visitors to send."""

    nodes: list[ServedNode]
    connectors: list[Connector]
    load: Load


@contextlib.asynccontextmanager
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    certificates = issue(tmp_path, [ACCOUNTS, RELAY, f"*.{ZONE}"])
    (front_port,) = free_ports(1)
    async with contextlib.AsyncExitStack() as stack:
        schemas = [IDENTITY_SCHEMA, RELAY_SCHEMA]
        url = stack.enter_context(databases.new_postgresql(schemas))
        boxes = [Machine(f"box-{number}", zone=ZONE) for number in range(MACHINES)]
        database = await open_database(url, schemas=schemas)
        for box in boxes:
            await box.register(database)
        await database.close()
        nodes = [
            ServedNode(
                tmp_path / f"node{number}",
                roles=["edge"],
                data=tmp_path / "data",
                database_url=url,
                front_port=front_port,
                edge=EDGE,
            )
            for number in (1, 2)
        ]
        for node in nodes:
            await asyncio.to_thread(node.start)
            stack.callback(node.kill)
        behind = Behind(
            "127.0.0.1:9",
            tuple(f"127.0.0.1:{node.edge_port}" for node in nodes),
            tuple(node.admin_port for node in nodes),
        )
        await stack.enter_async_context(haproxy(behind, certificates, tmp_path, port=front_port))
        connectors = await stack.enter_async_context(machines(boxes, nodes[0].edge_url, certificates))
        hosts = [box.hosts[0] for box in boxes]
        trust = ssl.create_default_context(cafile=str(certificates.authority))
        yield Pair(nodes, connectors, Load(hosts, front_port, trust))


async def test_a_rolling_restart_of_two_edge_nodes_fails_no_request(tmp_path: Path) -> None:
    async with pair(tmp_path) as (nodes, _, load), asyncio.TaskGroup() as group:
        for host in load.hosts * 2:
            group.create_task(load.visit(host))
        for host in load.hosts:
            group.create_task(load.chat(host))
        await until(lambda: load.answers["200"] > 100)
        for node in nodes:
            await asyncio.to_thread(node.terminate)
            await asyncio.to_thread(node.start)
            served = load.answers["200"]
            await until(lambda served=served: load.answers["200"] > served + 100)
        load.is_over = True
    assert set(load.answers) == {"200"}, load.answers
    # Every WebSocket that had to move was told to come back, none was cut.
    assert load.closes
    assert set(load.closes) == {1012}


async def test_when_one_of_two_nodes_is_killed_the_other_serves_every_machine(tmp_path: Path) -> None:
    """What was on its way is lost; nobody has to do anything, and no machine loses its name."""
    async with pair(tmp_path) as (nodes, connectors, load):
        async with asyncio.TaskGroup() as group:
            for host in load.hosts * 2:
                group.create_task(load.visit(host))
            await until(lambda: all(load.in_a_row[host] > 10 for host in load.hosts))
            await asyncio.to_thread(nodes[0].kill)
            load.in_a_row.clear()
            await until(lambda: all(load.in_a_row[host] > 20 for host in load.hosts))
            load.answers.clear()
            await until(lambda: load.answers["200"] > 200)
            load.is_over = True
        assert set(load.answers) == {"200"}, load.answers
        assert [connector.state.word for connector in connectors] == ["connected"] * MACHINES
