"""Whom we trust: the system's certificate authorities, and at most one file more."""

import ssl
from pathlib import Path

from doorward.outbound.errors import CertificateRefused


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """A client context: TLS 1.2 or newer, host names verified, the system's authorities and those of `ca_file`.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's authorities, as everywhere OpenSSL is used. Raises
    CertificateRefused when `ca_file` cannot be read.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):
        # A Python that was built elsewhere may point at folders this system does not have.
        import certifi

        context.load_verify_locations(certifi.where())
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except ssl.SSLError as error:
            raise CertificateRefused(f"{ca_file} holds no certificate authorities in PEM.") from error
        except OSError as error:
            raise CertificateRefused(
                f"Cannot read the certificate authorities in {ca_file} ({error.strerror})."
            ) from error
    return context
