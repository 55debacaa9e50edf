"""Pinned keys of the edge: TLS is made only with whoever holds one of them, whatever authorities are trusted.

A proxy that looks into TLS has a certificate of an authority that this machine trusts; it does not have the edge's key.
A pin is the SHA-256 of the certificate's SubjectPublicKeyInfo (RFC 7469 §2.4), written as curl's `--pinnedpubkey` takes it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import ssl
from collections.abc import Set

_PREFIX = "sha256//"
_DIGEST_BYTES = 32
_ISSUER_LENGTH = 200


class InvalidPins(ValueError):
    """The text names no pinned keys."""


class KeyNotPinned(ssl.SSLError):
    """The handshake was made with a key that is not pinned. An SSLError, because it ends one.

    `pin` is that key's, `issuer` whose word its certificate is.
    """

    def __init__(self, pin: str, issuer: str) -> None:
        super().__init__("the key of the other end is not a pinned one")
        self.pin = pin
        self.issuer = issuer


def read_pins(text: str) -> frozenset[str]:
    """The pins of `sha256//<base64>;sha256//<base64>`, in that form; none of a blank text. Raises InvalidPins."""
    return frozenset(_read(part) for part in re.split(r"[;,\s]+", text) if part)


def _read(text: str) -> str:
    try:
        digest = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        digest = b""
    if not text.startswith(_PREFIX) or len(digest) != _DIGEST_BYTES:
        raise InvalidPins(f"{text!r} is not a pin, which is {_PREFIX} and the base64 of a SHA-256")
    return _written(digest)


def pin_of(certificate: bytes) -> str:
    """The pin of a certificate's key. `certificate` is DER. Raises ValueError, or what the key's kind is unknown by."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_der_x509_certificate(certificate).public_key()
    return _written(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    )


def require_pinned_key(context: ssl.SSLContext, pins: Set[str]) -> None:
    """From now on `context` makes TLS with holders of these keys alone; everything it asked before holds as well.

    The check is the handshake's last step: nobody reads or writes a byte before it.
    """

    class PinnedSession(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            shown = self.getpeercert(binary_form=True) or b""
            pin = _pin_or_nothing(shown)
            if pin not in pins:
                raise KeyNotPinned(pin, _issuer(shown))

    context.sslobject_class = PinnedSession


def _pin_or_nothing(certificate: bytes) -> str:
    """Empty for what cannot be read, which is no pin of anybody's."""
    try:
        return pin_of(certificate)
    except Exception:
        return ""


def _issuer(certificate: bytes) -> str:
    """Whoever stands between chose these words: they are cut, and hold nothing that a terminal would act upon."""
    from cryptography import x509

    try:
        text = x509.load_der_x509_certificate(certificate).issuer.rfc4514_string()
    except ValueError:
        return "nobody readable"
    return "".join(character for character in text if character.isprintable())[:_ISSUER_LENGTH] or "nobody"


def _written(digest: bytes) -> str:
    return _PREFIX + base64.b64encode(digest).decode()
