"""Edge and connector together: who may serve a name, what a visitor sees, how both survive each other's end."""

import asyncio
import contextlib
import random
import secrets
import socket
import ssl
import time

import msgspec
import pytest

from doorward.http1 import Answer, Forward, Limits, Peer, RequestHead, TcpUpstream
from doorward.tunnel import ConnectorToken, InvalidConnectorToken, InvalidEdgeUrl, TunnelRefusal, proof
from doorward.tunnel.backoff import Backoff
from doorward.tunnel.dialing import DialError, dial, edge_address, proxy_for
from tests.http1.wire import PATIENCE, Client, answers, client, origin
from tests.ports import free_ports
from tests.tunnel.carriers import FAST_HEARTBEAT, Registry, never, to_origin, until
from tests.tunnel.certificate import write_certificate

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SOON = 10.0
"""Long before a heartbeat or the kernel would tell, and far more than a busy machine needs."""


def echo_head(head: RequestHead, peer: Peer) -> Answer:
    """What reached the machine, as JSON."""
    headers = [(name.decode(), value.decode()) for name, value in head.headers]
    return Answer(200, [], msgspec.json.encode([head.target.decode(), headers, peer.ip, peer.is_tls]))


async def status_of(port: int, *, host: str = "app.localhost", headers: str = "") -> int:
    async with client(port) as visitor:
        await visitor.get(host=host, headers=headers)
        return (await visitor.head())[0]


async def heard_by_machine(visitor: Client) -> tuple[list[list[str]], str]:
    _, headers = await visitor.head()
    _, heard, ip, _ = msgspec.json.decode(await visitor.body(int(headers["content-length"])))
    return heard, ip


async def test_what_a_visitor_claims_about_its_way_is_replaced_by_what_the_edge_knows() -> None:
    claims = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Real-IP: 6.6.6.6\r\nX-Connect-User: root\r\n"
    async with Registry() as registry:
        await registry.start_edge()
        async with registry.connector(router=echo_head), client(registry.port) as visitor:
            await visitor.get(headers=claims)
            heard, ip = await heard_by_machine(visitor)
    assert ip == "127.0.0.1"
    assert heard == [
        ["host", "app.localhost"],
        ["x-forwarded-for", "127.0.0.1"],
        ["x-forwarded-proto", "http"],
        ["x-forwarded-host", "app.localhost"],
    ]


async def test_a_trusted_front_is_believed() -> None:
    async with Registry() as registry:
        await registry.start_edge(trusted_proxies=("127.0.0.0/8",))
        async with registry.connector(router=echo_head), client(registry.port) as visitor:
            await visitor.get(headers="X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n")
            heard, ip = await heard_by_machine(visitor)
    assert ip == "203.0.113.9"
    assert ["x-forwarded-proto", "https"] in heard


async def test_control_hosts_go_to_their_upstream_with_or_without_port() -> None:
    async with origin(answers(OK, OK)) as control, Registry() as registry:
        upstream = TcpUpstream("127.0.0.1", control.port)
        await registry.start_edge(control={"accounts.localhost": upstream})
        assert await status_of(registry.port, host=f"accounts.localhost:{registry.port}") == 200
        assert await status_of(registry.port, host="ACCOUNTS.localhost") == 200


async def test_an_unknown_host_is_a_404_in_the_form_the_visitor_prefers() -> None:
    async with Registry() as registry:
        await registry.start_edge()
        async with client(registry.port) as visitor:
            for accept, kind in (
                ("text/html,*/*", "text/html; charset=utf-8"),
                ("application/json", "application/json"),
            ):
                await visitor.get(host="nobody.localhost", headers=f"Accept: {accept}\r\n")
                status, headers = await visitor.head()
                assert (status, headers["content-type"]) == (404, kind)
                await visitor.body(int(headers["content-length"]))


async def test_an_offline_machine_is_a_502_that_says_so() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge(hold_seconds=0.1)
        async with client(registry.port) as visitor:
            await visitor.get(headers="Accept: text/html\r\n")
            status, headers = await visitor.head()
            assert status == 502
            assert b"The machine is offline" in await visitor.body(int(headers["content-length"]))
        assert edge.stats().requests_offline == 1


