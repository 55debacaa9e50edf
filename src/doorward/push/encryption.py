"""Message encryption for Web Push (RFC 8291): one `aes128gcm` record (RFC 8188) only the subscribed browser opens."""

import secrets

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD_BYTES = 4096
"""A push service has to take this much and no more (RFC 8030 §7.2)."""

SALT_BYTES = 16
AUTH_BYTES = 16
POINT_BYTES = 65
_TAG_BYTES = 16
_HEADER_BYTES = SALT_BYTES + 4 + 1 + POINT_BYTES
MAX_PLAINTEXT = RECORD_BYTES - _HEADER_BYTES - _TAG_BYTES - 1

# The size is all that the push service sees of a message: in steps this coarse it says nothing of names.
PADDED_TO = 512


def encrypt(
    plaintext: bytes,
    *,
    receiver: ec.EllipticCurvePublicKey,
    auth: bytes,
    sender: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body of a push message. `sender` and `salt` are fresh unless a test vector fixes them.

    Raises ValueError for more than 3,993 bytes.
    """
    if len(plaintext) > MAX_PLAINTEXT:
        raise ValueError(f"a push message holds at most {MAX_PLAINTEXT} bytes, not {len(plaintext)}")
    sender = sender or ec.generate_private_key(ec.SECP256R1())
    salt = salt or secrets.token_bytes(SALT_BYTES)
    sender_point = point_of(sender.public_key())
    key_info = b"WebPush: info\x00" + point_of(receiver) + sender_point
    secret = _derive(sender.exchange(ec.ECDH(), receiver), salt=auth, info=key_info, length=32)
    key = _derive(secret, salt=salt, info=b"Content-Encoding: aes128gcm\x00", length=16)
    nonce = _derive(secret, salt=salt, info=b"Content-Encoding: nonce\x00", length=12)
    header = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([POINT_BYTES]) + sender_point
    # 2 ends the last record's data; zeros behind it are padding (RFC 8188 §2).
    return header + AESGCM(key).encrypt(nonce, plaintext + b"\x02", None)


def padded(plaintext: bytes) -> bytes:
    """JSON in white space up to the next step of size, as far as a message may grow."""
    size = min(-(-len(plaintext) // PADDED_TO) * PADDED_TO, MAX_PLAINTEXT)
    return plaintext.ljust(size)


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """The uncompressed point (SEC 1 §2.3.3)."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _derive(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)
