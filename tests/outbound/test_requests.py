import asyncio

import msgspec
import pytest

from doorward.outbound import InsecureUrl, Outbound, TimedOut, TooLarge, UnexpectedBody, Unreachable

END = b"\r\n\r\n"


class Greeting(msgspec.Struct):
    hello: str


def answering(answer: bytes, seen: list[bytes] | None = None):
    """A script that reads a head and its content-length body, answers, and serves the next one."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(END)
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    head += await reader.readexactly(int(line.partition(b":")[2]))
            if seen is not None:
                seen.append(head)
            writer.write(answer)
            await writer.drain()

    return script


def ok(body: bytes, *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + END + body


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["localhost", "relay.localhost", "a.b.LOCALHOST", "127.0.0.1"])
async def test_names_of_this_machine_are_dialled_without_asking_a_resolver(
    serve, outbound: Outbound, host: str
) -> None:
    seen: list[bytes] = []
    port = await serve(answering(ok(b'{"hello": "you"}'), seen))
    response = await outbound.request("GET", f"http://{host}:{port}/where?q=1")
    assert response.status == 200
    assert response.json(Greeting) == Greeting("you")
    assert seen[0].startswith(b"GET /where?q=1 HTTP/1.1\r\n")
    assert f"host: {host.lower()}:{port}\r\n".encode() in seen[0].lower()


@pytest.mark.anyio
async def test_a_localhost_name_served_on_ipv6_only_is_reached_too(serve, outbound: Outbound) -> None:
    port = await serve(answering(ok(b"")), host="::1")
    assert (await outbound.request("GET", f"http://six.localhost:{port}/")).status == 200
    assert (await outbound.request("GET", f"http://[::1]:{port}/")).status == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
        "http://localhost.example.com/",
        "http://notlocalhost/",
        "http://2130706433/",
        "ftp://localhost/",
        "https:///path",
        "https://user:secret@example.com/",
        "http://localhost@example.com/",
        "http://localhost:99999/",
        "http://localhost/a b",
        "http://localhost/\r\nx: y",
        "http://localhost/ü",
        "relay.localhost",
        "",
    ],
)
async def test_a_url_that_is_neither_https_nor_this_machine_is_refused_before_anything_is_sent(
    outbound, url: str
) -> None:
    with pytest.raises(InsecureUrl) as raised:
        await outbound.request("GET", url)
    assert "secret" not in str(raised.value)


@pytest.mark.anyio
async def test_redirects_are_answers_and_cookies_are_not_kept(serve, outbound: Outbound) -> None:
    seen: list[bytes] = []
    answer = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\nset-cookie: a=b\r\ncontent-length: 0" + END
    port = await serve(answering(answer, seen))
    for _ in range(2):
        response = await outbound.request("GET", f"http://localhost:{port}/")
        assert (response.status, response.headers["Location"]) == (302, "/elsewhere")
    assert len(seen) == 2
    assert b"cookie" not in seen[1].lower()


@pytest.mark.anyio
async def test_forms_and_json_arrive_as_they_were_meant(serve, outbound: Outbound) -> None:
    seen: list[bytes] = []
    port = await serve(answering(ok(b""), seen))
    await outbound.form(f"http://localhost:{port}/", {"a": "1 &", "b": "ü"}, headers={"DPoP": "proof"})
    await outbound.json(f"http://localhost:{port}/", Greeting("ü"), method="PUT")
    assert b"content-type: application/x-www-form-urlencoded" in seen[0].lower()
    assert b"dpop: proof" in seen[0].lower()
    assert seen[0].endswith(END + b"a=1+%26&b=%C3%BC")
    assert seen[1].startswith(b"PUT / ")
    assert seen[1].endswith(END + '{"hello":"ü"}'.encode())


@pytest.mark.anyio
async def test_a_request_without_a_body_says_so_where_a_server_may_expect_one(
    serve, outbound: Outbound
) -> None:
    seen: list[bytes] = []
    port = await serve(answering(ok(b""), seen))
    for method in ("POST", "PUT", "GET", "DELETE"):
        await outbound.request(method, f"http://localhost:{port}/")
    assert [b"content-length: 0\r\n" in head.lower() for head in seen] == [True, True, False, False]


@pytest.mark.anyio
async def test_connections_are_used_again_even_after_an_answer_larger_than_allowed(
    serve, outbound: Outbound
) -> None:
    connections = 0
    inner = answering(ok(b"x" * 2_000))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await inner(reader, writer)

    port = await serve(script)
    for _ in range(3):
        assert (
            len((await outbound.request("GET", f"http://localhost:{port}/", max_bytes=2_000)).body) == 2_000
        )
    assert connections == 1
    with pytest.raises(TooLarge):
        await outbound.request("GET", f"http://localhost:{port}/", max_bytes=1_999)
    assert (await outbound.request("GET", f"http://localhost:{port}/")).status == 200


@pytest.mark.anyio
async def test_an_endless_answer_is_cut_at_the_limit(serve, outbound: Outbound) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(END)
        writer.write(b"HTTP/1.1 200 OK" + END)
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    port = await serve(script)
    with pytest.raises(TooLarge):
        await outbound.request("GET", f"http://localhost:{port}/", timeout=60)


@pytest.mark.anyio
async def test_the_timeout_covers_the_whole_exchange_however_the_peer_dribbles(
    serve, outbound: Outbound
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(END)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000" + END)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    port = await serve(script)
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimedOut, match=r"0\.2 seconds"):
        await outbound.request("GET", f"http://localhost:{port}/", timeout=0.2)
    assert asyncio.get_running_loop().time() - began < 10


@pytest.mark.anyio
async def test_a_peer_that_is_absent_or_leaves_or_babbles_is_unreachable(serve, outbound: Outbound) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(END)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10" + END + b"abc")
        await writer.drain()

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(END)
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()

    for script in (leave, babble):
        port = await serve(script)
        with pytest.raises(Unreachable):
            await outbound.request("GET", f"http://localhost:{port}/secret-path")
    with pytest.raises(Unreachable, match=r"localhost:9 \(Connection refused\)") as raised:
        await outbound.request("GET", "http://localhost:9/secret-path")
    assert "secret-path" not in str(raised.value)


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"", b"[]", b'{"hello": 1}', b"\xff", b"<html>"])
async def test_a_body_of_another_type_is_refused(serve, outbound: Outbound, body: bytes) -> None:
    port = await serve(answering(ok(body)))
    response = await outbound.request("GET", f"http://localhost:{port}/")
    with pytest.raises(UnexpectedBody):
        response.json(Greeting)


@pytest.mark.anyio
async def test_headers_are_found_in_any_case_and_repeated_ones_are_joined(serve, outbound: Outbound) -> None:
    port = await serve(answering(ok(b"token", b"X-A: 1", b"x-a: 2")))
    response = await outbound.request("GET", f"http://localhost:{port}/")
    assert response.headers.get("X-a") == "1, 2"
    assert "token" not in repr(response)


@pytest.mark.anyio
async def test_a_header_cannot_smuggle_a_second_one(serve, outbound: Outbound) -> None:
    seen: list[bytes] = []
    port = await serve(answering(ok(b""), seen))
    with pytest.raises(ValueError, match="cannot be written"):
        await outbound.request("GET", f"http://localhost:{port}/", headers={"x": "a\r\ny: b"})
    assert seen == []
