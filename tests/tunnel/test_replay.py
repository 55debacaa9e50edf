"""A tunnel that is lost under a request: what is asked again, once, of the machine that comes back, and what never is."""

from typing import Any

import msgspec
import pytest

from doorward.environment.access import MACHINE
from doorward.http1 import Answer, Peer, RequestHead
from doorward.tunnel import TunnelRefusal, frames
from doorward.tunnel.frames import pack
from tests.conftest import ClockForTests
from tests.environment_gate.machine import Machine, running_machine
from tests.http1.wire import Client, client
from tests.tunnel.carriers import Registry, until
from tests.tunnel.raw_machine import RawMachine, raw_machine
from tests.tunnel.t3_relay.machine import machine as t3_machine

pytestmark = pytest.mark.anyio

#: Longer than any test: a machine that comes back is waited for, however busy this one is.
PATIENT = 120.0
JSON = "Accept: application/json\r\n"
WEBSOCKET = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


class Asked:
    """A machine's router that counts what reaches it."""

    def __init__(self, status: int = 200) -> None:
        self.heads: list[RequestHead] = []
        self.status = status

    def __call__(self, head: RequestHead, peer: Peer) -> Answer:
        self.heads.append(head)
        return Answer(self.status, [], head.method + b" " + head.target)


async def answer_of(visitor: Client) -> tuple[int, bytes]:
    status, headers = await visitor.head()
    return status, await visitor.body(int(headers["content-length"]))


async def failure_of(visitor: Client) -> tuple[int, str]:
    status, body = await answer_of(visitor)
    return status, msgspec.json.decode(body)["error"]


async def taken(machine: RawMachine, method: bytes) -> None:
    """The machine has the request."""
    _, payload = await machine.frame(frames.OPEN)
    assert msgspec.msgpack.decode(payload)[0] == method


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT", "DELETE"])
async def test_what_can_be_asked_twice_is_answered_by_the_machine_that_came_back(method: str) -> None:
    async with Registry() as registry:
        await registry.start_edge(hold_seconds=PATIENT)
        asked = Asked()
        async with raw_machine(registry) as lost, client(registry.port) as visitor:
            await visitor.get("/a?b=c", method=method)
            await taken(lost, method.encode())
            lost.die()
            async with registry.connector(router=asked):
                assert await answer_of(visitor) == (200, f"{method} /a?b=c".encode())
                # The connection goes on as if nothing had been.
                await visitor.get("/next")
                assert await answer_of(visitor) == (200, b"GET /next")
        assert [head.target for head in asked.heads] == [b"/a?b=c", b"/next"]


@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [
        ("POST", "Content-Length: 0\r\n", b""),
        ("POST", "Content-Length: 2\r\n", b"hi"),
        ("PATCH", "", b""),
        ("PUT", "Content-Length: 2\r\n", b"hi"),
        ("PUT", "Content-Length: 2\r\n", b"h"),
        ("DELETE", "Transfer-Encoding: chunked\r\n", b"2\r\nhi\r\n0\r\n\r\n"),
        ("GET", WEBSOCKET, b""),
        ("GET", "DPoP: a.proof.once\r\n", b""),
        ("GET", "Doorward-DPoP: a.proof.once\r\n", b""),
    ],
)
async def test_what_might_be_done_twice_or_is_gone_is_a_502_and_asked_of_nobody_again(
    method: str, headers: str, body: bytes
) -> None:
    async with Registry() as registry:
        await registry.start_edge(hold_seconds=PATIENT)
        asked = Asked()
        async with raw_machine(registry) as lost, client(registry.port) as visitor:
            await visitor.send(
                f"{method} / HTTP/1.1\r\nHost: app.localhost\r\n{JSON}{headers}\r\n".encode() + body
            )
            await taken(lost, method.encode())
            lost.die()
            # Nobody came back: it is not waited for either.
            assert await failure_of(visitor) == (502, "tunnel_lost")
            async with registry.connector(router=asked), client(registry.port) as other:
                await other.get("/other")
                assert (await answer_of(other))[0] == 200
        assert [head.target for head in asked.heads] == [b"/other"]


@pytest.mark.parametrize(
    "said",
    [[103, b"Early Hints", [(b"link", b"</a.css>")], b"", 0], [200, b"OK", [], b"", -1]],
    ids=["an interim head", "a head"],
)
async def test_after_the_first_of_an_answer_nothing_is_asked_again(said: list[Any]) -> None:
    async with Registry() as registry:
        edge = await registry.start_edge(hold_seconds=PATIENT)
        async with raw_machine(registry) as lost, client(registry.port) as visitor:
            await visitor.get(headers=JSON)
            stream, _ = await lost.frame(frames.OPEN)
            await lost.say(pack(frames.REPLY, 0, stream, msgspec.msgpack.encode(said)))
            assert (await visitor.head())[0] == said[0]
            lost.die()
            if said[0] == 103:
                assert await failure_of(visitor) == (502, "tunnel_lost")
            else:
                assert await visitor.rest() == b""
        assert edge.stats().requests == 1


