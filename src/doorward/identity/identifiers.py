"""Identifiers in Clerk's form: a prefix that names the kind, then 27 random base62 characters (160 bits)."""

from __future__ import annotations

import secrets
import string

_BASE62 = (string.digits + string.ascii_uppercase + string.ascii_lowercase).encode()
_LENGTH = 27
#: Every letter stands for four bytes; the last eight bytes would favour some letters and are thrown away.
_LETTERS = bytes(_BASE62[byte % 62] for byte in range(256))
_UNFAIR = bytes(range(248, 256))


def new_id(prefix: str) -> str:
    letters = b""
    while len(letters) < _LENGTH:
        letters += secrets.token_bytes(36).translate(_LETTERS, _UNFAIR)
    return f"{prefix}_{letters[:_LENGTH].decode()}"


def new_hex_id(prefix: str) -> str:
    """The form of Clerk's tokens and keys: 32 hexadecimal digits (128 bits)."""
    return f"{prefix}_{secrets.token_hex(16)}"


def new_secret() -> str:
    """A bearer secret of 256 bits, URL-safe."""
    return secrets.token_urlsafe(32)
