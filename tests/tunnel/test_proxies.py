"""An environment behind a corporate HTTP proxy: tinyproxy, the real program, in the way of every tunnel it dials."""

import socket
from pathlib import Path

import msgspec
import pytest

from doorward.http1 import Answer, Forward, Peer, ProxyServer, RequestHead, TcpUpstream
from doorward.tunnel import Connector
from doorward.tunnel.upgrade import Upgrade
from tests.http1.wire import answers, client, origin
from tests.ports import free_ports
from tests.tunnel.carriers import Registry, until
from tests.tunnel.programs import tinyproxy

pytestmark = pytest.mark.anyio


def ok(head: RequestHead, peer: Peer) -> Answer:
    return Answer(200, [], b"ok")


def named(connector: Connector) -> None:
    """A localhost edge is never reached through a proxy: give it a name that the proxy alone resolves the same way."""
    connector._address = msgspec.structs.replace(connector._address, host="127.1")


async def test_a_tunnel_goes_through_a_proxy_with_a_password(tmp_path: Path) -> None:
    async with Registry() as registry:
        await registry.start_edge()
        async with tinyproxy(tmp_path, "BasicAuth person secret", f"ConnectPort {registry.port}") as proxy:
            # In a URL the password is percent-encoded.
            environ = {"HTTP_PROXY": f"http://person:s%65cret@127.0.0.1:{proxy}"}
            async with registry.connector(router=ok, wait=False, environ=environ) as connector:
                named(connector)
                await until(lambda: connector.state.word == "connected")
                assert connector._upgrades.choose("127.0.0.1") is Upgrade.MUX
                async with client(registry.port) as visitor:
                    await visitor.get()
                    assert (await visitor.head())[0] == 200
            log = (tmp_path / "tinyproxy.log").read_text()
            assert "CONNECT" in log
            assert "secret" not in connector.state.message


@pytest.mark.parametrize(
    ("lines", "credentials", "answer"),
    [(["BasicAuth person secret"], "person:wrong@", "401"), (["ConnectPort 1"], "", "403")],
)
async def test_what_a_proxy_refuses_is_said(
    tmp_path: Path, lines: list[str], credentials: str, answer: str
) -> None:
    async with Registry() as registry:
        await registry.start_edge()
        async with tinyproxy(tmp_path, *lines) as proxy:
            environ = {"HTTP_PROXY": f"http://{credentials}127.0.0.1:{proxy}"}
            async with registry.connector(router=ok, wait=False, environ=environ) as connector:
                named(connector)
                await until(lambda: connector.state.reason == "proxy_refused")
                assert f"answered {answer}" in connector.state.message
                assert "wrong" not in connector.state.message


async def test_a_proxy_that_is_not_there_is_said_and_no_proxy_goes_around_it() -> None:
    async with Registry() as registry:
        await registry.start_edge()
        environ = {"HTTP_PROXY": f"http://127.0.0.1:{free_ports(1)[0]}"}
        async with registry.connector(router=ok, wait=False, environ=environ) as connector:
            named(connector)
            await until(lambda: connector.state.reason == "unreachable")
        async with registry.connector(router=ok, environ={**environ, "NO_PROXY": "*"}):
            pass


async def test_an_origin_is_reached_through_a_proxy_and_a_refusal_is_a_502(tmp_path: Path) -> None:
    two = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"] * 2
    async with (
        origin(answers(*two)) as service,
        tinyproxy(tmp_path, "BasicAuth person secret", f"ConnectPort {service.port}") as proxy,
    ):
        for credentials, status in (("person:secret@", 200), ("person:wrong@", 502)):
            # A name that the proxy alone resolves.
            upstream = TcpUpstream("127.1", service.port, proxy=f"http://{credentials}127.0.0.1:{proxy}")
            assert "wrong" not in repr(upstream)
            sock = socket.create_server(("127.0.0.1", 0))
            front = ProxyServer(lambda head, peer, upstream=upstream: Forward(upstream, head))
            await front.serve(sock)
            async with client(sock.getsockname()[1]) as visitor:
                await visitor.get()
                assert (await visitor.head())[0] == status
            await front.close(grace=0)
