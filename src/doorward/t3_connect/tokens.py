"""Signing and verifying T3 Connect's JWTs: one procedure for relay and environment."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from doorward.jose import PrivateKey, PublicKey, sign_jwt, verify_jwt
from doorward.t3_connect.claims import WireClaims
from doorward.t3_connect.wire import trim

T = TypeVar("T")

MAX_AGE_SECONDS = 300
CLOCK_TOLERANCE_SECONDS = 60
RELAY_ACCESS_MAX_AGE_SECONDS = 1800


@lru_cache(maxsize=1024)
def public_key_from_pem(pem: str) -> PublicKey:
    """A peer's pinned Ed25519 key; a PEM that passed through an environment variable may spell its line
    breaks as a backslash and an n. Raises InvalidKey.

    Remembered by its text, from which alone it follows: a pinned key comes with every request of its owner.
    """
    return PublicKey.from_pem(trim(pem.replace("\\n", "\n")), alg="EdDSA")


def public_key_to_pem(key: PublicKey) -> str:
    """As payloads carry it: SPKI PEM without the last line break."""
    return trim(key.to_pem())


def sign_t3_jwt(claims: WireClaims, key: PrivateKey, *, typ: str) -> str:
    """A JWT whose header is exactly `{"alg":"EdDSA","typ":typ}`."""
    return sign_jwt(claims, key, typ=typ, include_kid=False)


def verify_t3_jwt(
    token: str,
    public_key: PublicKey | str,
    *,
    claims: type[T],
    typ: str,
    issuer: str,
    audience: str,
    now: int,
    max_age: int = MAX_AGE_SECONDS,
) -> T:
    """The claims of a peer's JWT; `public_key` may be its PEM, `now` is in seconds.

    `iat`, `iss` and `aud` are required, 60 seconds of clock difference are forgiven, the token is at most
    `max_age` seconds old, and only the name `EdDSA` is accepted. Raises JoseError.
    """
    key = public_key_from_pem(public_key) if isinstance(public_key, str) else public_key
    return verify_jwt(
        token,
        key,
        claims=claims,
        now=now,
        typ=typ,
        issuer=issuer,
        audience=audience,
        algorithms=("EdDSA",),
        leeway=CLOCK_TOLERANCE_SECONDS,
        max_age=max_age,
        required=(),
    ).claims
