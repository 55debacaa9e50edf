"""`doorward-connector` as T3 Code runs it: a process with a token in its environment, ended by a signal."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from doorward.connector.carrying import TokenUnusable, loopback_origin, read_token
from doorward.connector.program import main
from doorward.http1 import TcpUpstream
from doorward.tunnel import ConnectorToken, Probing, TunnelRefusal
from tests.ports import free_ports
from tests.tunnel.carriers import Registry

pytestmark = pytest.mark.anyio

PROGRAM = Path(sys.executable).with_name("doorward-connector")


class Running:
    """The program and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []

    async def says(self, text: str) -> str:
        """The next line that has `text` in it."""
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            while line := (await self.process.stderr.readline()).decode():
                self.said.append(line)
                if text in line:
                    return line
        raise AssertionError(f"it ended without saying {text!r}: {self.said}")

    async def ends(self) -> int:
        async with asyncio.timeout(60):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def running(token: str, **environ: str) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        "tunnel",
        "run",
        env={"PATH": os.environ["PATH"], "TUNNEL_TOKEN": token, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def origin_server() -> AsyncIterator[int]:
    """An HTTP server that answers with what reached it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(head), head)
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_local_server_is_reached_by_its_public_name_until_the_signal() -> None:
    async with origin_server() as port, Registry() as registry:
        await registry.start_edge()
        token = registry.token(origin=f"http://127.0.0.1:{port}").encode()
        async with running(token) as connector:
            registered = await connector.says("Registered tunnel connection")
            assert " INF " in registered
            async with httpx.AsyncClient() as visitor:
                answer = await visitor.get(
                    f"http://127.0.0.1:{registry.port}/x?y=1",
                    headers={"host": "app.localhost", "authorization": "DPoP theirs"},
                )
            assert answer.status_code == 200
            heard = answer.text.lower().splitlines()
            assert heard[0] == "get /x?y=1 http/1.1"
            # What a T3 Code server checks a proof against, and its own credential, arrive as they were.
            assert {"host: app.localhost", "x-forwarded-proto: http", "authorization: dpop theirs"} <= set(
                heard
            )
            connector.process.send_signal(signal.SIGTERM)
            assert await connector.ends() == 0
            assert connector.process.stderr is not None
            rest = (await connector.process.stderr.read()).decode()
        assert token not in "".join(connector.said) + rest


async def test_a_refusal_and_a_silent_edge_are_lines_t3_code_shows_as_warnings() -> None:
    async with Registry() as registry:
        (registry.port,) = free_ports(1)
        await registry.start_edge()
        registry.refusal = TunnelRefusal("unlinked", "This machine is not linked.")
        async with running(registry.token(origin="http://127.0.0.1:9").encode()) as connector:
            assert "unlinked" in await connector.says(" ERR ")
            await registry.stop_edge()
        async with running(registry.token(origin="http://127.0.0.1:9").encode()) as connector:
            assert "does not answer" in await connector.says(" WRN ")
            connector.process.send_signal(signal.SIGTERM)
            assert await connector.ends() == 0


async def test_it_comes_back_when_its_edge_does() -> None:
    async with origin_server() as port, Registry() as registry:
        (registry.port,) = free_ports(1)
        await registry.start_edge()
        async with running(registry.token(origin=f"http://127.0.0.1:{port}").encode()) as connector:
            await connector.says("Registered tunnel connection")
            await registry.stop_edge()
            await connector.says(" WRN Retrying connection")
            await registry.start_edge()
            await connector.says("Registered tunnel connection")
            async with httpx.AsyncClient() as visitor:
                answer = await visitor.get(
                    f"http://127.0.0.1:{registry.port}/", headers={"host": "app.localhost"}
                )
            assert answer.status_code == 200


async def test_what_a_killed_connector_was_asked_is_asked_once_more_when_that_does_no_harm() -> None:
    heard: list[bytes] = []
    both, may_answer = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n\r\n")).partition(b" HTTP")[0])
        if len(heard) == 2:
            both.set()
        await may_answer.wait()
        with contextlib.suppress(OSError):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, Registry() as registry:
        await registry.start_edge(hold_seconds=120)
        origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        token = registry.token(origin=origin).encode()
        url, host = f"http://127.0.0.1:{registry.port}/x", {"host": "app.localhost"}
        async with httpx.AsyncClient(timeout=60, headers=host) as visitor:
            async with running(token) as connector:
                await connector.says("Registered tunnel connection")
                asking = asyncio.create_task(visitor.get(url))
                telling = asyncio.create_task(visitor.post(url))
                async with asyncio.timeout(20):
                    await both.wait()
                connector.process.kill()
                assert (await telling).status_code == 502
                may_answer.set()
            async with running(token):
                assert ((await asking).status_code, (await asking).text) == (200, "ok")
    assert sorted(heard) == [b"GET /x", b"GET /x", b"POST /x"]


async def test_a_tunnel_is_registered_when_it_stands_and_a_silent_origin_is_a_warning_of_its_own() -> None:
    """T3 Code waits for the first as for cloudflared's, which says nothing of the origin either."""
    (port,) = free_ports(1)
    async with Registry() as registry:
        await registry.start_edge(probing=Probing(target=b"/.well-known/t3/environment"))
        async with running(registry.token(origin=f"http://127.0.0.1:{port}").encode()) as connector:
            await connector.says("Registered tunnel connection")
            for _ in range(2):
                assert "service_failing" in await connector.says(" WRN Unable to reach the origin service")
            connector.process.send_signal(signal.SIGTERM)
            assert await connector.ends() == 0
            assert connector.process.stderr is not None
            said = "".join(connector.said) + (await connector.process.stderr.read()).decode()
        assert said.count("Registered tunnel connection") == 1


@pytest.mark.parametrize(
    ("token", "sentence"),
    [("", "TUNNEL_TOKEN is empty"), ("eyJhIjoiYiJ9", "unset T3CODE_CLOUDFLARED_PATH")],
)
async def test_a_token_that_is_not_ours_is_told_and_not_retried_in_a_circle(
    token: str, sentence: str
) -> None:
    async with running(token) as connector:
        assert sentence in await connector.says(" ERR ")
        # T3 Code would start it again at once: it stays a while, and still obeys.
        connector.process.send_signal(signal.SIGTERM)
        assert await connector.ends() == 1


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "http://192.0.2.7:80",
        "http://localhost.example:80",
        "https://127.0.0.1:3773",
        "http://127.0.0.1:3773/admin",
        "http://user@127.0.0.1:3773",
        "http://127.0.0.1:3773?x",
        "http://127.0.0.1:port",
        "file:///etc/passwd",
        "http://[::1",
    ],
)
def test_a_relay_cannot_choose_where_the_public_name_leads(origin: str) -> None:
    with pytest.raises(TokenUnusable):
        loopback_origin(origin)


