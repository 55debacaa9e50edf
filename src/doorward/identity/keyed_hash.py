"""Keyed hashes of the secrets we hand out.

A stolen database alone must not let anyone use, or guess, what is stored in it: six-digit codes would fall to a
plain hash in microseconds. The key is sealed with the key-encryption key (ASVS 5 V6.5.2, V11.4).
"""

from __future__ import annotations

import hmac

from doorward.jose import b64url_encode


class KeyedHash:
    """HMAC-SHA-256 with one key per purpose, derived from the instance's secret of 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32:
            raise ValueError("the keyed hash needs a secret of 32 bytes")
        self._secret = secret
        self._derived: dict[str, bytes] = {}  # by purpose, of which there are few

    def __repr__(self) -> str:
        return "KeyedHash(…)"

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes that is good for `purpose` alone."""
        key = self._derived.get(purpose)
        if key is None:
            text = b"doorward.identity/" + purpose.encode()
            key = self._derived[purpose] = hmac.digest(self._secret, text, "sha256")
        return key

    def of(self, purpose: str, value: str) -> str:
        """The stored form of `value`: 64 hexadecimal digits."""
        return hmac.digest(self.derive(purpose), value.encode(), "sha256").hex()

    def secret_for(self, purpose: str, value: str) -> str:
        """A bearer secret of 256 bits, URL-safe, that need not be stored: it can be made from `value` again."""
        return b64url_encode(hmac.digest(self.derive(purpose), value.encode(), "sha256"))

    def matches(self, purpose: str, value: str, stored: str) -> bool:
        return hmac.compare_digest(self.of(purpose, value), stored)
