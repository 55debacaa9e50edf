"""Signatures of deliveries as Svix and Standard Webhooks define them. Pure.

A receiver computes base64(HMAC-SHA-256(key, "<id>.<timestamp>.<body>")) and looks for it in a list of
`v1,<signature>` separated by spaces; several let a secret be replaced without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
NEW_BYTES = 32
# Standard Webhooks §"Signature scheme": between 24 and 64 bytes.
_FEWEST_BYTES, _MOST_BYTES = 24, 64


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(NEW_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key inside a secret. Raises ValueError when it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("a webhook secret is base64") from error
    if not secret.startswith(PREFIX) or not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(f"a webhook secret is {PREFIX} and {_FEWEST_BYTES} to {_MOST_BYTES} bytes in base64")
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """`timestamp` in seconds."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def signed_headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Under Svix's names, which Clerk's verifiers ask for, and under those of Standard Webhooks."""
    values = {
        "id": message_id,
        "timestamp": str(timestamp),
        "signature": " ".join(signature(key, message_id, timestamp, body) for key in keys),
    }
    return {f"{family}-{name}": value for family in ("svix", "webhook") for name, value in values.items()}
