"""A relay that asks a machine whose tunnel ends in the same process: no socket between, and nothing else is different."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from doorward.http1 import Answer, Decision, Forward, Peer, RequestHead, ResponseHead
from doorward.http1.exchange import Data, Headers, Inbound
from doorward.outbound import Outbound, Response, TimedOut, TooLarge, Unreachable
from doorward.server.own_edge import OwnEdge
from doorward.tunnel import Allowance, Allowances
from tests.tunnel.carriers import Registry, until

pytestmark = pytest.mark.anyio

#: Nobody listens there: what arrives came without the network.
CLOSED = "http://app.localhost:1"


class Mind:
    """The machine's: `heard` are the requests it got with their bodies, `answer` what it says; None is nothing at all."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer
        self.heard: list[tuple[RequestHead, bytes]] = []
        self.is_aborted = asyncio.Event()
        self.is_asked = asyncio.Event()

    def route(self, head: RequestHead, peer: Peer) -> Decision:
        return Forward(self, head, tag="all")

    def open(self, head: RequestHead, peer: Peer, inbound: Inbound) -> "_Exchange":
        return _Exchange(self, head, inbound)


class _Exchange:
    def __init__(self, mind: Mind, head: RequestHead, inbound: Inbound) -> None:
        self._mind, self._head, self._inbound, self._body = mind, head, inbound, b""
        if head.length == 0:
            asyncio.get_running_loop().call_soon(self.send_end, [])

    def send_data(self, data: Data) -> None:
        self._body += bytes(data)

    def send_end(self, trailers: Headers) -> None:
        self._mind.heard.append((self._head, self._body))
        self._mind.is_asked.set()
        answer = self._mind.answer
        if answer is not None:
            headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
            self._inbound.on_response(ResponseHead(answer.status, b"", headers, b"", len(answer.body)))
            for at in range(0, len(answer.body), 10_000):
                self._inbound.on_data(answer.body[at : at + 10_000])
            self._inbound.on_end([])

    def abort(self) -> None:
        self._mind.is_aborted.set()

    def pause_receiving(self) -> None: ...
    def resume_receiving(self) -> None: ...


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with Registry() as registry:
        yield registry


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


async def ask(registry: Registry, outbound: Outbound, url: str = CLOSED, **options: object) -> Response:
    assert registry.edge is not None
    asked: dict[str, object] = {"body": b'{"proof":"x"}', "headers": {"traceparent": "00-t-s-01"}, **options}
    return await outbound.request("POST", url + "/api/mint?a=1", nearby=OwnEdge(registry.edge).to, **asked)  # type: ignore[arg-type]


async def test_the_machine_hears_what_it_would_hear_from_the_network(
    registry: Registry, outbound: Outbound
) -> None:
    mind = Mind(Answer(201, [(b"x-said", b"yes")], b"credential"))
    edge = await registry.start_edge()
    async with registry.connector(router=mind.route):
        inside = await ask(registry, outbound)
        outside = await outbound.request(
            "POST",
            f"http://app.localhost:{registry.port}/api/mint?a=1",
            body=b'{"proof":"x"}',
            headers={"traceparent": "00-t-s-01"},
        )
        assert edge.stats().requests == 2
    assert (inside.status, inside.body, dict(inside.headers)) == (
        outside.status,
        outside.body,
        dict(outside.headers),
    )
    (first, body), (second, _) = mind.heard
    host = str(registry.port).encode()
    assert body == b'{"proof":"x"}'
    assert (first.method, first.target) == (second.method, second.target) == (b"POST", b"/api/mint?a=1")
    assert sorted(first.headers) == sorted(
        (name, value.replace(b":" + host, b":1")) for name, value in second.headers
    )


