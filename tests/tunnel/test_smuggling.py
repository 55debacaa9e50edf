"""Attacks on the edge from all three sides: a visitor, a service and a machine that cheat about where messages end.

Whatever is sent, what the service sees is what the edge judged, and no visitor gets bytes that were made for another.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from doorward.tunnel import frames, messages
from doorward.tunnel.frames import FIN, pack
from tests.http1.wire import Client, client, origin
from tests.tunnel.carriers import Registry, to_origin, until
from tests.tunnel.raw_machine import raw_machine

pytestmark = pytest.mark.anyio

GET = b"GET /smuggled HTTP/1.1\r\nHost: app.localhost\r\n\r\n"
HOST = b"Host: app.localhost\r\n"


def post(*headers: bytes, body: bytes = b"0\r\n\r\n" + GET, start: bytes = b"POST / HTTP/1.1") -> bytes:
    return start + b"\r\n" + HOST + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


def get(*headers: bytes, start: bytes = b"GET / HTTP/1.1", host: bytes = HOST) -> bytes:
    return start + b"\r\n" + host + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + GET


CHUNKED = b"Transfer-Encoding: chunked"
BY_VISITORS = {
    "CL.TE": post(b"Content-Length: 5", CHUNKED),
    "TE.CL": post(CHUNKED, b"Content-Length: 5"),
    "CL.TE with a second length": post(b"Content-Length: 5", CHUNKED, b"Content-Length: 50"),
    "TE.TE, the second obscured": post(CHUNKED, b"Transfer-Encoding: xchunked"),
    "TE.TE, the first obscured": post(b"Transfer-Encoding: identity", CHUNKED),
    "TE with a list": post(b"Transfer-Encoding: chunked, chunked"),
    "TE with a quoted value": post(b'Transfer-Encoding: "chunked"'),
    "TE with a vertical tab": post(b"Transfer-Encoding: \x0bchunked"),
    "TE with a parameter": post(b"Transfer-Encoding: chunked;q=1"),
    "TE before a colon with a space": post(b"Transfer-Encoding : chunked"),
    "TE folded": post(b"Transfer-Encoding:", b" chunked"),
    "TE with a bare line feed": post(b"X: y\nTransfer-Encoding: chunked"),
    "TE with a bare carriage return": post(b"X: y\rTransfer-Encoding: chunked"),
    "TE with an underscore beside a dash": post(CHUNKED, b"Transfer_Encoding: identity"),
    "TE in HTTP/1.0": post(CHUNKED, start=b"POST / HTTP/1.0"),
    "CL twice": post(b"Content-Length: 5", b"Content-Length: 5"),
    "CL with a plus": post(b"Content-Length: +5"),
    "CL with a minus": post(b"Content-Length: -5"),
    "CL as a list": post(b"Content-Length: 5,5"),
    "CL in hexadecimal": post(b"Content-Length: 0x5"),
    "CL with a null byte": post(b"Content-Length: 5\x00"),
    "CL that overflows": post(b"Content-Length: 18446744073709551621"),
    "CL hidden by Connection": post(b"Content-Length: 5", b"Connection: content-length"),
    "CL with an underscore beside a dash": post(b"Content-Length: 5", b"Content_Length: 500"),
    "a folded header": get(b"X: a", b"\tb"),
    "a folded first header": b"GET / HTTP/1.1\r\n X: y\r\n" + HOST + b"\r\n" + GET,
    "bare line feeds throughout": b"GET / HTTP/1.1\nHost: app.localhost\n\n" + GET,
    "one bare line feed at the end": b"GET / HTTP/1.1\r\nHost: app.localhost\r\n\n" + GET,
    "a bare carriage return at the end": b"GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\r\n" + GET,
    "a null byte in a value": get(b"X: a\x00b"),
    "a null byte in a name": get(b"X\x00Y: a"),
    "a carriage return in a value": get(b"X: a\rSet-Cookie: b"),
    "a space in a name": get(b"X Y: a"),
    "no name": get(b": a"),
    "no colon": get(b"X"),
    "a name with a slash": get(b"X/Y: a"),
    "two hosts": get(b"Host: evil.localhost"),
    "two hosts that agree": get(b"Host: app.localhost"),
    "no host": get(host=b""),
    "an empty host": get(host=b"Host: \r\n"),
    "a list of hosts": get(host=b"Host: app.localhost, evil.localhost\r\n"),
    "a host with credentials": get(host=b"Host: app.localhost@evil.localhost\r\n"),
    "a host with a path": get(host=b"Host: app.localhost/x\r\n"),
    "a host with a null byte": get(host=b"Host: app.localhost\x00.evil\r\n"),
    "a host with a bad port": get(host=b"Host: app.localhost:80:81\r\n"),
    "absolute form for another host": get(start=b"GET http://evil.localhost/ HTTP/1.1"),
    "absolute form with credentials": get(start=b"GET http://app.localhost@evil.localhost/ HTTP/1.1"),
    "absolute form of another scheme": get(start=b"GET gopher://app.localhost/ HTTP/1.1"),
    "authority form": get(start=b"GET app.localhost:80 HTTP/1.1"),
    "a fragment in the target": get(start=b"GET /#x HTTP/1.1"),
    "a null byte in the target": get(start=b"GET /\x00x HTTP/1.1"),
    "two spaces before the target": get(start=b"GET  / HTTP/1.1"),
    "two spaces before the version": get(start=b"GET /  HTTP/1.1"),
    "a tab in the request line": get(start=b"GET\t/ HTTP/1.1"),
    "a version in lower case": get(start=b"GET / http/1.1"),
    "a request without a version": b"GET /\r\n\r\n" + GET,
    "an upgrade with a body": post(b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 5"),
    "an upgrade with chunks": post(b"Connection: upgrade", b"Upgrade: websocket", CHUNKED),
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + GET,
    "a tunnel to elsewhere": get(start=b"CONNECT app.localhost:80 HTTP/1.1"),
}  # fmt: skip
CHUNKS = {
    "a size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a size with a plus": b"+3\r\nabc\r\n0\r\n\r\n",
    "a size with a minus": b"-3\r\nabc\r\n0\r\n\r\n",
    "a size with a space before": b" 3\r\nabc\r\n0\r\n\r\n",
    "a size with an underscore": b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n",
    "a size that overflows": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "an empty size": b"\r\nabc\r\n0\r\n\r\n",
    "a size line with a bare line feed": b"3\nabc\r\n0\r\n\r\n",
    "an extension with a bare line feed": b"3;x\nabc\r\n0\r\n\r\n",
    "an extension with a carriage return": b"3;x\ry\r\nabc\r\n0\r\n\r\n",
    "an extension with a null byte": b"3;x\x00\r\nabc\r\n0\r\n\r\n",
    "an extension without end": b"3;" + b"x" * 10_000,
    "a chunk longer than its size": b"3\r\nabcdef\r\n0\r\n\r\n",
    "a chunk that ends with a bare line feed": b"3\r\nabc\n0\r\n\r\n",
    "a last chunk with a bare line feed": b"3\r\nabc\r\n0\n\r\n",
    "a trailer with a bare line feed": b"0\r\nX: y\nZ: a\r\n\r\n",
    "a folded trailer": b"0\r\nX: y\r\n z\r\n\r\n",
    "a trailer without a colon": b"0\r\nX\r\n\r\n",
    "trailers without end": b"0\r\n" + b"X: y\r\n" * 5000,
}  # fmt: skip


class Recorder:
    """A service that takes requests as loosely as the worst one would: whatever looks like a start is one."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        index = len(self.heard)
        self.heard.append(b"")
        answered = 0
        while data := await reader.read(65536):
            self.heard[index] += data
            starts = len(self.starts(self.heard[index]))
            for _ in range(starts - answered):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            answered = starts

    def starts(self, data: bytes | None = None) -> list[bytes]:
        every = b"".join(self.heard) if data is None else data
        return re.findall(rb"(?:GET|POST|PRI|CONNECT) (\S+) HTTP/", every)


