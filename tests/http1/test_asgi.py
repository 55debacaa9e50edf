"""An application of this process behind the proxy: what a listener in front of it would do."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from doorward.http1 import Forward, ProxyServer
from doorward.http1.asgi import AsgiApp, AsgiUpstream, Message
from tests.http1.wire import Client, client

pytestmark = pytest.mark.anyio

MEBIBYTE = 1024 * 1024


@asynccontextmanager
async def visiting(app: AsgiApp) -> AsyncIterator[Client]:
    upstream = AsgiUpstream(app)
    sock = socket.create_server(("127.0.0.1", 0))
    server = ProxyServer(lambda head, _peer: Forward(upstream, head))
    await server.serve(sock)
    try:
        async with client(sock.getsockname()[1]) as visitor:
            yield visitor
    finally:
        await server.close(grace=0)
        await upstream.close()


async def body_of(receive: Any) -> bytes:
    body, is_more = b"", True
    while is_more:
        message: Message = await receive()
        assert message["type"] == "http.request"
        body, is_more = body + message["body"], message["more_body"]
    return body


async def echo(scope: Message, receive: Any, send: Any) -> None:
    """Answers with what it was asked."""
    body = await body_of(receive)
    asked = [scope["method"], scope["path"], scope["raw_path"].decode(), scope["query_string"].decode()]
    headers = [(b"X-Asked", " ".join(asked).encode()), (b"Content-Length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def test_a_request_and_its_answer_arrive_as_they_are() -> None:
    async with visiting(echo) as visitor:
        await visitor.get("/a%2Fb?c=d", method="POST", headers="Content-Length: 3\r\n")
        await visitor.send(b"abc")
        status, headers = await visitor.head()
        assert (status, headers["x-asked"]) == (200, "POST /a/b /a%2Fb c=d")
        assert "date" in headers
        assert await visitor.body(3) == b"abc"
        # The same connection goes on.
        await visitor.get("/again", method="HEAD")
        status, headers = await visitor.head()
        assert (status, headers["content-length"]) == (200, "0")


async def test_a_chunked_body_of_many_pieces_arrives_whole() -> None:
    async with visiting(echo) as visitor:
        await visitor.get(method="POST", headers="Transfer-Encoding: chunked\r\n")
        for number in range(20):
            await visitor.send(b"2\r\n%02d\r\n" % number)
        await visitor.send(b"0\r\n\r\n")
        await visitor.head()
        assert await visitor.body(40) == b"".join(b"%02d" % number for number in range(20))


async def test_an_upload_waits_for_an_application_that_does_not_read() -> None:
    may_read = asyncio.Event()

    async def slow(scope: Message, receive: Any, send: Any) -> None:
        await may_read.wait()
        await echo(scope, receive, send)

    async with visiting(slow) as visitor:
        size = 16 * MEBIBYTE
        await visitor.get(method="POST", headers=f"Content-Length: {size}\r\n")
        sending = asyncio.create_task(visitor.send(bytes(size)))
        # What it took beyond the sockets' own buffers would have let the upload end.
        done, _ = await asyncio.wait([sending], timeout=0.3)
        assert not done
        may_read.set()
        await visitor.head()
        assert len(await visitor.body(size)) == size
        await sending


async def test_a_download_waits_for_a_visitor_that_does_not_read() -> None:
    sent = 0

    async def endless(scope: Message, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": bytes(MEBIBYTE), "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    async with visiting(endless) as visitor:
        await visitor.get()
        assert (await visitor.head())[1]["transfer-encoding"] == "chunked"
        await asyncio.sleep(0.3)
        assert sent < 64
        assert len(await visitor.chunks()) == 64 * MEBIBYTE
        assert sent == 64


async def test_an_application_that_fails_is_a_500_and_one_that_fails_late_a_broken_body() -> None:
    async def failing(scope: Message, receive: Any, send: Any) -> None:
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"some", "more_body": True})
        raise ValueError("on purpose")

    async with visiting(failing) as visitor:
        await visitor.get()
        status, headers = await visitor.head()
        assert status == 500
        await visitor.body(int(headers["content-length"]))
        await visitor.get("/late")
        assert (await visitor.head())[0] == 200
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await visitor.chunks()


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x=y", b"a\nb", b"a\x00"])
async def test_a_header_that_would_end_its_line_is_not_sent(value: bytes) -> None:
    async def splitting(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", value)]})
        await send({"type": "http.response.body"})

    async with visiting(splitting) as visitor:
        await visitor.get()
        assert (await visitor.head())[0] == 500


async def test_an_answer_of_another_length_than_it_said_is_cut() -> None:
    async def short(scope: Message, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"9")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"abc"})

    async with visiting(short) as visitor:
        await visitor.get()
        await visitor.head()
        assert len(await visitor.rest()) < 9


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked_once() -> None:
    async with visiting(echo) as visitor:
        await visitor.get(method="POST", headers="Expect: 100-continue\r\nContent-Length: 2\r\n")
        assert (await visitor.head())[0] == 100
        await visitor.send(b"a")
        await visitor.send(b"b")
        assert (await visitor.head())[0] == 200
        assert await visitor.body(2) == b"ab"


async def test_the_application_is_told_that_its_visitor_left() -> None:
    asked, told = asyncio.Event(), asyncio.Event()

    async def waiting(scope: Message, receive: Any, send: Any) -> None:
        await body_of(receive)
        asked.set()
        if (await receive())["type"] == "http.disconnect":
            told.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async with visiting(waiting) as visitor:
        await visitor.get()
        await asyncio.wait_for(asked.wait(), 10)
        visitor.abort()
        await asyncio.wait_for(told.wait(), 10)


async def test_what_is_still_answered_ends_with_the_upstream() -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def hanging(scope: Message, receive: Any, send: Any) -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with visiting(hanging) as visitor:
        await visitor.get()
        await asyncio.wait_for(asked.wait(), 10)
    assert ended.is_set()
