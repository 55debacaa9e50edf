import datetime
import socket
import ssl
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from doorward.outbound import CertificateRefused, Outbound, tls_context
from doorward.server.tls import TlsFolderUnusable, ensure_local_authority, server_context

NAMES = ["*.env.localhost", "localhost", "127.0.0.1", "::1"]


def loaded(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> tuple[str | None, str | None]:
    """(TLS version, ALPN protocol) of a handshake over real sockets, by the client."""
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(far, server_side=True) as connection:
                connection.recv(1)
        except OSError:
            far.close()  # the client refused, as it should in half of these tests

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with near, client.wrap_socket(near, server_hostname=name) as connection:
            return connection.version(), connection.selected_alpn_protocol()
    finally:
        near.close()
        thread.join()


@pytest.mark.parametrize("name", ["machine.env.localhost", "localhost", "127.0.0.1", "::1"])
def test_a_client_that_trusts_the_authority_accepts_its_names_even_checking_strictly(tmp_path, name) -> None:
    authority = ensure_local_authority(tmp_path / "tls")
    client = tls_context(authority.certificate_path)
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    client.set_alpn_protocols(["h2", "http/1.1"])
    assert handshake(client, server_context(*authority.leaf(NAMES)), name) == ("TLSv1.3", "http/1.1")


@pytest.mark.parametrize(
    "name", ["env.localhost", "a.b.env.localhost", "other.localhost", "127.0.0.2", "example.com"]
)
def test_a_leaf_is_good_for_no_other_name(tmp_path, name) -> None:
    authority = ensure_local_authority(tmp_path / "tls")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)mismatch"):
        handshake(tls_context(authority.certificate_path), server_context(*authority.leaf(NAMES)), name)


def test_old_versions_of_tls_are_refused(tmp_path) -> None:
    authority = ensure_local_authority(tmp_path / "tls")
    server = server_context(*authority.leaf(NAMES))
    client = tls_context(authority.certificate_path)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(client, server, "localhost")[0] == "TLSv1.2"
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.anyio
async def test_our_client_refuses_the_authority_until_it_is_told_to_trust_it(tmp_path) -> None:
    import asyncio

    authority = ensure_local_authority(tmp_path / "tls")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context(*authority.leaf(NAMES)))
    url = f"https://m.env.localhost:{server.sockets[0].getsockname()[1]}/"
    stranger, friend = Outbound(), Outbound(ca_file=authority.certificate_path)
    try:
        with pytest.raises(CertificateRefused, match="SSL_CERT_FILE"):
            await stranger.request("GET", url)
        assert (await friend.request("GET", url)).body == b"ok"
    finally:
        await stranger.close()
        await friend.close()
        server.close()
        await server.wait_closed()


def test_openssl_accepts_a_leaf_and_refuses_what_the_constraints_forbid(tmp_path) -> None:
    authority = ensure_local_authority(tmp_path / "tls")
    certificate, _ = authority.leaf(NAMES)
    verify = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        authority.certificate_path,
    ]
    assert subprocess.run([*verify, certificate], capture_output=True).returncode == 0

    # What a thief of the authority's key could make, and nobody who trusts the authority would accept.
    key = serialization.load_pem_private_key((tmp_path / "tls/authority.key").read_bytes(), None)
    for name in (x509.DNSName("example.com"), x509.DNSName("localhost.example.com")):
        genuine = loaded(certificate)
        builder = x509.CertificateBuilder(
            genuine.issuer, genuine.subject, ec.generate_private_key(ec.SECP256R1()).public_key(),
            7, genuine.not_valid_before_utc, genuine.not_valid_after_utc,
        )  # fmt: skip
        for extension in genuine.extensions:
            value = extension.value
            if isinstance(value, x509.SubjectAlternativeName):
                value = x509.SubjectAlternativeName([name])
            builder = builder.add_extension(value, extension.critical)
        forged = tmp_path / "forged.pem"
        forged.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        refused = subprocess.run([*verify, forged], capture_output=True, text=True)
        assert refused.returncode != 0
        assert "permitted subtree violation" in refused.stderr + refused.stdout


@pytest.mark.parametrize(
    "name",
    [
        "example.com",
        "localhost.example.com",
        "127.0.0.2",
        "10.0.0.1",
        "*",
        "*.",
        "a.*.localhost",
        "..localhost",
        "",
    ],
)
def test_a_name_beyond_this_machine_is_refused_before_anything_is_made(tmp_path, name) -> None:
    authority = ensure_local_authority(tmp_path / "tls")
    with pytest.raises(ValueError, match=r"vouches|not a host name"):
        authority.leaf(["localhost", name])
    assert not list((tmp_path / "tls").glob("leaf-*"))


def test_everything_is_kept_between_starts_and_readable_by_its_owner_alone(tmp_path) -> None:
    folder = tmp_path / "home" / "tls"
    first = ensure_local_authority(folder)
    certificate, key = first.leaf(NAMES)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert ensure_local_authority(folder).leaf(reversed(NAMES)) == (certificate, key)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_leaf_lives_90_days_and_is_renewed_when_fewer_than_30_remain(tmp_path) -> None:
    start = datetime.datetime.now(datetime.UTC)
    at = start

    def now() -> datetime.datetime:
        return at

    authority = ensure_local_authority(tmp_path, now=now)
    first = loaded(authority.leaf(NAMES)[0])
    assert first.not_valid_after_utc - first.not_valid_before_utc <= datetime.timedelta(days=90)
    at = start + datetime.timedelta(days=59)
    assert loaded(authority.leaf(NAMES)[0]) == first
    at = start + datetime.timedelta(days=61)
    renewed = loaded(ensure_local_authority(tmp_path, now=now).leaf(NAMES)[0])
    assert renewed.not_valid_after_utc > first.not_valid_after_utc
    renewed.verify_directly_issued_by(loaded(authority.certificate_path))


@pytest.mark.parametrize("damage", ["authority.key", "authority.pem"])
def test_a_damaged_authority_is_made_anew_and_its_leaves_with_it(tmp_path, damage) -> None:
    old = loaded(ensure_local_authority(tmp_path).leaf(NAMES)[0])
    (tmp_path / damage).write_bytes(b"half a fi")
    authority = ensure_local_authority(tmp_path)
    new = loaded(authority.leaf(NAMES)[0])
    assert new != old
    new.verify_directly_issued_by(loaded(authority.certificate_path))


def test_processes_that_start_at_once_share_one_authority(tmp_path) -> None:
    with ThreadPoolExecutor(8) as threads:
        authorities = list(threads.map(lambda _: ensure_local_authority(tmp_path), range(8)))
        leaves = set(threads.map(lambda authority: authority.leaf(NAMES), authorities))
    assert len(leaves) == 1
    loaded(leaves.pop()[0]).verify_directly_issued_by(loaded(authorities[0].certificate_path))


def test_an_unusable_folder_is_named_with_what_to_do(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TlsFolderUnusable, match="writable"):
        ensure_local_authority(tmp_path / "file" / "tls")