@asynccontextmanager
async def attacked() -> AsyncIterator[tuple[Client, Recorder, Registry]]:
    service = Recorder()
    async with origin(service) as server, Registry() as registry:
        await registry.start_edge()
        async with (
            registry.connector(router=to_origin(server.port)),
            client(registry.port) as visitor,
        ):
            yield visitor, service, registry


async def is_well(registry: Registry) -> bool:
    async with client(registry.port) as visitor:
        await visitor.get("/well")
        return (await visitor.head())[0] == 200 and await visitor.body(2) == b"ok"


@pytest.mark.parametrize("attack", BY_VISITORS.values(), ids=BY_VISITORS)
async def test_a_visitor_smuggles_no_request(attack: bytes) -> None:
    async with attacked() as (visitor, service, registry):
        await visitor.send(attack)
        status, headers = await visitor.head()
        assert status in (400, 501, 505)
        assert headers["connection"] == "close"
        # One answer and the end: nothing behind the attack is read as a request.
        assert re.search(rb"HTTP/1\.1 \d", await visitor.rest()) is None
        assert await is_well(registry)
        assert service.starts() == [b"/well"]


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
async def test_chunks_that_can_be_read_in_two_ways_end_the_request(chunks: bytes) -> None:
    async with attacked() as (visitor, service, registry):
        await visitor.send(post(CHUNKED, body=chunks + GET))
        answer = await visitor.rest()
        assert b"/smuggled" not in b"".join(service.heard)
        assert answer.startswith(b"HTTP/1.1 400") or not answer.startswith(b"HTTP/1.1 2")
        assert await is_well(registry)


