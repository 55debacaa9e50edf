"""What an HTTP/1.1 answer may be, and what becomes of a connection after it."""

import asyncio

import pytest

from doorward.outbound import Outbound, Unreachable

END = b"\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"


def answering(answer: bytes, connections: list[int], *, then_leave: bool = False, asked_for: int = 1):
    """A script that answers every request of a connection with these very bytes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        while True:
            await reader.readuntil(END)
            connections[-1] += 1
            writer.write(answer)
            await writer.drain()
            if then_leave and connections[-1] == asked_for:
                return

    return script


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (HEAD + b"content-length: 3" + END + b"abc", b"abc"),
        (HEAD + b"transfer-encoding: chunked" + END + b"1;x=y\r\na\r\n2\r\nbc\r\n0\r\nt: 1" + END, b"abc"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x" + END + HEAD + b"content-length: 1" + END + b"a", b"a"),
        (b"HTTP/1.1 204 No Content" + END, b""),
        (b"HTTP/1.1 304 Not Modified\r\netag: x" + END, b""),
    ],
)
async def test_an_answer_that_says_its_end_leaves_the_connection_for_the_next(
    serve, outbound: Outbound, answer: bytes, body: bytes
) -> None:
    connections: list[int] = []
    port = await serve(answering(answer, connections))
    for _ in range(3):
        response = await outbound.request("GET", f"http://localhost:{port}/")
        assert response.body == body
        assert "link" not in response.headers
    assert connections == [3]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer", [HEAD + b"connection: close\r\ncontent-length: 1" + END + b"a", b"HTTP/1.0 200 OK" + END + b"a"]
)
async def test_an_answer_that_ends_with_its_connection_is_whole_and_the_next_has_another(
    serve, outbound: Outbound, answer: bytes
) -> None:
    connections: list[int] = []
    port = await serve(answering(answer, connections, then_leave=True))
    for _ in range(2):
        assert (await outbound.request("GET", f"http://localhost:{port}/")).body == b"a"
    assert connections == [1, 1]


@pytest.mark.anyio
async def test_nothing_is_sent_over_a_connection_whose_peer_has_left(serve, outbound: Outbound) -> None:
    connections: list[int] = []
    answer = HEAD + b"content-length: 0" + END
    port = await serve(answering(answer, connections, then_leave=True, asked_for=2))
    for _ in range(6):
        assert (await outbound.request("POST", f"http://localhost:{port}/")).status == 200
    assert connections == [2, 2, 2]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"content-length: 3\r\ncontent-length: 4" + END + b"abcd",
        HEAD + b"content-length: 3\r\ntransfer-encoding: chunked" + END + b"0" + END,
        HEAD + b"content-length: 5" + END + b"abc",
        HEAD + b"transfer-encoding: chunked" + END + b"5\r\nabc",
        HEAD + b"transfer-encoding: chunked" + END + b"zz\r\nabc",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade" + END,
        HEAD + b"x: " + b"y" * 200_000 + END,
        HEAD + b"x: y\r\n" * 50_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 8_000,
        HEAD + b"transfer-encoding: chunked" + END + b"0\r\n" + b"t: y\r\n" * 50_000,
        b"\x00\x01\x02",
        b"",
    ],
    ids=["two-lengths", "length-and-chunked", "short", "short-chunk", "no-chunk", "upgrade", "long-header", "many-headers", "interim-for-ever", "trailers-for-ever", "noise", "nothing"],
)  # fmt: skip
async def test_an_answer_that_is_broken_or_hardly_an_answer_is_none(
    serve, outbound: Outbound, answer: bytes
) -> None:
    connections: list[int] = []
    port = await serve(answering(answer, connections, then_leave=True))
    with pytest.raises(Unreachable):
        await outbound.request("GET", f"http://localhost:{port}/", timeout=20)
    assert connections == [1]


@pytest.mark.anyio
async def test_a_second_answer_to_one_request_is_never_taken_for_the_next_ones(
    serve, outbound: Outbound
) -> None:
    one = HEAD + b"content-length: 1" + END
    connections: list[int] = []
    port = await serve(answering(one + b"a" + one + b"b", connections))
    for _ in range(3):
        assert (await outbound.request("GET", f"http://localhost:{port}/")).body == b"a"
    assert connections == [1, 1, 1]


@pytest.mark.anyio
async def test_an_exchange_that_is_given_up_takes_its_connection_along(serve, outbound: Outbound) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(END)
        asked.set()
        try:
            await reader.read()
        finally:
            left.set()

    port = await serve(script)
    asking = asyncio.create_task(outbound.request("GET", f"http://localhost:{port}/", timeout=60))
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(20):
        await left.wait()


@pytest.mark.anyio
async def test_an_answer_to_head_has_no_body_whatever_length_it_names(serve, outbound: Outbound) -> None:
    port = await serve(answering(HEAD + b"content-length: 10" + END, []))
    response = await outbound.request("HEAD", f"http://localhost:{port}/")
    assert (response.body, response.headers["content-length"]) == (b"", "10")
