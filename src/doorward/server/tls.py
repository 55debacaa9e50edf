"""TLS of this machine's own: a local authority for `up --tls`, and server contexts.

The authority can vouch for nothing but this machine: its certificate is constrained (RFC 5280 §4.2.1.10) to
localhost, the names below it, 127.0.0.1 and ::1, so that trusting it, or losing its key, opens no other site.

    authority = ensure_local_authority(home / "tls")
    certificate, key = authority.leaf(["*.env.localhost", "127.0.0.1"])
    context = server_context(certificate, key)
"""

import datetime
import fcntl
import hashlib
import ipaddress
import os
import secrets
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LEAF_DAYS = 90
RENEW_DAYS = 30
# The authority is remade this long before its end, so that no leaf outlives it.
AUTHORITY_DAYS = 3650
AUTHORITY_RENEW_DAYS = 2 * LEAF_DAYS
# Clocks of a phone or a virtual machine may be behind.
BACKDATE = datetime.timedelta(hours=1)

_PERMITTED = (
    x509.DNSName("localhost"),
    x509.DNSName(".localhost"),
    x509.IPAddress(ipaddress.ip_network("127.0.0.1/32")),
    x509.IPAddress(ipaddress.ip_network("::1/128")),
)

Now = Callable[[], datetime.datetime]


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class TlsFolderUnusable(Exception):
    """The folder of certificates cannot be read or written; the text says what to do."""

    code = "tls_folder_unusable"


class LocalAuthority:
    """The authority of one folder. Made by `ensure_local_authority`."""

    def __init__(
        self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, now: Now
    ) -> None:
        self._folder = folder
        self._certificate = certificate
        self._key = key
        self._now = now

    @property
    def certificate_path(self) -> Path:
        """What clients trust: `SSL_CERT_FILE`, `NODE_EXTRA_CA_CERTS`, a browser's import."""
        return _certificate_path(self._folder, "authority")

    def leaf(self, names: Iterable[str]) -> tuple[Path, Path]:
        """Certificate and key file for exactly these names (DNS names, `*.` wildcards, IP addresses).

        Kept between starts; made anew when fewer than 30 of its 90 days remain, or the authority changed. Raises
        ValueError for a name the authority cannot vouch for, TlsFolderUnusable.
        """
        wanted = sorted({name.lower() for name in names})
        if not wanted:
            raise ValueError("a certificate needs at least one name")
        subjects = [_subject(name) for name in wanted]
        stem = "leaf-" + hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]
        with _locked(self._folder):
            if not self._is_current(_load(self._folder, stem)):
                key = ec.generate_private_key(ec.SECP256R1())
                _save(self._folder, stem, self._issue(subjects, key), key)
        return _certificate_path(self._folder, stem), _key_path(self._folder, stem)

    def _is_current(self, loaded: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None) -> bool:
        if loaded is None:
            return False
        certificate = loaded[0]
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return certificate.not_valid_after_utc - self._now() >= datetime.timedelta(days=RENEW_DAYS)

    def _issue(self, subjects: list[x509.GeneralName], key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        now = self._now()
        extended = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return (
            x509.CertificateBuilder()
            # Names stand in the alternative names alone: that is where clients look (RFC 9525 §2).
            .subject_name(
                x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Doorward on this machine")])
            )
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATE)
            .not_valid_after(now - BACKDATE + datetime.timedelta(days=LEAF_DAYS))
            .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(extended, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_authority_identifier(self._certificate), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def ensure_local_authority(folder: Path, *, now: Now = _utc_now) -> LocalAuthority:
    """The authority kept in `folder`, made when absent or near its end (then clients must trust the new one).

    Key files are 0600 in a 0700 folder. Raises TlsFolderUnusable.
    """
    with _locked(folder):
        loaded = _load(folder, "authority")
        if loaded is None or loaded[0].not_valid_after_utc - now() < datetime.timedelta(
            days=AUTHORITY_RENEW_DAYS
        ):
            key = ec.generate_private_key(ec.SECP256R1())
            loaded = (_new_authority(key, now()), key)
            _save(folder, "authority", *loaded)
    return LocalAuthority(folder, *loaded, now)


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context: TLS 1.2 or newer, ALPN http/1.1 (the only protocol we speak)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    return context


def _new_authority(key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    # A name of its own each time: browsers refuse two authorities of one name with different keys.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Doorward on this machine"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Doorward local authority {secrets.token_hex(4)}"),
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True), critical=True)
        .add_extension(
            x509.NameConstraints(permitted_subtrees=_PERMITTED, excluded_subtrees=None), critical=True
        )
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(key, hashes.SHA256())
    )


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _subject(name: str) -> x509.GeneralName:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        if str(address) in ("127.0.0.1", "::1"):
            return x509.IPAddress(address)
        raise ValueError(f"the local authority vouches for 127.0.0.1 and ::1 only, not {name}")
    plain = name.removeprefix("*.")
    if plain != "localhost" and not plain.endswith(".localhost"):
        raise ValueError(f"the local authority vouches for localhost and the names below it only, not {name}")
    if "*" in plain or not all(plain.split(".")):
        raise ValueError(f"{name} is not a host name or a wildcard of one")
    return x509.DNSName(name)


def _certificate_path(folder: Path, stem: str) -> Path:
    return folder / f"{stem}.pem"


def _key_path(folder: Path, stem: str) -> Path:
    return folder / f"{stem}.key"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: two that start at once must not each make an authority."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TlsFolderUnusable(
            f"Cannot keep certificates in {folder} ({error.strerror}). Make the folder writable for this user."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _load(folder: Path, stem: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    """A certificate with its own key; None when either is absent, damaged, or not the other's."""
    try:
        certificate = x509.load_pem_x509_certificate(_certificate_path(folder, stem).read_bytes())
        key = serialization.load_pem_private_key(_key_path(folder, stem).read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise TlsFolderUnusable(f"Cannot read the certificates in {folder} ({error.strerror}).") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        return None
    return certificate, key


def _save(folder: Path, stem: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Key first: a crash between the two leaves a pair that `_load` finds unequal and that is made anew."""
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(_key_path(folder, stem), secret)
    _write(_certificate_path(folder, stem), certificate.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError as error:
        raise TlsFolderUnusable(
            f"Cannot write {path} ({error.strerror}). Make its folder writable."
        ) from error