@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8",)])
async def test_the_machine_is_told_that_the_relay_came_by_https_as_its_address_says(
    registry: Registry, outbound: Outbound, trusted: tuple[str, ...]
) -> None:
    mind = Mind(Answer(200, [], b"ok"))
    await registry.start_edge(trusted_proxies=trusted)
    async with registry.connector(router=mind.route):
        await ask(registry, outbound, "https://app.localhost:1")
    head = mind.heard[0][0]
    assert [value for name, value in head.headers if name == b"x-forwarded-proto"] == [b"https"]
    assert head.get(b"x-forwarded-for") == b"127.0.0.1"


async def test_a_name_that_is_not_here_goes_over_the_network(registry: Registry, outbound: Outbound) -> None:
    mind = Mind(Answer(200, [], b"there"))
    async with Registry() as other:
        await registry.start_edge()
        await other.start_edge()
        async with other.connector(router=mind.route):
            assert (await ask(registry, outbound, f"http://app.localhost:{other.port}")).body == b"there"
        with pytest.raises(Unreachable):
            await ask(registry, outbound)


async def test_a_machine_that_says_nothing_is_given_up_at_the_deadline_and_told(
    registry: Registry, outbound: Outbound
) -> None:
    mind = Mind(None)
    edge = await registry.start_edge()
    async with registry.connector(router=mind.route):
        with pytest.raises(TimedOut):
            await ask(registry, outbound, timeout=1.0)
        await asyncio.wait_for(mind.is_aborted.wait(), 10)
        assert edge.stats().streams == 0
        mind.answer = Answer(200, [], b"late")
        assert (await ask(registry, outbound)).body == b"late"


async def test_an_answer_that_is_too_large_ends_alone(registry: Registry, outbound: Outbound) -> None:
    mind = Mind(Answer(200, [], b"x" * 600_000))
    await registry.start_edge()
    async with registry.connector(router=mind.route) as connector:
        with pytest.raises(TooLarge):
            await ask(registry, outbound, max_bytes=100_000)
        assert len((await ask(registry, outbound)).body) == 600_000
        assert connector.state.word == "connected"


async def test_a_machine_that_leaves_before_it_answered_is_a_502_as_for_a_visitor(
    registry: Registry, outbound: Outbound
) -> None:
    mind = Mind(None)
    edge = await registry.start_edge()
    async with registry.connector(router=mind.route):
        asking = asyncio.create_task(ask(registry, outbound, headers={"accept": "application/json"}))
        await asyncio.wait_for(mind.is_asked.wait(), 10)
        edge.close_tunnel("env-1", below_generation=2)
        answer = await asyncio.wait_for(asking, 10)
    assert answer.status == 502
    assert msgspec.json.decode(answer.body)["error"] == "tunnel_lost"


async def test_an_exchange_whose_tag_is_closed_ends_at_once(registry: Registry, outbound: Outbound) -> None:
    mind = Mind(None)
    edge = await registry.start_edge()
    async with registry.connector(router=mind.route):
        asking = asyncio.create_task(ask(registry, outbound))
        await asyncio.wait_for(mind.is_asked.wait(), 10)
        assert edge.close_tag("env-1") == 1
        with pytest.raises(Unreachable):
            await asyncio.wait_for(asking, 10)
        await asyncio.wait_for(mind.is_aborted.wait(), 10)
        assert edge.close_tag("env-1") == 0


async def test_the_limits_of_the_account_hold(registry: Registry, outbound: Outbound) -> None:
    mind = Mind(None)
    edge = await registry.start_edge(allowances=Allowances(default=Allowance(streams_per_visitor=1)))
    async with registry.connector(router=mind.route):
        asking = asyncio.create_task(ask(registry, outbound))
        await asyncio.wait_for(mind.is_asked.wait(), 10)
        await until(lambda: edge.stats().streams == 1)
        assert (await ask(registry, outbound)).status == 429
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_what_cannot_be_a_header_is_not_sent(registry: Registry, outbound: Outbound) -> None:
    mind = Mind(Answer(200, [], b"ok"))
    await registry.start_edge()
    async with registry.connector(router=mind.route):
        with pytest.raises(ValueError, match="cannot be written"):
            await ask(registry, outbound, headers={"x-one": "1\r\nx-two: 2"})
    assert mind.heard == []