@pytest.mark.parametrize(
    ("origin", "upstream"),
    [
        ("http://127.0.0.1:3773", TcpUpstream("127.0.0.1", 3773)),
        ("http://[::1]:3773", TcpUpstream("::1", 3773)),
        ("http://localhost", TcpUpstream("127.0.0.1", 80)),
    ],
)
def test_the_origin_is_a_plain_server_on_this_machine(origin: str, upstream: TcpUpstream) -> None:
    assert loopback_origin(origin) == upstream


def test_a_token_without_an_origin_is_still_a_token() -> None:
    token = Registry().token()
    assert read_token(token.encode()) == token
    assert ConnectorToken.decode(token.encode()).origin == ""


@pytest.mark.parametrize("asked", [["--version"], ["version"]])
def test_the_version_is_that_of_the_pinned_release(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked) == 0
    assert capsys.readouterr().out.startswith("cloudflared version 2026.5.2 (")
    assert main(["version", "--short"]) == 0
    assert capsys.readouterr().out == "2026.5.2\n"


def test_the_version_needs_no_tunnel() -> None:
    """T3 Code waits for the answer: nothing heavy may be imported for it."""

    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, doorward.connector.program as p; p.main(['version']);"
         " print([m for m in sys.modules if m in ('asyncio', 'msgspec', 'cryptography', 'doorward.tunnel')])"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert loaded.stdout.endswith("[]\n")


def test_unknown_arguments_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tunnel", "run", "--token", "x"]) == 2
    assert "TUNNEL_TOKEN" in capsys.readouterr().err
