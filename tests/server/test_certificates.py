"""Several certificates on one listener, and their renewal."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

from doorward.http1 import Answer, Peer, RequestHead
from doorward.server.certificates import CertificateUnusable, ServerCertificates
from doorward.server.configuration import CertificateFiles
from tests.e2e.certificates import Certificates, issue
from tests.tunnel.carriers import Registry, until

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


def issued(folder: Path, *names: str) -> tuple[Certificates, CertificateFiles]:
    folder.mkdir()
    made = issue(folder, names)
    return made, CertificateFiles(certificate=made.leaf, key=made.key)


async def shown(port: int, name: str | None) -> list[str]:
    """The names of the certificate that a client gets who asks for `name`."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name or "")
    raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    found = x509.load_der_x509_certificate(raw).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return found.value.get_values_for_type(x509.DNSName)


@asynccontextmanager
async def listening(certificates: ServerCertificates) -> AsyncIterator[int]:
    server = await asyncio.start_server(
        lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=certificates.context
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_the_name_a_client_asks_for_chooses_the_certificate(tmp_path: Path) -> None:
    _, zone = issued(tmp_path / "zone", "*.machines.example", "machines.example")
    _, shop = issued(tmp_path / "shop", "shop.example.org")
    async with listening(ServerCertificates([zone, shop])) as port:
        assert await shown(port, "app.machines.example") == ["*.machines.example", "machines.example"]
        assert await shown(port, "SHOP.example.org") == ["shop.example.org"]
        for name in ("elsewhere.example", "a.b.machines.example", None):
            assert (await shown(port, name))[0] == "*.machines.example"


async def test_a_service_is_reached_under_its_owners_own_domain(tmp_path: Path) -> None:
    zone, zone_files = issued(tmp_path / "zone", "edge.localhost", "*.localhost")
    shop, shop_files = issued(tmp_path / "shop", "shop.example.org")

    def answer(head: RequestHead, peer: Peer) -> Answer:
        return Answer(200, [], head.host.encode())

    class TlsRegistry(Registry):
        @property
        def origin(self) -> str:
            return f"https://edge.localhost:{self.port}"

    async with TlsRegistry(("app.localhost", "shop.example.org")) as registry:
        plain = await registry.start_edge()
        sock = socket.create_server(("127.0.0.1", 0))
        registry.port = sock.getsockname()[1]
        plain.origin = registry.origin
        await plain.serve([sock], ssl=ServerCertificates([zone_files, shop_files]).context)
        async with registry.connector(router=answer, ca_file=zone.authority):
            trust = ssl.create_default_context(cafile=str(shop.authority))
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", registry.port, ssl=trust, server_hostname="shop.example.org"
            )
            writer.write(b"GET / HTTP/1.1\r\nHost: shop.example.org\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"\r\n\r\nshop.example.org")
            writer.close()


async def test_renewed_files_are_shown_and_half_a_pair_changes_nothing(tmp_path: Path) -> None:
    _, first = issued(tmp_path / "first", "old.example")
    renewed, _ = issued(tmp_path / "renewed", "new.example")
    certificates = ServerCertificates([first])
    watching = asyncio.create_task(certificates.watch(interval=0.05))
    try:
        async with listening(certificates) as port:
            shutil.copy(renewed.leaf, first.certificate)
            # The key is still the old one.
            with pytest.raises(CertificateUnusable):
                certificates.reload()
            assert await shown(port, None) == ["old.example"]
            os.replace(renewed.key, first.key)
            await until(lambda: "new.example" in certificates._loaded.by_name)
            assert await shown(port, None) == ["new.example"]
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def test_a_signal_reads_the_files_anew(tmp_path: Path) -> None:
    _, files = issued(tmp_path / "first", "old.example")
    certificates = ServerCertificates([files])
    watching = asyncio.create_task(certificates.watch(interval=3600))
    try:
        before = certificates._loaded
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: certificates._loaded is not before)
    finally:
        watching.cancel()
        await asyncio.wait([watching])


@pytest.mark.parametrize("spoil", ["missing", "garbage", "another key"])
def test_files_that_cannot_be_used_are_named(tmp_path: Path, spoil: str) -> None:
    _, files = issued(tmp_path / "one", "one.example")
    other, _ = issued(tmp_path / "two", "two.example")
    if spoil == "missing":
        files.key.unlink()
    elif spoil == "garbage":
        files.certificate.write_text("no certificate")
    else:
        shutil.copy(other.key, files.key)
    with pytest.raises(CertificateUnusable, match=r"one/leaf\.pem"):
        ServerCertificates([files])