async def test_chunk_extensions_and_forbidden_trailers_end_at_the_edge() -> None:
    async with attacked() as (visitor, service, _):
        body = b"3;a=b;c\r\nabc\r\n0\r\nHost: evil\r\nContent-Length: 9\r\nX-Sum: 1\r\n\r\n"
        await visitor.send(post(CHUNKED, body=body))
        assert (await visitor.head())[0] == 200
        await until(lambda: b"x-sum" in service.heard[0])
        assert b"a=b" not in service.heard[0]
        assert b"evil" not in service.heard[0]
        assert service.heard[0].count(b"ontent-length") == 0


async def test_what_a_visitor_says_about_the_hop_reaches_nobody() -> None:
    async with attacked() as (visitor, service, _):
        await visitor.send(
            b"GET / HTTP/1.1\r\n"
            + HOST
            + b"Connection: close, X-Forwarded-For, Cookie\r\nCookie: a=b\r\nTE: trailers\r\nKeep-Alive: 5\r\n"
            b"Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nX-Forwarded-For: 6.6.6.6\r\n"
            b"X-Connect-User: root\r\nForwarded: for=6.6.6.6\r\n\r\n"
        )
        assert (await visitor.head())[0] == 200
        heard = b"".join(service.heard).lower()
        for trace in (b"6.6.6.6", b"cookie", b"keep-alive", b"proxy-", b"te:", b"x-connect", b"close"):
            assert trace not in heard
        assert b"x-forwarded-for: 127.0.0.1" in heard


BY_SERVICES = {
    "CL and TE": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a carriage return in a value": b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: injected\r\nContent-Length: 0\r\n\r\n",
    "a line feed in a value": b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: injected\r\nContent-Length: 0\r\n\r\n",
    "a null byte in a value": b"HTTP/1.1 200 OK\r\nX: injected\x00\r\nContent-Length: 0\r\n\r\n",
    "an upgrade nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a bare line feed": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
}  # fmt: skip