async def test_a_request_is_held_until_the_machine_is_back() -> None:
    async with origin(answers(OK)) as server, Registry() as registry:
        await registry.start_edge(hold_seconds=PATIENCE)
        early = asyncio.create_task(status_of(registry.port))
        await registry.is_asked_for.wait()
        async with registry.connector(router=to_origin(server.port)):
            assert await early == 200


async def test_the_newest_connection_of_a_machine_owns_its_names_and_the_older_is_told() -> None:
    async with origin(answers(OK)) as server, Registry() as registry:
        edge = await registry.start_edge()
        async with (
            registry.connector(router=never, uniform=lambda low, high: high) as older,
            registry.connector(router=to_origin(server.port)),
        ):
            await until(lambda: older.state.word == "superseded")
            assert await status_of(registry.port) == 200
            assert edge.stats().tunnels == 1
            assert edge.stats().tunnels_superseded == 1


async def test_a_connection_that_outlives_its_lines_last_one_hides_nothing() -> None:
    """One that was turned away and still carries a request hears last that another connector took the name."""
    release = asyncio.Event()

    async def slow(head: RequestHead, peer: Peer) -> Answer:
        await release.wait()
        return Answer(200, [], b"")

    async with Registry() as registry:
        await registry.start_edge()
        async with (
            registry.connector(
                router=slow, uniform=lambda low, high: min(high, 0.05) if high <= 30 else high
            ) as older,
            client(registry.port) as visitor,
        ):
            await visitor.get(host="app.localhost")
            await until(lambda: older.open_exchanges == 1)
            (first,) = older._links
            older._wanted("app.localhost")
            await until(lambda: sum(link.configured_at is not None for link in older._links) == 2)
            assert first._transport is not None
            first._transport.pause_reading()
            async with registry.connector(router=slow):
                await until(lambda: older._links == {first})
                first._transport.resume_reading()
                await until(lambda: older.state.word == "superseded")
                assert older._links == set()
            release.set()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": secrets.token_bytes(32)}, "invalid_signature"),
        ({"generation": 9}, "generation_superseded"),
    ],
)
async def test_a_connector_with_the_wrong_key_or_generation_is_refused(
    changes: dict[str, object], reason: str
) -> None:
    async with Registry() as registry:
        edge = await registry.start_edge()
        async with registry.connector(router=never, wait=False, token=registry.token(**changes)) as connector:
            await until(lambda: connector.state.word == "refused")
            assert connector.state.reason == reason
            assert not edge.is_connected("env-1")


async def test_a_refusal_reaches_the_connector_with_its_reason() -> None:
    async with Registry() as registry:
        await registry.start_edge()
        registry.refusal = TunnelRefusal("unlinked", "This machine was unlinked.")
        async with registry.connector(router=never, wait=False) as connector:
            await until(lambda: connector.state.word == "refused")
            assert (connector.state.reason, connector.state.message) == (
                "unlinked",
                "This machine was unlinked.",
            )


async def test_unlinking_closes_the_tunnel_at_once() -> None:
    async with origin(answers(OK)) as server, Registry() as registry:
        edge = await registry.start_edge(hold_seconds=0.05)
        async with registry.connector(router=to_origin(server.port)) as connector:
            edge.close_tunnel("env-1", below_generation=1)
            assert await status_of(registry.port) == 200
            registry.refusal = TunnelRefusal("unlinked", "This machine was unlinked.")
            edge.close_tunnel("env-1", below_generation=2)
            await until(lambda: connector.state.word == "refused", seconds=SOON)
            assert connector.state.reason == "unlinked"
            assert await status_of(registry.port) == 502


async def test_names_follow_their_environment_at_once() -> None:
    async with origin(answers(OK, OK)) as server, Registry() as registry:
        edge = await registry.start_edge()
        async with registry.connector(router=to_origin(server.port)):
            edge.set_hostnames("env-1", ["New.localhost"])
            registry.hostnames = ("new.localhost",)
            assert await status_of(registry.port, host="new.localhost") == 200
            assert await status_of(registry.port, host="app.localhost") == 404


async def test_the_connector_comes_back_after_the_edge_restarted() -> None:
    async with origin(answers(OK)) as server, Registry() as registry:
        (registry.port,) = free_ports(1)
        await registry.start_edge()
        async with registry.connector(router=to_origin(server.port)) as connector:
            await registry.stop_edge()
            await until(lambda: connector.state.reason == "unreachable")
            await registry.start_edge(hold_seconds=PATIENCE)
            assert await status_of(registry.port) == 200
            assert connector.state.word == "connected"


