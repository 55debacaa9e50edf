"""Middleboxes that eat the tunnel's upgrade: the same frames go through as a WebSocket."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from doorward.http1 import Answer, Peer, RequestHead
from doorward.tunnel import Connector
from doorward.tunnel.upgrade import TUNNEL_PATH, Upgrade
from tests.http1.wire import answers, client, origin
from tests.tunnel.carriers import FAST_HEARTBEAT, Registry, never, to_origin, until
from tests.tunnel.programs import nginx

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FALLBACK = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"


def behind(connector: Connector, port: int) -> None:
    """Reach the edge through the middlebox at `port`; the proof still names the edge."""
    connector._address = msgspec.structs.replace(connector._address, port=port)


def mode(connector: Connector) -> Upgrade:
    return connector._upgrades.choose("127.0.0.1")


async def test_a_proxy_that_knows_websocket_only_is_crossed_and_remembered(tmp_path: Path) -> None:
    body = secrets.token_bytes(3_000_000)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(body)) == body
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()

    async with origin(echo) as service, Registry() as registry:
        edge = await registry.start_edge()
        to_edge = (
            f"location / {{ proxy_pass http://127.0.0.1:{registry.port}; proxy_http_version 1.1;"
            "proxy_set_header Host $http_host; proxy_set_header Upgrade $known;"
            "proxy_set_header Connection $hop; proxy_buffering off; }"
        )
        async with (
            nginx(tmp_path, to_edge) as middlebox,
            registry.connector(router=to_origin(service.port), wait=False) as connector,
        ):
            behind(connector, middlebox)
            await until(lambda: connector.state.word == "connected")
            assert mode(connector) is Upgrade.WEBSOCKET
            async with client(registry.port) as visitor:
                for _ in range(2):
                    await visitor.get(method="POST", headers=f"Content-Length: {len(body)}\r\n")
                    await visitor.send(body)
                    assert (await visitor.head())[0] == 200
                    assert await visitor.body(len(body)) == body
            opened = edge.stats().tunnels_opened
            next(iter(edge.links)).abort("a lost connection")
            await until(lambda: edge.stats().tunnels_opened == opened + 1)
            # It came as a WebSocket at once: nothing was tried that the middlebox eats.
            await until(lambda: connector.state.word == "connected")
            assert mode(connector) is Upgrade.WEBSOCKET


@asynccontextmanager
async def box(answer: bytes | None) -> AsyncIterator[int]:
    """A middlebox that answers `answer` to everything and closes, or never says a word."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)

    async with origin(handler) as server:
        yield server.port


@pytest.mark.parametrize(
    ("answer", "is_eaten"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", True),
        (b"", True),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", False),
    ],
)
async def test_what_a_middlebox_says_decides_whether_the_other_form_is_tried(
    answer: bytes, is_eaten: bool
) -> None:
    async with (
        box(answer) as middlebox,
        Registry() as registry,
        registry.connector(router=never, wait=False, uniform=lambda low, high: 3600.0) as connector,
    ):
        behind(connector, middlebox)
        await until(lambda: connector.state.reason == "no_tunnel_here")
        assert mode(connector) is (Upgrade.WEBSOCKET if is_eaten else Upgrade.MUX)


async def test_a_middlebox_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.tunnel.connector.HANDSHAKE_SECONDS", 0.2)
    async with (
        box(None) as middlebox,
        Registry() as registry,
        registry.connector(router=never, wait=False, uniform=lambda low, high: 3600.0) as connector,
    ):
        behind(connector, middlebox)
        await until(lambda: connector.state.reason == "no_tunnel_here")
        assert mode(connector) is Upgrade.WEBSOCKET


@pytest.mark.parametrize(
    "spoiled",
    [
        FALLBACK,
        FALLBACK + "Sec-WebSocket-Protocol: chat\r\n",
        FALLBACK.replace("Version: 13", "Version: 8") + "Sec-WebSocket-Protocol: connect-mux.1\r\n",
        FALLBACK.replace("AAAA", "A,AA") + "Sec-WebSocket-Protocol: connect-mux.1\r\n",
    ],
)
async def test_another_websocket_is_no_tunnel(spoiled: str) -> None:
    async with Registry() as registry:
        await registry.start_edge()
        async with client(registry.port) as machine:
            await machine.get(TUNNEL_PATH, headers=spoiled)
            assert (await machine.head())[0] == 426


async def test_text_or_a_broken_frame_ends_the_connection_and_nothing_else() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge()
        url = f"ws://127.0.0.1:{registry.port}{TUNNEL_PATH}"
        async with connect(url, subprotocols=["connect-mux.1"], proxy=None) as machine:  # type: ignore[list-item]
            await machine.recv()
            await machine.send("text")
            with pytest.raises(ConnectionClosedError) as ended:
                await machine.recv()
            assert ended.value.rcvd is not None
            assert ended.value.rcvd.code == 1003
        async with client(registry.port) as raw:
            await raw.get(TUNNEL_PATH, headers=FALLBACK + "Sec-WebSocket-Protocol: connect-mux.1\r\n")
            assert (await raw.head())[0] == 101
            # A client's frame that is not masked.
            await raw.send(b"\x82\x05hello")
            await raw.rest()
        await until(lambda: not edge.links)
        async with registry.connector(router=lambda head, peer: Answer(204)):
            assert edge.is_connected("env-1")


async def test_a_silent_websocket_is_noticed_too(tmp_path: Path) -> None:
    def answered(head: RequestHead, peer: Peer) -> Answer:
        return Answer(200, [], b"ok")

    async with Registry() as registry:
        await registry.start_edge(heartbeat=FAST_HEARTBEAT)
        async with registry.connector(router=answered, wait=False, heartbeat=FAST_HEARTBEAT) as connector:
            connector._upgrades.eaten("127.0.0.1", Upgrade.MUX)
            await until(lambda: connector.state.word == "connected")
            (link,) = connector._links
            transport = link._transport
            assert transport is not None
            transport.pause_reading()
            await until(lambda: connector.state.word == "connecting")
            await until(lambda: connector.state.word == "connected")
            async with client(registry.port) as visitor:
                await visitor.get()
                assert (await visitor.head())[0] == 200


async def test_the_plain_upgrade_is_used_where_nothing_eats_it() -> None:
    async with origin(answers(OK)) as service, Registry() as registry:
        await registry.start_edge()
        async with registry.connector(router=to_origin(service.port)) as connector:
            assert mode(connector) is Upgrade.MUX