@pytest.mark.parametrize("response", BY_SERVICES.values(), ids=BY_SERVICES)
async def test_a_service_splits_no_response(response: bytes) -> None:
    async def hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await reader.read()

    async with origin(hostile) as server, Registry() as registry:
        await registry.start_edge()
        async with (
            registry.connector(router=to_origin(server.port)),
            client(registry.port) as visitor,
        ):
            await visitor.get(headers="Connection: close\r\n")
            answer = await visitor.rest()
            assert answer.startswith(b"HTTP/1.1 502")
            assert b"injected" not in answer
            assert answer.count(b"HTTP/1.1") == 1


async def test_bytes_behind_a_services_answer_are_never_the_next_visitors() -> None:
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"

    async def hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + poison)

    async with origin(hostile) as server, Registry() as registry:
        await registry.start_edge()
        async with registry.connector(router=to_origin(server.port)):
            for _ in range(3):
                async with client(registry.port) as visitor:
                    await visitor.get()
                    assert (await visitor.head())[1]["content-length"] == "2"
                    assert await visitor.body(2) == b"ok"
            # A connection that spoke unasked is not used again.
            assert server.connections == 3


def reply(
    status: int = 200,
    reason: bytes = b"OK",
    headers: list[tuple[bytes, bytes]] | None = None,
    length: int = 2,
    *,
    upgrade: bytes = b"",
    flags: int = 0,
    stream: int = 2,
) -> bytes:
    headers = [(b"content-length", b"2")] if headers is None else headers
    fields = [status, reason, headers, upgrade, length]
    return pack(frames.REPLY, flags, stream, msgspec.msgpack.encode(fields))


OK_BODY = pack(frames.DATA, FIN, 2, b"ok")
SPLIT = b"a\r\nset-cookie: injected"
BY_MACHINES = {
    "a line break in a value": [reply(headers=[(b"x", SPLIT), (b"content-length", b"2")]), OK_BODY],
    "a line break in a name": [reply(headers=[(b"x: y\r\ninjected", b"z"), (b"content-length", b"2")]), OK_BODY],
    "a line break in the reason": [reply(reason=b"OK\r\ninjected: 1"), OK_BODY],
    "a null byte in a value": [reply(headers=[(b"x", b"injected\x00"), (b"content-length", b"2")]), OK_BODY],
    "a name in upper case": [reply(headers=[(b"Injected", b"a"), (b"content-length", b"2")]), OK_BODY],
    "a hop-by-hop header": [reply(headers=[(b"transfer-encoding", b"chunked")], length=-1), OK_BODY],
    "Connection": [reply(headers=[(b"connection", b"injected"), (b"content-length", b"2")]), OK_BODY],
    "two lengths": [reply(headers=[(b"content-length", b"2"), (b"content-length", b"9")]), OK_BODY],
    "a length that lies": [reply(headers=[(b"content-length", b"9")]), OK_BODY],
    "a length without its header": [reply(headers=[], length=2), OK_BODY],
    "a length that hides a body": [reply(headers=[(b"content-length", b"9")], length=0, flags=FIN)],
    "an upgrade nobody asked for": [reply(101, upgrade=b"x", headers=[], length=-1), pack(frames.DATA, 0, 2, b"injected")],
    "a status beyond all": [reply(999), OK_BODY],
    "a status below all": [reply(99), OK_BODY],
    "a body before the head": [pack(frames.DATA, 0, 2, b"injected"), reply(), OK_BODY],
    "the end before the head": [pack(frames.END, 0, 2)],
    "an interim head with a body": [reply(103, headers=[(b"content-length", b"9")], length=9), reply(), OK_BODY],
    "an interim head that ends": [reply(103, headers=[], length=0, flags=FIN)],
    "trailers with a line break": [
        reply(headers=[], length=-1),
        pack(frames.END, 0, 2, messages.encode_trailers([(b"x", SPLIT)])),
    ],
}  # fmt: skip


