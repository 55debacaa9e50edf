"""Whatever carries a request, the proxy engine alone or a tunnel, the client and the origin see the same HTTP."""

import asyncio
import gc
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import websockets

from doorward.http1 import Forward, Limits, Peer, RequestHead, TcpUpstream
from tests.http1.wire import PATIENCE, Client, Handler, Origin, answers, client, origin
from tests.tunnel.carriers import TAG, Carrier, Registry, proxy, tunnel, until

pytestmark = pytest.mark.anyio

Path = Callable[..., AbstractAsyncContextManager[tuple[Client, Origin, Carrier]]]

SOON = 10.0
"""Within a second on a machine that has nothing else to do; every other way to notice takes longer than this."""


@pytest.fixture(params=[proxy, tunnel], ids=["proxy", "tunnel"])
def carried(request: pytest.FixtureRequest) -> Path:
    """A client connected, through the carrier, to an origin that behaves as the handler says."""

    @asynccontextmanager
    async def path(
        handler: Handler, limits: Limits | None = None
    ) -> AsyncIterator[tuple[Client, Origin, Carrier]]:
        async with (
            origin(handler) as server,
            request.param(server.port, limits) as carrier,
            client(carrier.port) as asking,
        ):
            yield asking, server, carrier

    return path


async def test_connections_are_kept_alive_on_both_sides(carried: Path) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with carried(answers(response, response, response)) as (visitor, server, _):
        for _ in range(3):
            await visitor.get()
            assert (await visitor.head())[0] == 200
            assert await visitor.body(2) == b"ok"
    assert server.connections == 1


async def test_a_request_leaves_nothing_for_the_garbage_collector(carried: Path) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with carried(answers(*[response] * 9)) as (visitor, _, _):
        for number in range(9):
            if number == 4:
                gc.collect()
                gc.set_debug(gc.DEBUG_SAVEALL)
            await visitor.send(b"POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 2\r\n\r\nhi")
            await visitor.head()
            await visitor.body(2)
        gc.collect()
        gc.set_debug(0)
        ours = [kept for kept in gc.garbage if type(kept).__module__.startswith("doorward")]
        gc.garbage.clear()
    assert ours == []


async def test_pipelined_requests_are_answered_in_order(carried: Path) -> None:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    async with carried(count) as (visitor, _, _):
        await visitor.send(
            b"".join(b"GET /%d HTTP/1.1\r\nHost: app.localhost\r\n\r\n" % n for n in range(1000, 1050))
        )
        for number in range(1000, 1050):
            await visitor.head()
            assert await visitor.body(5) == b"/%d" % number