async def test_a_tunnel_lost_in_mid_answer_is_a_clear_failure() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await reader.read()

    async with origin(half) as server, Registry() as registry:
        edge = await registry.start_edge()
        async with registry.connector(router=to_origin(server.port)), client(registry.port) as visitor:
            await visitor.get()
            await visitor.head()
            assert await visitor.body(4) == b"half"
            for link in list(edge.links):
                link.abort("test")
            assert await visitor.rest() == b""


async def test_a_slow_reader_does_not_hold_up_its_neighbours() -> None:
    async def firehose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 16):
            writer.write(bytes(1 << 16))
            await writer.drain()

    size = 32 * 1024 * 1024
    async with origin(firehose) as server, Registry() as registry:
        await registry.start_edge()
        async with registry.connector(router=to_origin(server.port)), client(registry.port) as stuck:
            await stuck.get()
            await stuck.head()
            await asyncio.sleep(0.3)
            async with client(registry.port) as lively:
                await lively.get()
                await lively.head()
                await lively.body(size)


async def test_an_edge_that_falls_silent_is_noticed_and_left() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge()
        async with registry.connector(router=never, heartbeat=FAST_HEARTBEAT) as connector:
            # The path dies without a word: the edge's end neither reads nor writes any more.
            (link,) = edge.links
            link._transport.pause_reading()  # type: ignore[union-attr]
            link.pause_writing()
            await until(lambda: connector.state.word != "connected", seconds=SOON)
            # And then it is back, without waiting for the edge to notice the dead one.
            await until(lambda: connector.state.word == "connected", seconds=SOON)


async def test_a_machine_that_falls_silent_is_noticed_and_its_visitors_told() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge(heartbeat=FAST_HEARTBEAT, hold_seconds=0.05)
        async with client(registry.port) as machine:
            await machine.get(
                "/.well-known/connect/tunnel", headers="Connection: Upgrade\r\nUpgrade: connect-mux/1\r\n"
            )
            assert (await machine.head())[0] == 101
            size = int.from_bytes((await machine.body(10))[6:], "big")
            nonce = msgspec.msgpack.decode(await machine.body(size))
            token = proof.sign(
                registry.token(), audience=registry.origin, nonce=nonce[0], now=int(time.time())
            )
            await machine.send(bytes([12, 1, 0, 0, 0, 0]) + len(token).to_bytes(4, "big") + token.encode())
            await until(lambda: edge.stats().tunnels_opened == 1)
            assert await asyncio.wait_for(status_of(registry.port), SOON) == 502
            assert not edge.is_connected("env-1")


async def test_the_tunnel_endpoint_wants_its_upgrade() -> None:
    async with Registry() as registry:
        await registry.start_edge()
        async with client(registry.port) as visitor:
            await visitor.get("/.well-known/connect/tunnel")
            status, headers = await visitor.head()
            assert (status, headers["upgrade"]) == (426, "connect-mux/1")


async def test_a_machine_that_answers_nothing_after_101_is_not_kept() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge()
        async with client(registry.port) as machine:
            await machine.get(
                "/.well-known/connect/tunnel", headers="Connection: Upgrade\r\nUpgrade: connect-mux/1\r\n"
            )
            await machine.head()
            await machine.send(bytes([1, 2, 0, 0, 0, 2, 0, 0, 0, 0]))
            await machine.rest()
        await until(lambda: not edge.links)


async def test_a_connect_proxy_is_used_and_its_refusal_named() -> None:
    targets: list[str] = []

    async def connect_proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        targets.append(head.split()[1])
        if "Proxy-Authorization: Basic dXNlcjpwYXNz" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", registry.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    async with origin(connect_proxy) as proxy, origin(answers(OK)) as server, Registry() as registry:
        await registry.start_edge()
        # A localhost edge is never reached through a proxy, so the edge is given a name that only the proxy knows.
        for credentials, word in (("user:pass@", "connected"), ("", "connecting")):
            environ = {"HTTP_PROXY": f"http://{credentials}127.0.0.1:{proxy.port}"}
            async with registry.connector(
                router=to_origin(server.port), wait=False, environ=environ
            ) as connector:
                connector._address = msgspec.structs.replace(connector._address, host="edge.example")
                if word == "connected":
                    await until(lambda: connector.state.word == "connected")
                    assert await status_of(registry.port) == 200
                else:
                    await until(lambda: connector.state.reason == "proxy_refused")
        assert set(targets) == {f"edge.example:{registry.port}"}