@pytest.mark.parametrize("said", BY_MACHINES.values(), ids=BY_MACHINES)
async def test_a_machine_splits_no_response(said: list[bytes]) -> None:
    async with Registry() as registry:
        edge = await registry.start_edge(hold_seconds=0.05)
        async with raw_machine(registry) as machine, client(registry.port) as visitor:
            await visitor.get()
            await machine.frame(frames.OPEN)
            await machine.say(*said)
            answer = await visitor.rest() if b"trailers" in b"".join(said) else await _answer(visitor)
            assert b"injected" not in answer
            assert answer.count(b"HTTP/1.1") == 1
            assert answer.startswith((b"HTTP/1.1 502", b"HTTP/1.1 200"))
            if answer.startswith(b"HTTP/1.1 200"):
                # The head was out before the lie: the chunked body does not end.
                assert not answer.endswith(b"0\r\n\r\n")
        await until(lambda: not edge.links)


async def _answer(visitor: Client) -> bytes:
    """What a visitor gets on a connection that it asks to close with its second request."""
    await visitor.get(host="nobody.localhost", headers="Connection: close\r\n")
    answer = await visitor.rest()
    # The second request's own answer, a 404, is not the machine's.
    return answer.partition(b"HTTP/1.1 404")[0]


@pytest.mark.parametrize(
    "behind",
    [
        pack(frames.DATA, 0, 2, b"HTTP/1.1 200 OK\r\n\r\ninjected"),
        reply(),
        pack(frames.END, 0, 2, messages.encode_trailers([(b"x-injected", b"1")])),
    ],
    ids=["more body", "another head", "trailers"],
)
async def test_what_a_machine_says_behind_its_answer_reaches_no_visitor(behind: bytes) -> None:
    async with Registry() as registry:
        await registry.start_edge(hold_seconds=0.05)
        async with raw_machine(registry) as machine, client(registry.port) as visitor:
            await visitor.get()
            await machine.frame(frames.OPEN)
            await machine.say(reply(), OK_BODY, behind)
            assert (await visitor.head())[0] == 200
            assert await visitor.body(2) == b"ok"
            assert b"injected" not in await _answer(visitor)


@pytest.mark.parametrize("flags", [0, FIN], ids=["and goes on", "and ends in one piece with its head"])
async def test_a_body_longer_than_it_was_said_to_be_ends_the_visitors_connection(flags: int) -> None:
    async with Registry() as registry:
        await registry.start_edge()
        async with raw_machine(registry) as machine, client(registry.port) as visitor:
            await visitor.get()
            await machine.frame(frames.OPEN)
            await machine.say(reply(), pack(frames.DATA, flags, 2, b"okHTTP/1.1 200 OK\r\n\r\ninjected"))
            assert b"injected" not in await visitor.rest()


@pytest.mark.parametrize(
    "said",
    [
        [reply(), pack(frames.DATA, FIN, 2, b"o")],
        [reply(304, headers=[], length=0), pack(frames.DATA, FIN, 2, b"injected")],
        [reply(204, headers=[], length=0), pack(frames.DATA, FIN, 2, b"injected")],
    ],
    ids=["shorter than it was said to be", "of a 304", "of a 204"],
)
async def test_a_body_in_one_piece_with_a_head_it_does_not_fit_is_nobodys_next_answer(
    said: list[bytes],
) -> None:
    async with Registry() as registry:
        await registry.start_edge(hold_seconds=0.05)
        async with raw_machine(registry) as machine, client(registry.port) as visitor:
            await visitor.get()
            await machine.frame(frames.OPEN)
            await machine.say(*said)
            answer = await visitor.rest()
            # The head of a lie may never leave us.
            assert answer.count(b"HTTP/1.1") <= 1
            assert b"injected" not in answer
