"""Identifiers in Clerk's form: a prefix that names the kind, then 27 random base62 characters (160 bits)."""

from __future__ import annotations

import secrets
import string

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def new_id(prefix: str) -> str:
    return f"{prefix}_" + "".join(secrets.choice(_BASE62) for _ in range(27))


def new_hex_id(prefix: str) -> str:
    """The form of Clerk's tokens and keys: 32 hexadecimal digits (128 bits)."""
    return f"{prefix}_{secrets.token_hex(16)}"


def new_secret() -> str:
    """A bearer secret of 256 bits, URL-safe."""
    return secrets.token_urlsafe(32)
