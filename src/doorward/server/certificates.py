"""Certificates from files, several on one listener, renewed without a restart.

A client names the host it wants (SNI, RFC 6066 §3); the certificate that holds this name, or a wildcard of it, is shown, else
the first. Custom host names so need nothing but their own pair of files in doorward.toml.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from doorward.server.configuration import CertificateFiles
from doorward.server.tls import server_context

log = logging.getLogger(__name__)

WATCH_SECONDS = 10.0


class CertificateUnusable(Exception):
    """The message names the file and what to do."""


class _Loaded(NamedTuple):
    default: ssl.SSLContext
    by_name: dict[str, ssl.SSLContext]


class ServerCertificates:
    """`context` is for listeners. Raises CertificateUnusable at construction."""

    def __init__(self, pairs: Sequence[CertificateFiles]) -> None:
        self._pairs = pairs
        self._loaded = _load(pairs)
        self._stamp = self._stamp_of_files()
        self.context = server_context(pairs[0].certificate, pairs[0].key)
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """Read every file anew; all or nothing. Raises CertificateUnusable, and goes on with what there was."""
        stamp = self._stamp_of_files()
        self._loaded = _load(self._pairs)
        self._stamp = stamp
        log.info("certificates loaded anew")

    async def watch(self, *, interval: float = WATCH_SECONDS) -> None:
        """Load files that change, and all of them on SIGHUP, until cancelled."""
        asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
        try:
            while True:
                try:
                    async with asyncio.timeout(interval):
                        await asked.wait()
                except TimeoutError:
                    if self._stamp_of_files() == self._stamp:
                        continue
                asked.clear()
                try:
                    self.reload()
                except CertificateUnusable as error:
                    # Perhaps half of a pair was written so far: look again.
                    log.warning("certificates stay as they were: %s", error)
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        loaded = self._loaded
        host = (name or "").lower()
        parent = host.partition(".")[2]
        connection.context = loaded.by_name.get(host) or loaded.by_name.get(f"*.{parent}") or loaded.default

    def _stamp_of_files(self) -> list[tuple[int, int, int]]:
        """Changes with any of the files, also when one is replaced by a rename."""
        stamp = []
        for path in (path for pair in self._pairs for path in (pair.certificate, pair.key)):
            try:
                status = os.stat(path)
                stamp.append((status.st_mtime_ns, status.st_size, status.st_ino))
            except OSError:
                stamp.append((0, 0, 0))
        return stamp


def _load(pairs: Sequence[CertificateFiles]) -> _Loaded:
    by_name: dict[str, ssl.SSLContext] = {}
    contexts = []
    for pair in pairs:
        try:
            context = server_context(pair.certificate, pair.key)
        except ssl.SSLError as error:
            raise CertificateUnusable(
                f"{pair.certificate} and {pair.key} are not a certificate and its key ({error.reason})."
            ) from error
        except OSError as error:
            raise CertificateUnusable(
                f"Cannot read {pair.certificate} and {pair.key}: {error.strerror}."
            ) from error
        contexts.append(context)
        for name in _names(pair.certificate):
            # Of two certificates for one name the one listed first is shown.
            by_name.setdefault(name, context)
    return _Loaded(contexts[0], by_name)


def _names(certificate: Path) -> list[str]:
    """The DNS names of the first certificate in the file, lower case."""
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]
