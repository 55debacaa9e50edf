"""What an account and an address may use of an edge, and what they are told when they want more."""

import asyncio
import secrets
import time

import msgspec
import pytest

from doorward.http1 import Answer, Peer, RequestHead
from doorward.tunnel import Allowance, Allowances
from doorward.tunnel.allowances import UNLIMITED, AccountUse, FailedProofs, TokenBucket
from doorward.tunnel.upgrade import TUNNEL_PATH
from doorward.tunnel.window_budget import WindowBudget, quarter_of_memory
from tests.http1.wire import client, origin
from tests.tunnel.carriers import Registry, never, to_origin, until

pytestmark = pytest.mark.anyio

UPGRADE = "Connection: Upgrade\r\nUpgrade: connect-mux/1\r\n"


def only(**limits: object) -> Allowances:
    """No limits but these, for every account."""
    return msgspec.structs.replace(
        UNLIMITED,
        default=msgspec.structs.replace(UNLIMITED.default, **limits),  # type: ignore[arg-type]
    )


def ok(head: RequestHead, peer: Peer) -> Answer:
    return Answer(200, [], b"ok")


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(10, 3, 0.0)
    assert [bucket.try_take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.1]
    assert bucket.try_take(0.1) == 0.0
    assert bucket.try_take(100.0) == 0.0
    # Nothing is saved up beyond the burst.
    assert [bucket.try_take(100.0) for _ in range(3)] == [0.0, 0.0, 0.1]


def test_what_has_happened_already_is_paid_for_by_waiting() -> None:
    bucket = TokenBucket(1000, 250, 0.0)
    assert bucket.take(250, 0.0) == 0.0
    assert bucket.take(500, 0.0) == 0.5
    assert bucket.take(1, 0.5) == pytest.approx(0.001)


def test_an_account_has_its_own_row_or_the_default_one() -> None:
    special = Allowance(machines=50)
    allowances = Allowances(default=Allowance(machines=2), accounts={"user_1": special})
    assert allowances.of("user_1") is special
    assert allowances.of("user_2").machines == 2


def test_two_tunnels_of_an_account_share_its_bandwidth_but_not_their_own() -> None:
    use = AccountUse(Allowance(bytes_per_second_of_tunnel=1_000_000, bytes_per_second=1_000_000), 0.0)
    first, second = use.meter(0.0), use.meter(0.0)
    assert first is not None
    assert second is not None
    assert first.moved(250_000, 0.0) == 0.0
    # The second tunnel's own bucket is full; the account's is empty.
    assert second.moved(100_000, 0.0) == pytest.approx(0.1)
    assert AccountUse(UNLIMITED.default, 0.0).meter(0.0) is None


def test_failed_proofs_are_forgotten_after_a_minute_and_kept_for_so_many_addresses_only() -> None:
    failed = FailedProofs(2)
    failed.count("192.0.2.1", 0.0)
    assert failed.wait("192.0.2.1", 1.0) == 0.0
    failed.count("192.0.2.1", 10.0)
    assert failed.wait("192.0.2.1", 20.0) == 40.0
    assert failed.wait("192.0.2.2", 20.0) == 0.0
    assert failed.wait("192.0.2.1", 60.0) == 0.0
    failed.count("2001:db8::1", 60.0)
    failed.count("2001:db8::2", 60.0)
    assert failed.wait("2001:db8::3", 60.0) == 60.0
    assert failed.wait("2001:db8:0:1::3", 60.0) == 0.0
    for number in range(20_000):
        failed.count(str(number), 61.0)
    assert len(failed._failed) == 10_000


def test_the_window_budget_is_a_part_of_this_machine() -> None:
    assert 16 * 1024 * 1024 < quarter_of_memory() < 2**46


async def told(port: int, **headers: str) -> tuple[int, str, str]:
    """Status, error code and Retry-After of a request."""
    async with client(port) as visitor:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        await visitor.get(headers=f"Accept: application/json\r\n{lines}")
        status, answered = await visitor.head()
        body = await visitor.body(int(answered["content-length"]))
        code = msgspec.json.decode(body)["error"] if status >= 400 else ""
        return status, code, answered.get("retry-after", "")


@pytest.mark.parametrize(
    ("same", "other"),
    [
        (["192.0.2.1", "192.0.2.1", "192.0.2.1"], "192.0.2.2"),
        (["2001:db8::1", "2001:db8::2", "2001:db8::3"], "2001:db8:0:1::1"),
    ],
    ids=["one address", "one IPv6 network"],
)
async def test_one_address_may_not_fill_a_tunnel_and_others_still_get_through(
    same: list[str], other: str
) -> None:
    waiting = asyncio.Event()

    async def router(head: RequestHead, peer: Peer) -> Answer:
        if head.path == b"/slow":
            await waiting.wait()
        return Answer(200, [], b"ok")

    async with Registry() as registry:
        edge = await registry.start_edge(
            allowances=only(streams_per_visitor=2), trusted_proxies=["127.0.0.1"]
        )
        async with (
            registry.connector(router=router),
            client(registry.port) as one,
            client(registry.port) as two,
        ):
            for visitor, address in zip((one, two), same[:2], strict=True):
                await visitor.get("/slow", headers=f"X-Forwarded-For: {address}\r\n")
            await until(lambda: edge.stats().streams == 2)
            forwarded = {"X-Forwarded-For": same[-1]}
            assert await told(registry.port, **forwarded) == (429, "visitor_busy", "1")
            assert (await told(registry.port, **{"X-Forwarded-For": other}))[0] == 200
            waiting.set()
            assert (await one.head())[0] == (await two.head())[0] == 200
            await until(lambda: edge.stats().streams == 0)
            assert (await told(registry.port, **forwarded))[0] == 200