@pytest.mark.parametrize(
    ("method", "response"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
    ],
)
async def test_responses_without_a_body_leave_the_connection_usable(
    carried: Path, method: str, response: bytes
) -> None:
    async with carried(answers(response, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as (
        visitor,
        _,
        _,
    ):
        await visitor.get(method=method)
        assert (await visitor.head())[0] in (200, 204, 304)
        await visitor.get()
        assert (await visitor.head())[0] == 200
        assert await visitor.body(2) == b"ok"


async def test_a_body_that_ends_with_the_connection_becomes_chunked(carried: Path) -> None:
    async def until_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall there is")

    async with carried(until_close) as (visitor, _, _):
        await visitor.get()
        assert (await visitor.head())[1]["transfer-encoding"] == "chunked"
        assert await visitor.chunks() == b"all there is"


async def test_early_hints_and_trailers_arrive(carried: Path) -> None:
    response = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        b"Trailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"
    )
    async with carried(answers(response)) as (visitor, _, _):
        await visitor.get()
        assert (await visitor.head()) == (103, {"link": "</a.css>"})
        assert (await visitor.head())[0] == 200
        body = b"2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n"
        assert await visitor.body(len(body)) == body


async def test_the_origin_decides_about_a_body_before_it_is_sent(carried: Path) -> None:
    async def wants_it(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"expect: 100-continue" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(5)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)
        await reader.read()

    async with carried(wants_it) as (visitor, _, _):
        await visitor.get(method="POST", headers="Content-Length: 5\r\nExpect: 100-continue\r\n")
        assert (await visitor.head())[0] == 100
        await visitor.send(b"hello")
        assert (await visitor.head())[0] == 200
        assert await visitor.body(5) == b"hello"


async def test_a_refusal_of_a_large_upload_reaches_the_client(carried: Path) -> None:
    async def too_large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    async with carried(too_large) as (visitor, _, _):
        await visitor.get(method="POST", headers="Content-Length: 50000000\r\n")
        await visitor.send(b"x" * 100_000)
        status, headers = await visitor.head()
        assert (status, headers["connection"]) == (413, "close")
        assert await visitor.body(2) == b"no"


async def test_a_large_upload_and_download_arrive_whole(carried: Path) -> None:
    size = 24 * 1024 * 1024

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        left = size
        while left:
            data = await reader.read(1 << 16)
            left -= len(data)
            writer.write(data)
            await writer.drain()
        await reader.read()

    block = bytes(range(256)) * 4096
    async with carried(echo) as (visitor, _, _):
        await visitor.get(method="PUT", headers=f"Content-Length: {size}\r\n")

        async def upload() -> None:
            for _ in range(size // len(block)):
                await visitor.send(block)

        sending = asyncio.create_task(upload())
        assert (await visitor.head())[0] == 200
        for _ in range(size // len(block)):
            assert await visitor.body(len(block)) == block
        await sending


async def test_an_upload_waits_for_an_origin_that_does_not_read(carried: Path) -> None:
    may_read = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await may_read.wait()
        left = size
        while left:
            left -= len(await reader.read(1 << 16))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.read()

    size = 256 * 1024 * 1024
    block = bytes(1024 * 1024)
    async with carried(slow) as (visitor, _, _):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await visitor.get(method="PUT", headers=f"Content-Length: {size}\r\n")
        sent = 0

        async def upload() -> None:
            nonlocal sent
            while sent < size:
                await visitor.send(block)
                sent += len(block)

        sending = asyncio.create_task(upload())
        await asyncio.sleep(0.5)
        # Kernel buffers and ours are full; nothing else holds bytes.
        assert sent < 64 * 1024 * 1024
        may_read.set()
        await asyncio.wait_for(sending, 2 * PATIENCE)
        assert (await visitor.head())[0] == 200
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 96 * 1024, f"memory grew by {grown} KiB"


async def test_a_download_waits_for_a_client_that_does_not_read(carried: Path) -> None:
    written = 0

    async def firehose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()
            written += 1 << 16

    async with carried(firehose) as (visitor, _, _):
        await visitor.get()
        assert (await visitor.head())[0] == 200
        await asyncio.sleep(0.5)
        assert written < 64 * 1024 * 1024


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
async def test_an_origin_that_dies_in_mid_download_is_a_clear_failure(carried: Path, framing: bytes) -> None:
    async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + b"a\r\n0123456789\r\n")
        await asyncio.sleep(0.1)
        writer.transport.abort()

    async with carried(dying) as (visitor, _, _):
        await visitor.get()
        assert (await visitor.head())[0] == 200
        rest = await visitor.rest()
        assert len(rest) < 1000
        assert not rest.endswith(b"0\r\n\r\n")


async def test_an_origin_that_closes_without_an_answer_is_a_502(carried: Path) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with carried(mute) as (visitor, _, _):
        await visitor.get(headers="Accept: application/json\r\n")
        status, headers = await visitor.head()
        assert (status, headers["content-type"]) == (502, "application/json")
        assert b"origin_closed" in await visitor.body(int(headers["content-length"]))


async def test_an_origin_that_never_answers_is_a_504(carried: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with carried(silent, Limits(response_seconds=0.5)) as (visitor, _, _):
        await visitor.get()
        assert (await visitor.head())[0] == 504


async def test_a_stale_connection_to_the_origin_is_replaced_unnoticed(carried: Path) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.readuntil(b"\r\n\r\n")  # closes instead of answering the second request

    async with carried(once) as (visitor, server, _):
        for _ in range(3):
            await visitor.get()
            assert (await visitor.head())[0] == 200
            assert await visitor.body(2) == b"ok"
    assert server.connections == 3


async def test_a_client_that_leaves_is_noticed_by_the_origin_at_once(carried: Path) -> None:
    left = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        try:
            await reader.read()
        finally:
            left.set()

    async with carried(endless) as (visitor, _, _):
        await visitor.get()
        await visitor.head()
        visitor.abort()
        await asyncio.wait_for(left.wait(), SOON)


async def test_server_sent_events_arrive_one_by_one(carried: Path) -> None:
    go_on = asyncio.Event()

    async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(3):
            event = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await go_on.wait()
            go_on.clear()
        await reader.read()

    async with carried(events) as (visitor, _, _):
        await visitor.get()
        await visitor.head()
        for number in range(3):
            assert await visitor.body(14) == b"9\r\ndata: %d\n\n\r\n" % number
            go_on.set()


async def echo_upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    assert b"upgrade: echo" in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello ")
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


async def test_an_upgrade_carries_raw_bytes_both_ways(carried: Path) -> None:
    async with carried(echo_upgrade) as (visitor, _, _):
        await visitor.get(headers="Connection: Upgrade\r\nUpgrade: echo\r\n")
        status, headers = await visitor.head()
        assert (status, headers["upgrade"]) == (101, "echo")
        await visitor.send(b"GET / HTTP/1.1\r\n\r\n" * 3)
        assert await visitor.body(60) == b"hello " + b"GET / HTTP/1.1\r\n\r\n" * 3


async def test_bytes_behind_a_declined_upgrade_never_reach_the_origin_unjudged(carried: Path) -> None:
    seen = b""

    async def declines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
        seen = await reader.read()

    async with carried(declines) as (visitor, _, _):
        await visitor.get(headers="Connection: Upgrade\r\nUpgrade: echo\r\n")
        await visitor.send(b"GARBAGE\r\n\r\n")
        assert (await visitor.head())[0] == 200
        assert await visitor.body(2) == b"no"
        assert (await visitor.head())[0] in (400, 501)
    assert b"GARBAGE" not in seen


async def test_closing_a_tag_ends_streams_and_upgrades_at_once(carried: Path) -> None:
    async with carried(echo_upgrade) as (visitor, _, carrier):
        await visitor.get(headers="Connection: Upgrade\r\nUpgrade: echo\r\n")
        await visitor.head()
        await visitor.body(6)
        assert carrier.close_tag("another session") == 0
        assert carrier.close_tag(TAG) == 1
        assert await asyncio.wait_for(visitor.rest(), SOON) == b""


@pytest.mark.parametrize("carrier_of", [proxy, tunnel])
async def test_a_websocket_with_compression_and_close_codes_works(
    carrier_of: Callable[[int], AbstractAsyncContextManager[Carrier]],
) -> None:
    async def echo(socket: websockets.ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)
            if message == "bye":
                await socket.close(4321, "as asked")

    async with (
        websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server,
        carrier_of(server.sockets[0].getsockname()[1]) as carrier,
        websockets.connect(
            f"ws://app.localhost:{carrier.port}/chat?room=1", host="127.0.0.1", max_size=None
        ) as chat,
    ):
        for message in ("hi", b"\x00" * 3_000_000, "x" * 100_000, "bye"):
            await chat.send(message)
            assert await asyncio.wait_for(chat.recv(), PATIENCE) == message
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(chat.recv(), PATIENCE)
        assert chat.close_code == 4321


async def test_a_body_that_is_there_before_the_machine_has_decided_goes_to_the_origin() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + await reader.readexactly(5))

    async with origin(echo) as server, Registry() as registry:
        await registry.start_edge()
        upstream = TcpUpstream("127.0.0.1", server.port)

        async def decide(head: RequestHead, peer: Peer) -> Forward:
            (link,) = connector._links
            await until(lambda: any(stream.is_remote_ended for stream in link.endpoint.streams.values()))
            return Forward(upstream, head)

        async with registry.connector(router=decide) as connector, client(registry.port) as visitor:
            await visitor.send(b"POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 5\r\n\r\nhello")
            assert (await visitor.head())[0] == 200
            assert await visitor.body(5) == b"hello"
