"""`Doorward-Assertion`: what the gate in front of a local service says about each request's visitor.

The service checks it with the keys its own agent serves on loopback
(`http://127.0.0.1:<port>/.well-known/doorward/jwks.json`), so nothing leaves the machine. Reading the
header without this check trusts whatever reached the port.
"""

from __future__ import annotations

import time

import msgspec

from doorward.jose import ClaimRefused, KeySet, PublicKey, verify_jwt

TYP_ASSERTION = "doorward-assertion+jwt"
LIFETIME_SECONDS = 60
_ISSUER_PREFIX = "t3-env:"
_LEEWAY_SECONDS = 5


class Assertion(msgspec.Struct, frozen=True):
    """The visitor: account (`sub`), the RFC 7638 thumbprint of the approved device's key (`jkt`), and the
    environment that let them in."""

    sub: str
    jkt: str
    environment_id: str


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    jkt: str
    iat: int
    exp: int


def verify_assertion(
    token: str, *, jwks: KeySet | PublicKey, audience: str, now: int | None = None
) -> Assertion:
    """The visitor of a request. `jwks` holds this machine's own keys only (`await cache.keys()`);
    `audience` is the service's public origin; `now` in seconds, by default the clock. Raises JoseError."""
    claims = verify_jwt(
        token,
        jwks,
        claims=_Claims,
        now=int(time.time()) if now is None else now,
        typ=TYP_ASSERTION,
        audience=audience,
        algorithms=("EdDSA",),
        leeway=_LEEWAY_SECONDS,
        max_age=LIFETIME_SECONDS,
        required=("exp", "iss", "sub", "jkt"),
    ).claims
    environment_id = claims.iss.removeprefix(_ISSUER_PREFIX)
    if environment_id in ("", claims.iss):
        raise ClaimRefused("not the word of an environment", code="issuer_mismatch", claim="iss")
    return Assertion(claims.sub, claims.jkt, environment_id)
