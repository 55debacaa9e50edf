"""Which road a request takes: trust stores and proxies."""

import asyncio
import base64
from pathlib import Path

import pytest

from doorward.outbound import (
    CertificateRefused,
    InsecureUrl,
    Outbound,
    Unreachable,
    dial_address,
    is_localhost,
    tls_context,
)
from doorward.outbound.proxies import connect_proxy_for, proxy_from_environment
from doorward.server.tls import ensure_local_authority, server_context

END = b"\r\n\r\n"
VARIABLES = ["https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(END)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2" + END + b"ok")
        await writer.drain()


def proxy(seen: list[bytes], to_port: int):
    """A CONNECT proxy that leads every name to one port of this machine, as a test's internet."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(END))
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to_port)
        writer.write(b"HTTP/1.1 200 Connection established" + END)

        async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                sink.write(data)
            sink.close()

        try:
            await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
        finally:
            far_writer.close()

    return script


@pytest.mark.anyio
async def test_ssl_cert_file_is_honoured(serve, tmp_path: Path, monkeypatch) -> None:
    authority = ensure_local_authority(tmp_path)
    port = await serve(answer, tls=server_context(*authority.leaf(["localhost"])))
    for trusted in (False, True):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate_path))
        client = Outbound()
        try:
            if trusted:
                assert (await client.request("GET", f"https://localhost:{port}/")).body == b"ok"
            else:
                with pytest.raises(CertificateRefused):
                    await client.request("GET", f"https://localhost:{port}/")
        finally:
            await client.close()


@pytest.mark.anyio
async def test_a_certificate_for_another_name_is_refused(serve, tmp_path: Path) -> None:
    authority = ensure_local_authority(tmp_path)
    port = await serve(answer, tls=server_context(*authority.leaf(["a.localhost"])))
    client = Outbound(ca_file=authority.certificate_path)
    try:
        assert (await client.request("GET", f"https://a.localhost:{port}/")).status == 200
        with pytest.raises(CertificateRefused, match=r"(?i)mismatch"):
            await client.request("GET", f"https://b.localhost:{port}/")
    finally:
        await client.close()


def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for content in (None, "no certificate"):
        path = tmp_path / "ca.pem"
        if content:
            path.write_text(content)
        with pytest.raises(CertificateRefused, match=r"ca\.pem"):
            tls_context(path)


@pytest.mark.anyio
async def test_https_goes_through_the_proxy_with_its_credentials_and_this_machine_does_not(
    serve, tmp_path: Path, monkeypatch
) -> None:
    authority = ensure_local_authority(tmp_path)
    port = await serve(answer, tls=server_context(*authority.leaf(["localhost"])))
    seen: list[bytes] = []
    proxy_port = await serve(proxy(seen, port))
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy_port}")
    client = Outbound(ca_file=authority.certificate_path)
    try:
        # The far end has no certificate for this name: the refusal proves that TLS runs end to end through the tunnel.
        with pytest.raises(CertificateRefused, match=r"(?i)mismatch"):
            await client.request("GET", "https://relay.example.com/path")
        assert seen[0].startswith(b"CONNECT relay.example.com:443 HTTP/1.1\r\n")
        assert base64.b64encode(b"me:p@ss") in seen[0]
        assert (await client.request("GET", f"https://localhost:{port}/")).body == b"ok"
        assert len(seen) == 1
    finally:
        await client.close()


@pytest.mark.anyio
async def test_a_proxy_that_refuses_is_unreachable(serve, monkeypatch) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(END)
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0" + END)
        await writer.drain()

    monkeypatch.setenv("https_proxy", f"127.0.0.1:{await serve(refuse)}")
    client = Outbound()
    try:
        with pytest.raises(Unreachable, match="407"):
            await client.request("GET", "https://relay.example.com/")
    finally:
        await client.close()


def test_a_raw_connection_takes_the_proxy_that_a_request_would(monkeypatch) -> None:
    assert connect_proxy_for("relay.example.com") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://me:p%40ss@proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", ".internal")
    assert connect_proxy_for("relay.example.com") == "http://me:p%40ss@proxy.example.com:3128"
    assert connect_proxy_for("app.internal") is None
    assert connect_proxy_for("app.localhost") is None


def test_no_proxy_exempts_names_and_the_names_below_them(monkeypatch) -> None:
    assert proxy_from_environment() is None
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example.com")
    monkeypatch.setenv("NO_PROXY", "corp.example.com, .internal,*.wild.test")
    proxy = proxy_from_environment()
    assert proxy is not None
    assert proxy.url == "http://proxy.example.com:80"
    served = {host: proxy.serves(host) for host in ("relay.example.com", "corp.example.com", "a.corp.example.com", "notcorp.example.com", "x.internal", "a.wild.test", "localhost", "a.localhost", "127.0.0.1", "::1")}  # fmt: skip
    assert [host for host, through in served.items() if through] == [
        "relay.example.com",
        "notcorp.example.com",
    ]
    monkeypatch.setenv("NO_PROXY", "*")
    exempt = proxy_from_environment()
    assert exempt is not None
    assert not exempt.serves("relay.example.com")


@pytest.mark.parametrize("value", ["socks5://localhost:1080", "http://", "ftp://x"])
def test_a_kind_of_proxy_we_do_not_speak_is_refused_at_once(monkeypatch, value: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(InsecureUrl, match="HTTPS_PROXY"):
        Outbound()


def test_a_proxys_password_is_not_shown(monkeypatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hush@proxy.example.com:3128")
    assert "hush" not in repr(proxy_from_environment())


def test_raw_sockets_dial_loopback_for_localhost_names_and_nothing_else() -> None:
    assert dial_address("edge.localhost", 8445) == ("127.0.0.1", 8445)
    assert dial_address("LOCALHOST.", 1) == ("127.0.0.1", 1)
    assert dial_address("[::1]", 1) == ("::1", 1)
    assert dial_address("edge.example.com", 443) == ("edge.example.com", 443)
    assert not is_localhost("localhost.example.com")
    assert not is_localhost("mylocalhost")