async def test_it_is_asked_twice_and_no_third_time() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge(hold_seconds=PATIENT)
        async with client(registry.port) as visitor:
            async with raw_machine(registry) as first:
                await visitor.get(headers=JSON)
                await taken(first, b"GET")
                first.die()
                async with raw_machine(registry) as second:
                    await taken(second, b"GET")
                    second.die()
                    assert await failure_of(visitor) == (502, "tunnel_lost")
            assert edge.stats().requests == 2
            # That was this request: the connection's next one has a second try of its own.
            asked = Asked()
            async with raw_machine(registry) as third:
                await visitor.get(headers=JSON)
                await taken(third, b"GET")
                third.die()
                async with registry.connector(router=asked):
                    assert (await answer_of(visitor))[0] == 200
        assert len(asked.heads) == 1


async def test_a_connector_that_takes_the_tunnel_over_takes_over_what_is_unanswered() -> None:
    async with Registry() as registry:
        await registry.start_edge(hold_seconds=PATIENT)
        asked = Asked()
        async with raw_machine(registry) as older, client(registry.port) as visitor:
            await visitor.get("/held")
            await taken(older, b"GET")
            async with registry.connector(router=asked):
                assert await older.farewell() == "superseded"
                assert await answer_of(visitor) == (200, b"GET /held")
        assert len(asked.heads) == 1


async def test_a_machine_that_does_not_come_back_is_offline() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge(hold_seconds=0.1)
        async with raw_machine(registry) as lost, client(registry.port) as visitor:
            await visitor.get(headers=JSON)
            await taken(lost, b"GET")
            lost.die()
            assert await failure_of(visitor) == (502, "machine_offline")
        assert edge.stats().requests_offline == 1


async def test_a_machine_that_was_unlinked_meanwhile_is_not_asked() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge(hold_seconds=PATIENT)
        asked = Asked()
        async with raw_machine(registry) as unlinked, client(registry.port) as visitor:
            await visitor.get(headers=JSON)
            await taken(unlinked, b"GET")
            registry.refusal, registry.hostnames = TunnelRefusal("unlinked"), ()
            edge.close_tunnel("env-1", below_generation=2)
            assert await failure_of(visitor) == (404, "unknown_host")
            async with registry.connector(router=asked, wait=False) as connector:
                await until(lambda: connector.state.word == "refused", 20)
        assert asked.heads == []


async def test_a_visitor_who_left_is_asked_for_no_more() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge(hold_seconds=PATIENT)
        asked = Asked()
        async with raw_machine(registry) as lost, client(registry.port) as visitor:
            await visitor.get()
            await taken(lost, b"GET")
            lost.die()
            await until(lambda: not edge.links, 20)
            visitor.abort()
            await until(lambda: edge.stats().connections == 0, 20)
            async with registry.connector(router=asked), client(registry.port) as other:
                await other.get("/other")
                assert (await answer_of(other))[0] == 200
        assert [head.target for head in asked.heads] == [b"/other"]


async def test_what_came_behind_the_request_is_asked_after_it() -> None:
    async with Registry() as registry:
        await registry.start_edge(hold_seconds=PATIENT)
        asked = Asked()
        async with raw_machine(registry) as lost, client(registry.port) as visitor:
            await visitor.get("/1")
            await taken(lost, b"GET")
            await visitor.send(
                b"".join(b"GET /%d HTTP/1.1\r\nHost: app.localhost\r\n\r\n" % n for n in (2, 3))
            )
            lost.die()
            async with registry.connector(router=asked):
                for number in (1, 2, 3):
                    assert await answer_of(visitor) == (200, b"GET /%d" % number)
        assert len(asked.heads) == 3


async def test_with_t3_codes_own_connector_it_is_the_same() -> None:
    async with Registry() as registry:
        await registry.start_edge(t3_relay=True, hold_seconds=PATIENT)
        async with client(registry.port) as visitor, client(registry.port) as writer:
            async with t3_machine(registry) as lost:
                await visitor.get("/held")
                await lost.told("http_request_start")
                await lost.told("http_request_end")
                await writer.get(method="POST", headers=f"Content-Length: 0\r\n{JSON}")
                await lost.told("http_request_start")
            assert await failure_of(writer) == (502, "tunnel_lost")
            async with t3_machine(registry) as back:
                stream, start = await back.told("http_request_start")
                assert start["url"].endswith("/held")
                await back.told("http_request_end")
                await back.answer(stream, b"ok", content_length="2")
                assert await answer_of(visitor) == (200, b"ok")


@pytest.fixture
async def gated(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory, clock: ClockForTests) -> Any:
    async with running_machine(tmp_path_factory.mktemp("gated") / "home", clock) as machine:
        yield machine


@pytest.mark.parametrize("is_revoked", [False, True])
async def test_the_gate_judges_the_second_try_as_any_request(gated: Machine, is_revoked: bool) -> None:
    """Who was let in when the request was sent first, and is out when it is sent again, stays out."""
    key, issued = await gated.session()
    child = await gated.child(issued.session.id)
    cookie = f"Cookie: __Host-doorward={child.cookie}\r\n{JSON}"
    async with Registry(("notes.env.localhost",)) as registry:
        await registry.start_edge(hold_seconds=PATIENT)
        async with raw_machine(registry) as lost, client(registry.port) as visitor:
            await visitor.get("/secret", host=gated.host, headers=cookie)
            await taken(lost, b"GET")
            if is_revoked:
                await gated.environment.approvals.revoke(MACHINE, key.public.thumbprint)
            lost.die()
            async with registry.connector(router=gated.gate.route):
                status, body = await answer_of(visitor)
        assert (status, b"/secret" in body) == ((401, False) if is_revoked else (200, True))
