"""An edge behind TLS of a test's own, and somebody who stands between it and its machines."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from doorward.tunnel.pinning import pin_of
from tests.e2e.certificates import Certificates
from tests.tunnel.carriers import Registry

#: Reached through a proxy: names of localhost never are.
AFAR = "edge.example"
NAMES = ("edge.localhost", AFAR)


def pin(certificates: Certificates) -> str:
    leaf = x509.load_pem_x509_certificate(certificates.leaf.read_bytes())
    return pin_of(leaf.public_bytes(Encoding.DER))


def trusting(path: Path, *all_of: Certificates) -> Path:
    """A file of all these authorities."""
    path.write_bytes(b"".join(certificates.authority.read_bytes() for certificates in all_of))
    return path


def shown(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.leaf, certificates.key)
    return context


async def secure(registry: Registry, certificates: Certificates) -> int:
    """Let the registry's edge, which is started, accept over TLS too; the port."""
    assert registry.edge is not None
    sock = socket.create_server(("127.0.0.1", 0))
    port = int(sock.getsockname()[1])
    registry.edge.origin = f"https://edge.localhost:{port}"
    await registry.edge.serve([sock], ssl=shown(certificates))
    return port


class Interceptor:
    """A proxy that ends TLS itself, as those of companies do; `overheard` is what machines said inside."""

    def __init__(self) -> None:
        self.port = 0
        self.overheard = bytearray()


@contextlib.asynccontextmanager
async def interceptor(
    certificates: Certificates, edge: Certificates, port: int
) -> AsyncIterator[Interceptor]:
    """It leads every CONNECT to `port`, where it trusts `edge`, and shows its own `certificates`."""
    state = Interceptor()
    to_edge = ssl.create_default_context(cafile=edge.authority)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.start_tls(shown(certificates))
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=to_edge, server_hostname="edge.localhost"
            )
            try:
                await asyncio.gather(_pump(reader, far_writer, state.overheard), _pump(far_reader, writer))
            finally:
                far_writer.close()
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        state.port = server.sockets[0].getsockname()[1]
        yield state


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, overheard: bytearray | None = None
) -> None:
    while data := await source.read(65536):
        if overheard is not None:
            overheard += data
        sink.write(data)
        await sink.drain()
    sink.close()
