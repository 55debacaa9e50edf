"""Connected is a machine through whose tunnel something came; until then the state names the hop where it ends."""

import asyncio

import pytest

from doorward.http1 import Answer, Forward, Peer, RequestHead, TcpUpstream
from doorward.tunnel import Connector, ConnectorState, Probing, frames
from doorward.tunnel.frames import pack
from doorward.tunnel.probing import health_of, wait_before
from tests.http1.wire import answers, client, origin
from tests.ports import free_ports
from tests.tunnel.carriers import Registry, until
from tests.tunnel.raw_machine import raw_machine

pytestmark = pytest.mark.anyio

TARGET = b"/.well-known/probe"
PROBING = Probing(target=TARGET)


class Gate:
    """A machine's router that counts what it is asked."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.heads: list[tuple[RequestHead, Peer]] = []

    def __call__(self, head: RequestHead, peer: Peer) -> Answer:
        self.heads.append((head, peer))
        return Answer(self.status, [], b"{}")


class Told:
    """Every state of a connector, from the first."""

    def __init__(self, connector: Connector) -> None:
        self.states: list[ConnectorState] = []
        connector.on_state(self.states.append)

    @property
    def words(self) -> list[tuple[str, str]]:
        return [(state.word, state.reason) for state in self.states]


async def test_a_machine_is_connected_once_a_request_of_the_edge_came_through() -> None:
    gate = Gate()
    async with Registry() as registry:
        edge = await registry.start_edge(probing=PROBING)
        async with registry.connector(router=gate, wait=False) as connector:
            told = Told(connector)
            await until(lambda: connector.state.word == "connected", 20)
            assert told.words == [("connecting", "unproved"), ("connected", "")]
            assert {state.hostnames for state in told.states} == {("app.localhost",)}
            # The tunnel carries visitors all the same; and one that works is not asked about again.
            async with client(registry.port) as visitor:
                await visitor.get("/page")
                assert (await visitor.head())[0] == 200
        assert [head.target for head, _ in gate.heads] == [TARGET, b"/page"]
        head, peer = gate.heads[0]
        assert (head.method, head.get(b"host"), peer) == (
            b"GET",
            f"app.localhost:{registry.port}".encode(),
            Peer("127.0.0.1"),
        )
        assert edge.stats().requests == 2


async def test_each_new_tunnel_is_proved_anew() -> None:
    gate = Gate()
    async with Registry() as registry:
        edge = await registry.start_edge(probing=PROBING)
        async with registry.connector(router=gate) as connector:
            told = Told(connector)
            for link in list(edge.links):
                link.abort("a lost connection")
            await until(lambda: ("connected", "") in told.words, 20)
            assert told.words == [
                ("connecting", "connection_lost"),
                ("connecting", "unproved"),
                ("connected", ""),
            ]
        assert len(gate.heads) == 2


async def test_a_machine_that_moves_to_another_connection_stays_connected() -> None:
    gate = Gate()
    async with Registry() as registry:
        edge = await registry.start_edge(probing=PROBING)
        async with registry.connector(router=gate) as connector:
            told = Told(connector)
            [link] = edge.links
            link.turn_away("leaving", "", spread=0, drain=30, alternates=[])
            await until(lambda: len(gate.heads) == 2 and told.states != [], 20)
            assert {state.word for state in told.states} == {"connected"}


async def test_a_local_server_that_does_not_answer_is_named_until_it_does() -> None:
    (nobody,) = free_ports(1)
    found = TcpUpstream("127.0.0.1", nobody)
    refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    async with origin(answers(refusal)) as server, Registry() as registry:
        await registry.start_edge(probing=PROBING)
        async with registry.connector(
            router=lambda head, peer: Forward(found, head), wait=False
        ) as connector:
            told = Told(connector)
            await until(lambda: connector.state.reason == "service_failing", 20)
            assert connector.state.word == "connecting"
            assert "local server does not answer (502)" in connector.state.message
            found = TcpUpstream("127.0.0.1", server.port)
            # Whatever it says, it answered; nothing else has to happen for that to be seen.
            await until(lambda: connector.state.word == "connected", 60)
            assert set(told.words) == {
                ("connecting", "unproved"),
                ("connecting", "service_failing"),
                ("connected", ""),
            }


async def test_a_gate_that_fails_is_named() -> None:
    gate = Gate(503)
    async with Registry() as registry:
        await registry.start_edge(probing=PROBING)
        async with registry.connector(router=gate, wait=False) as connector:
            await until(lambda: connector.state.reason == "gate_failing", 20)
            assert "answers 503" in connector.state.message
            gate.status = 200
            await until(lambda: connector.state.word == "connected", 60)


async def test_a_tunnel_in_which_nothing_is_answered_is_named() -> None:
    async def never(head: RequestHead, peer: Peer) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async with Registry() as registry:
        await registry.start_edge(probing=Probing(target=TARGET, seconds=0.05))
        async with registry.connector(router=never, wait=False) as connector:
            await until(lambda: connector.state.reason == "tunnel_silent", 20)
            assert connector.state.word == "connecting"


async def test_an_answer_without_end_is_one() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nthe first of it"
    async with origin(answers(endless)) as server, Registry() as registry:
        await registry.start_edge(probing=Probing(target=TARGET, seconds=0.5))
        upstream = TcpUpstream("127.0.0.1", server.port)
        async with registry.connector(
            router=lambda head, peer: Forward(upstream, head), wait=False
        ) as connector:
            await until(lambda: connector.state.word == "connected", 60)


async def test_a_machine_says_nothing_of_its_own_health() -> None:
    async with Registry() as registry:
        await registry.start_edge()
        async with raw_machine(registry) as machine:
            await machine.say(pack(frames.HEALTH, 0, 0, b"\x92\xa0\xa0"))
            assert await machine.farewell() == "protocol_error"


async def test_a_machine_that_left_is_not_asked_about_any_more() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge(probing=PROBING, hold_seconds=0.05)
        before = asyncio.all_tasks()
        async with raw_machine(registry) as machine:
            await machine.frame(frames.OPEN)
            machine.die()
            await until(lambda: not edge.links, 20)
        await until(lambda: not (asyncio.all_tasks() - before), 20)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (None, "tunnel_silent"),
        (200, ""),
        (302, ""),
        (401, ""),
        (404, ""),
        (421, ""),
        (429, "gate_failing"),
        (500, "gate_failing"),
        (502, "service_failing"),
        (503, "gate_failing"),
        (504, "service_failing"),
    ],
)
def test_what_an_answer_says_of_the_hops(status: int | None, reason: str) -> None:
    health = health_of(status)
    assert (health.reason, bool(health.message)) == (reason, bool(reason))


def test_a_machine_that_does_not_answer_is_asked_ever_more_rarely() -> None:
    assert [wait_before(attempt, lambda low, high: high) for attempt in range(7)] == [
        1.0,
        2.0,
        4.0,
        8.0,
        16.0,
        30.0,
        30.0,
    ]
    assert [wait_before(attempt, lambda low, high: low) for attempt in (0, 6)] == [0.5, 15.0]