def test_which_proxy_an_edge_is_reached_through() -> None:
    edge = edge_address("https://edge.example")
    assert proxy_for(edge, {"https_proxy": "http://p:1"}) == "http://p:1"
    assert proxy_for(edge, {"HTTP_PROXY": "http://p:1"}) is None
    for exception in ("example", ".example", "*", "other,edge.example:443"):
        assert proxy_for(edge, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": exception}) is None
    for no_exception in ("ample", "edge.example:444", "edge"):
        assert proxy_for(edge, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": no_exception}) == "http://p:1"
    assert proxy_for(edge_address("https://edge.localhost:8445"), {"HTTPS_PROXY": "http://p:1"}) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://edge.example",
        "ftp://edge.example",
        "https://",
        "https://a@edge.example",
        "https://edge.example:99999",
        "https://[edge.example",
    ],
)
def test_an_edge_is_reached_over_https_only(url: str) -> None:
    with pytest.raises(InvalidEdgeUrl):
        edge_address(url)


async def test_an_edge_that_names_what_is_no_other_edge_keeps_its_machine() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge()
        async with registry.connector(router=echo_head):
            [link] = edge.links
            link.turn_away(
                "leaving",
                "",
                spread=0,
                drain=30,
                alternates=["http://edge.localhost:99999", "http://[edge.localhost"],
            )
            await until(lambda: edge.stats().tunnels_opened == 2)


async def test_a_name_that_can_be_none_is_said() -> None:
    name = f"{'a' * 64}.example"
    with pytest.raises(DialError) as refused:
        await dial(edge_address(f"https://{name}"), asyncio.Protocol, context=None, environ={})
    assert refused.value.code == "name_unknown"


async def test_a_proxy_whose_answer_has_no_status_has_refused() -> None:
    async with origin(answers(b"HTTP/1.1\r\n\r\n")) as proxy:
        environ = {"https_proxy": f"http://127.0.0.1:{proxy.port}"}
        with pytest.raises(DialError) as refused:
            await dial(edge_address("https://edge.example"), asyncio.Protocol, context=None, environ=environ)
    assert refused.value.code == "proxy_refused"


def test_a_connector_token_survives_its_string_and_keeps_its_seed_out_of_sight() -> None:
    token = ConnectorToken(
        edge_url="https://e",
        hostnames=["a"],
        environment_id="env",
        generation=3,
        seed=secrets.token_bytes(32),
    )
    assert ConnectorToken.decode(token.encode()) == token
    assert token.seed.hex() not in repr(token)
    for nonsense in ("", "e30", "not base64!", token.encode()[:-10]):
        with pytest.raises(InvalidConnectorToken):
            ConnectorToken.decode(nonsense)


def test_reconnects_are_spread_and_capped_and_start_over_after_success() -> None:
    limits: list[float] = []
    backoff = Backoff(lambda low, high: limits.append(high) or high)
    for _ in range(9):
        backoff.next()
    assert limits == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    backoff.reset()
    assert backoff.next() == 1.0
    assert backoff.next(not_before=7.0) == 8.0
    assert backoff.next(spread=20.0) == 20.0
    assert backoff.next(is_final=True) == 300.0


def test_two_connectors_of_one_token_take_turns_ever_more_slowly() -> None:
    shortest: list[float] = []
    longest: list[float] = []
    backoff = Backoff(lambda low, high: (shortest.append(low), longest.append(high)) and low)
    for _ in range(7):
        backoff.next_superseded(lived=100.0)
        backoff.reset()  # each time the tunnel was open for a while
    assert shortest == [60.0, 120.0, 240.0, 480.0, 960.0, 1200.0, 1200.0]
    assert longest[0] == 90.0
    assert longest[-1] == 1800.0
    # Whoever had it for long lost it for another reason, such as a machine that was moved.
    assert backoff.next_superseded(lived=7200.0) == 60.0


