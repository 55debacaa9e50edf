"""The listener defends itself: limits, deadlines, clear refusals, a clean end."""

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from doorward.http1 import (
    Answer,
    Decision,
    Forward,
    Limits,
    Peer,
    ProxyServer,
    RequestHead,
    Router,
    TcpUpstream,
    UnixUpstream,
    problem,
)
from doorward.http1.engine import Engine
from doorward.http1.listener import ListenerState
from doorward.http1.server_connection import ServerConnection
from tests.http1.wire import PATIENCE, answers, client, origin
from tests.tunnel.certificate import write_certificate

pytestmark = pytest.mark.anyio

QUICK = Limits(
    head_seconds=0.3,
    keep_alive_seconds=0.3,
    body_idle_seconds=0.3,
    upgrade_idle_seconds=0.3,
)
SOON = 8.0
"""Less than any of these takes that was not shortened."""


def hello(head: RequestHead, peer: Peer) -> Answer:
    return Answer(200, [(b"x-path", head.path)], b"hello")


@asynccontextmanager
async def serving(router: Router, limits: Limits | None = None) -> AsyncIterator[tuple[ProxyServer, int]]:
    sock = socket.create_server(("127.0.0.1", 0))
    server = ProxyServer(router, limits=limits)
    await server.serve(sock)
    try:
        yield server, sock.getsockname()[1]
    finally:
        await server.close(grace=0)


async def test_a_head_that_trickles_is_given_up() -> None:
    async with serving(hello, QUICK) as (_, port), client(port) as slow:
        await slow.send(b"GET / HTTP/1.1\r\n")
        for _ in range(3):
            await slow.send(b"x-a: b\r\n")
            await asyncio.sleep(0.1)
        assert (await slow.head())[0] == 408


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with serving(hello, QUICK) as (_, port), client(port) as silent:
        assert await asyncio.wait_for(silent.rest(), SOON) == b""


async def test_an_idle_connection_is_closed_after_its_last_answer() -> None:
    async with serving(hello, QUICK) as (_, port), client(port) as visitor:
        await visitor.get()
        await visitor.head()
        assert await asyncio.wait_for(visitor.rest(), SOON) == b"hello"


async def test_a_body_that_stops_arriving_is_a_408() -> None:
    async with origin(answers()) as server:
        upstream = TcpUpstream("127.0.0.1", server.port)
        async with (
            serving(lambda head, peer: Forward(upstream, head), QUICK) as (_, port),
            client(port) as visitor,
        ):
            await visitor.get(method="POST", headers="Content-Length: 10\r\n")
            await visitor.send(b"abc")
            assert (await visitor.head())[0] == 408


async def test_a_head_beyond_64_kib_is_a_431() -> None:
    async with serving(hello) as (_, port), client(port) as visitor:
        await visitor.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000)
        assert (await visitor.head())[0] == 431


async def test_a_bad_request_is_answered_and_the_connection_closed() -> None:
    async with serving(hello) as (_, port), client(port) as visitor:
        await visitor.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        status, headers = await visitor.head()
        assert (status, headers["connection"]) == (400, "close")
        assert (await visitor.rest()).count(b"HTTP/1.1") == 0


async def test_a_malformed_chunk_is_a_400_and_cancels_the_origin() -> None:
    async with origin(answers()) as server:
        upstream = TcpUpstream("127.0.0.1", server.port)
        async with serving(lambda head, peer: Forward(upstream, head)) as (_, port), client(port) as visitor:
            await visitor.get(method="POST", headers="Transfer-Encoding: chunked\r\n")
            await visitor.send(b"zz\r\n")
            assert (await visitor.head())[0] == 400


async def test_one_address_may_not_hold_too_many_connections() -> None:
    async with (
        serving(hello, Limits(connections_per_ip=3)) as (server, port),
        client(port),
        client(port),
        client(port),
        client(port) as fourth,
    ):
        assert (await fourth.head())[0] == 503
        assert server.stats().connections_refused == 1