async def test_a_tunnel_has_so_many_streams() -> None:
    waiting = asyncio.Event()

    async def router(head: RequestHead, peer: Peer) -> Answer:
        await waiting.wait()
        return Answer(200)

    async with Registry() as registry:
        edge = await registry.start_edge(allowances=only(streams_per_tunnel=1))
        async with registry.connector(router=router), client(registry.port) as visitor:
            await visitor.get()
            await until(lambda: edge.stats().streams == 1)
            assert await told(registry.port) == (503, "tunnel_busy", "1")
            waiting.set()
            assert (await visitor.head())[0] == 200


async def test_requests_beyond_the_accounts_rate_are_told_when_to_come_back() -> None:
    async with Registry() as registry:
        await registry.start_edge(allowances=only(requests_per_second=0.001, requests_burst=2))
        async with registry.connector(router=ok):
            assert [(await told(registry.port))[0] for _ in range(2)] == [200, 200]
            status, code, wait = await told(registry.port)
            assert (status, code) == (429, "too_many_requests")
            assert 900 <= int(wait) <= 1000


async def test_an_account_has_so_many_machines_and_the_next_is_told() -> None:
    async with Registry() as registry:
        await registry.start_edge(allowances=only(machines=1))
        second = registry.token(environment_id="env-2")
        async with (
            # It waits long before it takes its name back from its own next connection.
            registry.connector(router=ok, uniform=lambda low, high: high),
            registry.connector(router=never, wait=False, token=second) as refused,
        ):
            await until(lambda: refused.state.reason == "too_many_machines")
            assert "may have 1 machines" in refused.state.message
            assert refused.state.word == "connecting"
            # The first may still reconnect: it takes no second place.
            async with registry.connector(router=ok):
                assert (await told(registry.port))[0] == 200
        async with registry.connector(router=ok, token=second):
            pass


@pytest.mark.parametrize("direction", ["down", "up"])
async def test_bandwidth_is_kept_and_a_neighbour_of_another_account_is_not_held_up(direction: str) -> None:
    rate, size = 2_000_000, 2_000_000
    body = secrets.token_bytes(size)

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"POST" in head:
                assert await reader.readexactly(size) == body
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body)

    async with origin(service) as server, Registry() as registry:
        await registry.start_edge(allowances=only(bytes_per_second=rate))
        async with registry.connector(router=to_origin(server.port)), client(registry.port) as visitor:
            began = time.monotonic()
            if direction == "down":
                await visitor.get()
                await visitor.head()
                assert await visitor.body(size) == body
            else:
                await visitor.get(method="POST", headers=f"Content-Length: {size}\r\n")
                await visitor.send(body)
                assert (await visitor.head())[0] == 200
            # A second's worth, of which a quarter was saved up and what lies in socket buffers is not waited for.
            assert time.monotonic() - began > 0.4


async def test_machines_beyond_the_handshake_rate_are_told_to_wait_before_any_work() -> None:
    allowances = msgspec.structs.replace(UNLIMITED, handshakes_per_second=0.01)
    async with Registry() as registry:
        await registry.start_edge(allowances=allowances)
        async with registry.connector(router=ok):
            async with client(registry.port) as machine:
                await machine.get(TUNNEL_PATH, headers=UPGRADE)
                status, headers = await machine.head()
            assert status == 503
            assert 1 <= int(headers["retry-after"]) <= 10
            assert len(registry.hellos) == 1
            async with registry.connector(router=never, wait=False) as late:
                await until(lambda: late.state.reason == "no_tunnel_here")
            # The one that is in stays in.
            assert (await told(registry.port))[0] == 200


async def test_an_address_that_fails_too_often_is_kept_out_for_a_minute() -> None:
    allowances = msgspec.structs.replace(UNLIMITED, failed_proofs_per_minute=3)
    async with Registry() as registry:
        edge = await registry.start_edge(allowances=allowances)
        for _ in range(3):
            stranger = registry.token(seed=secrets.token_bytes(32))
            async with registry.connector(
                router=never, wait=False, token=stranger, uniform=lambda low, high: high
            ) as connector:
                await until(lambda: connector.state.reason == "invalid_signature")
        async with client(registry.port) as machine:
            await machine.get(TUNNEL_PATH, headers=UPGRADE)
            status, headers = await machine.head()
            assert status == 429
            assert 1 <= int(headers["retry-after"]) <= 60
        assert not edge.links


async def test_a_machine_that_proves_itself_is_not_counted_against_its_address() -> None:
    allowances = msgspec.structs.replace(UNLIMITED, failed_proofs_per_minute=1)
    async with Registry() as registry:
        await registry.start_edge(allowances=allowances)
        for _ in range(3):
            async with registry.connector(router=ok):
                assert (await told(registry.port))[0] == 200


async def test_all_tunnels_of_an_edge_share_one_window_budget() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge(budget=WindowBudget(1024 * 1024))
        async with registry.connector(router=ok):
            assert all(link.endpoint._budget is edge.budget for link in edge.links)