@pytest.mark.parametrize(
    ("audience", "nonce", "now", "code"),
    [
        ("https://other", "n", 1000, "wrong_audience"),
        ("https://e", "m", 1000, "wrong_nonce"),
        ("https://e", "n", 1200, "clock_skew"),
        ("https://e", "n", 900, "clock_skew"),
    ],
)
def test_a_proof_is_for_one_edge_one_nonce_and_one_minute(
    audience: str, nonce: str, now: int, code: str
) -> None:
    token = ConnectorToken(
        edge_url="https://e", hostnames=[], environment_id="x", generation=1, seed=bytes(32)
    )
    signed = proof.sign(token, audience="https://e", nonce="n", now=1000)
    with pytest.raises(proof.InvalidProof) as refusal:
        proof.read_claims(signed, audience=audience, nonce=nonce, now=now)
    assert refusal.value.code == code


async def test_a_tunnel_over_tls_carries_large_downloads_whole_past_a_slow_reader(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    certificate = tmp_path_factory.mktemp("tls") / "edge.pem"
    write_certificate(certificate)
    bodies = {b"/%d" % number: random.Random(number).randbytes(6 * 1024 * 1024) for number in range(4)}

    async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = bodies[(await reader.readuntil(b"\r\n\r\n")).split()[1]]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await reader.read()

    async def download(port: int, path: bytes, pause: float) -> bool:
        async with client(port) as visitor:
            await visitor.get(path.decode())
            assert (await visitor.head())[0] == 200
            received = bytearray()
            while len(received) < len(bodies[path]):
                received += await visitor.body(min(256 * 1024, len(bodies[path]) - len(received)))
                await asyncio.sleep(pause)
            return received == bodies[path]

    async with origin(large) as server, Registry() as registry:
        secure = socket.create_server(("127.0.0.1", 0))
        port = secure.getsockname()[1]
        edge = await registry.start_edge()
        edge.origin = f"https://edge.localhost:{port}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        await edge.serve([secure], ssl=context)
        token = registry.token(edge_url=edge.origin)
        async with registry.connector(router=to_origin(server.port), token=token, ca_file=certificate):
            whole = await asyncio.gather(
                *(download(registry.port, path, 0.02 if path == b"/0" else 0.0) for path in bodies)
            )
            assert all(whole)
        async with registry.connector(router=never, token=token, wait=False) as untrusting:
            await until(lambda: untrusting.state.reason == "tls_untrusted")


async def test_a_request_that_the_machine_cannot_forward_is_a_502_of_the_machine() -> None:
    (port,) = free_ports(1)
    async with Registry() as registry:
        await registry.start_edge()
        upstream = TcpUpstream("127.0.0.1", port)
        async with (
            registry.connector(router=lambda head, peer: Forward(upstream, head)),
            client(registry.port) as visitor,
        ):
            await visitor.get(headers="Accept: application/json\r\n")
            status, headers = await visitor.head()
            assert status == 502
            assert b"origin_unreachable" in await visitor.body(int(headers["content-length"]))


async def test_bytes_are_counted_in_both_directions_and_not_forgotten_with_the_tunnel() -> None:
    body = b"x" * 50_000
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + body
    async with Registry() as registry, origin(answers(response)) as server:
        edge = await registry.start_edge()
        async with registry.connector(router=to_origin(server.port)), client(registry.port) as visitor:
            await visitor.get()
            await visitor.head()
            assert await visitor.body(len(body)) == body
            moved = edge.stats()
            assert moved.bytes_from_machines > len(body) > moved.bytes_to_machines > 0
        await until(lambda: edge.stats().tunnels == 0)
        assert edge.stats().bytes_from_machines >= moved.bytes_from_machines


async def test_a_trusted_front_brings_more_connections_than_one_address_may_have() -> None:
    limits = Limits(connections_per_ip=2)
    async with origin(answers(OK)) as server, Registry() as registry, contextlib.AsyncExitStack() as stack:
        await registry.start_edge(limits=limits, trusted_proxies=["127.0.0.1"])
        await stack.enter_async_context(registry.connector(router=to_origin(server.port)))
        for _ in range(4):
            visitor = await stack.enter_async_context(client(registry.port))
            await visitor.get(host="nobody.localhost")
            assert (await visitor.head())[0] == 404
        assert registry.edge is not None
        assert registry.edge.stats().connections_refused == 0