async def test_one_ipv6_network_may_not_hold_more_connections_than_one_address() -> None:
    engine = Engine(hello, Limits(connections_per_ip=2))
    state = ListenerState(engine, lambda ip: False)
    peers = [Peer(f"2001:db8::{number}") for number in range(1, 4)]
    connections = [ServerConnection(state) for _ in peers]
    let_in = [state.admit(one, peer) for one, peer in zip(connections, peers, strict=True)]
    assert let_in == [True, True, False]
    assert state.admit(ServerConnection(state), Peer("2001:db8:0:1::1"))
    for one, peer in zip(connections, peers, strict=True):
        state.forget(one, peer)
    assert state.admit(connections[0], peers[2])
    engine.close()


async def test_a_thousand_pipelined_requests_are_answered() -> None:
    async with serving(hello) as (_, port), client(port) as visitor:
        sending = asyncio.create_task(visitor.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n" * 1000))
        for _ in range(1000):
            assert (await visitor.head())[0] == 200
            assert await visitor.body(5) == b"hello"
        await sending


async def test_the_router_may_take_its_time_and_may_fail() -> None:
    async def later(head: RequestHead, peer: Peer) -> Decision:
        await asyncio.sleep(0.01)
        if head.path == b"/fail":
            raise RuntimeError("on purpose")
        return problem(403, "no_access", "Not for you.", accept=head.get(b"accept"))

    async with serving(later) as (_, port), client(port) as visitor:
        await visitor.get()
        status, headers = await visitor.head()
        assert status == 403
        assert await visitor.body(int(headers["content-length"])) == b"Forbidden. Not for you.\n"
        await visitor.get("/fail")
        assert (await visitor.head())[0] == 500


async def test_a_request_body_is_dropped_when_the_router_answers_itself() -> None:
    async with serving(hello) as (_, port), client(port) as visitor:
        await visitor.get(method="POST", headers="Content-Length: 200000\r\n")
        await visitor.send(b"x" * 200_000)
        status, headers = await visitor.head()
        assert (status, headers["connection"]) == (200, "close")
        assert await visitor.rest() == b"hello"


@pytest.mark.parametrize("forwards", [True, False])
async def test_a_large_upload_survives_a_router_that_thinks(forwards: bool) -> None:
    size = 3_000_000

    async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await reader.read()

    async with origin(sink) as server:

        async def thinks(head: RequestHead, peer: Peer) -> Decision:
            await asyncio.sleep(0.2)
            return Forward(TcpUpstream("127.0.0.1", server.port), head) if forwards else hello(head, peer)

        async with serving(thinks) as (_, port), client(port) as visitor:
            await visitor.get(method="POST", headers=f"Content-Length: {size}\r\n")
            await asyncio.wait_for(visitor.send(bytes(size)), PATIENCE)
            assert (await visitor.head())[0] == 200
            assert await visitor.body(5) == b"hello"
            assert b"HTTP/1.1" not in (b"" if forwards else await visitor.rest())


async def test_a_malformed_body_after_the_answer_gets_no_second_answer() -> None:
    async with serving(hello) as (_, port), client(port) as visitor:
        await visitor.get(method="POST", headers="Transfer-Encoding: chunked\r\n")
        assert (await visitor.head())[0] == 200
        await visitor.send(b"zz\r\n")
        assert await visitor.rest() == b"hello"


async def test_a_unix_socket_serves_and_is_reached(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "inner.sock")
    inner = ProxyServer(hello)
    await inner.serve(path)
    async with (
        serving(lambda head, peer: Forward(UnixUpstream(path), head)) as (_, port),
        client(port) as visitor,
    ):
        await visitor.get("/through?x")
        assert (await visitor.head())[1]["x-path"] == "/through"
    await inner.close(grace=0)


async def test_a_response_can_be_rewritten() -> None:
    async with origin(
        answers(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Domain=example\r\nContent-Length: 0\r\n\r\n")
    ) as server:

        def router(head: RequestHead, peer: Peer) -> Forward:
            forward = Forward(TcpUpstream("127.0.0.1", server.port), head)

            def without_cookies(response):  # type: ignore[no-untyped-def]
                response.headers = [item for item in response.headers if item[0] != b"set-cookie"]
                return response

            forward.rewrite_response = without_cookies
            return forward

        async with serving(router) as (_, port), client(port) as visitor:
            await visitor.get()
            assert "set-cookie" not in (await visitor.head())[1]


async def test_a_client_that_never_ends_its_tls_handshake_is_given_up(tmp_path: Path) -> None:
    write_certificate(tmp_path / "both.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    sock = socket.create_server(("127.0.0.1", 0))
    server = ProxyServer(hello, limits=QUICK)
    await server.serve(sock, ssl=context)
    async with client(sock.getsockname()[1]) as silent:
        assert await asyncio.wait_for(silent.rest(), 30) == b""  # the loop's own patience is a minute
    await server.close(grace=0)


async def test_a_name_that_can_be_none_is_as_good_as_a_service_that_does_not_answer() -> None:
    nowhere = TcpUpstream(f"{'a' * 64}.example", 80)
    async with serving(lambda head, peer: Forward(nowhere, head)) as (_, port), client(port) as visitor:
        await visitor.get()
        assert (await visitor.head())[0] == 502


async def test_closing_waits_for_open_exchanges_and_takes_no_new_ones() -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.read()

    def router(head: RequestHead, peer: Peer) -> Forward:
        return Forward(TcpUpstream("127.0.0.1", upstream.port), head)

    async with (
        origin(slow) as upstream,
        serving(router) as (server, port),
        client(port) as busy,
        client(port) as idle,
    ):
        await busy.get()
        await asked.wait()
        closing = asyncio.create_task(server.close(grace=10 * PATIENCE))
        assert await idle.rest() == b""
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        release.set()
        status, headers = await busy.head()
        assert (status, headers["connection"]) == (200, "close")
        assert await busy.rest() == b"ok"
        await closing


CANARY = """
import asyncio, socket, sys, threading, time
from doorward.http1 import Answer, Forward, ProxyServer, TcpUpstream

def churn(port, until):
    # A peer that shuts down its sending side at every awkward moment: uvloop aborts the process when we do it too.
    n = 0
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port)) as s:
            n += 1
            s.settimeout(2)
            try:
                s.sendall(b"GET /%d HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"[: 5 + n % 40] if n % 3 else b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536): pass
            except OSError:
                pass

async def half_closing(reader, writer):
    try:
        await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(b"HTTP/1.1 200 OK\\r\\n\\r\\n" + b"x" * 100_000)
        writer.write_eof()
        await reader.read()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()

async def main():
    upstream_socket = socket.create_server(("127.0.0.1", 0))
    upstream_port = upstream_socket.getsockname()[1]
    def peers():  # half-closing origins live on the standard loop, in a thread of their own
        async def serve():
            server = await asyncio.start_server(half_closing, sock=upstream_socket)
            await server.serve_forever()
        asyncio.run(serve())
    threading.Thread(target=peers, daemon=True).start()
    sock = socket.create_server(("127.0.0.1", 0))
    server = ProxyServer(lambda head, peer: Forward(TcpUpstream("127.0.0.1", upstream_port), head))
    await server.serve(sock)
    until = time.monotonic() + 4
    await asyncio.gather(*[asyncio.to_thread(churn, sock.getsockname()[1], until) for _ in range(8)])
    await server.close(grace=0)
    print("alive")

import uvloop
uvloop.run(main())
"""


def test_half_closing_peers_do_not_kill_the_process_on_uvloop() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CANARY], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "alive"
