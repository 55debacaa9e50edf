"""Signatures of deliveries as Svix and Standard Webhooks define them: identity signs, a relay elsewhere verifies. Pure.

A receiver computes base64(HMAC-SHA-256(key, "<id>.<timestamp>.<body>")) and looks for it in a list of
`v1,<signature>` separated by spaces; several let a secret be replaced without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence

PREFIX = "whsec_"
NEW_BYTES = 32
# Standard Webhooks §"Signature scheme": between 24 and 64 bytes.
_FEWEST_BYTES, _MOST_BYTES = 24, 64
#: How far the sender's clock, and the way here, may be off.
TOLERANCE_SECONDS = 300


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


def timestamp_of(header: str | None) -> int | None:
    """In seconds; None for what is none."""
    return int(header) if header and re.fullmatch(r"[0-9]{1,12}", header) else None


def is_signed(key: bytes, header: Callable[[str], str | None], body: bytes, *, now: int) -> bool:
    """Whether the holder of the key sent this within the last minutes; `header` looks one up, `now` is in seconds.

    One of several signatures has to fit: a sender that replaces its secret signs with both.
    """
    for family in ("svix", "webhook"):
        message_id, sent_at = header(f"{family}-id"), header(f"{family}-timestamp")
        signatures = header(f"{family}-signature")
        timestamp = timestamp_of(sent_at)
        if not message_id or not signatures or timestamp is None:
            continue
        if abs(now - timestamp) > TOLERANCE_SECONDS:
            return False
        expected = signature(key, message_id, timestamp, body).encode()
        return any(hmac.compare_digest(expected, given.encode()) for given in signatures.split(" "))
    return False
