"""What a machine asks of the connection to its edge before it says a word."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from doorward.tunnel.dialing import DialError, dial, edge_address, tls_context
from doorward.tunnel.link import tune
from tests.tunnel.certificate import write_certificate

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def edge(certificate: Path, *, newest: ssl.TLSVersion) -> AsyncIterator[int]:
    """Something that shakes hands on loopback, as `edge.localhost`, and reads."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.maximum_version = newest

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(read, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def dialled(port: int, certificate: Path) -> asyncio.StreamReaderProtocol:
    return await dial(
        edge_address(f"https://edge.localhost:{port}"),
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()),
        context=tls_context(certificate),
        environ={},
    )


async def test_an_edge_is_spoken_to_in_tls_1_3_and_told_the_protocol(tmp_path: Path) -> None:
    certificate = tmp_path / "edge.pem"
    write_certificate(certificate)
    async with edge(certificate, newest=ssl.TLSVersion.TLSv1_3) as port:
        made = await dialled(port, certificate)
        transport = made._transport  # type: ignore[attr-defined]
        session = transport.get_extra_info("ssl_object")
        assert (session.version(), session.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        transport.abort()
    async with edge(certificate, newest=ssl.TLSVersion.TLSv1_2) as port:
        with pytest.raises(DialError) as refused:
            await dialled(port, certificate)
        assert refused.value.code == "unreachable"


def test_a_tunnels_socket_sends_at_once_queues_little_and_gives_up_in_half_a_minute() -> None:
    with contextlib.closing(socket.socket()) as sock:
        tune(sock)

        def option(name: str) -> int:
            return sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))

        assert option("TCP_NODELAY") == 1
        assert option("TCP_NOTSENT_LOWAT") == 128 * 1024
        assert option("TCP_USER_TIMEOUT") == 30_000
