"""`Doorward-Assertion`: the machine's signed word to its local service on who is visiting.

A JWT by the link key, typ `doorward-assertion+jwt`: iss `t3-env:<environment id>`, aud the service's public
origin, sub the account id, jkt the device key's thumbprint, 60 s. The service checks it with
`doorward.verify.verify_assertion`; the key is at the agent's loopback `/.well-known/doorward/jwks.json`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from doorward.jose import PrivateKey, sign_jwt

TYP = "doorward-assertion+jwt"
LIFETIME = 60  # seconds
REUSE_FOR = 30_000  # milliseconds; a reused assertion still has half its life before it
_MOST_KEPT = 1024


class AssertionClaims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    sub: str
    jkt: str
    iat: int  # seconds
    exp: int  # seconds


class Assertion(NamedTuple):
    """A signed assertion, and when a new one has to be signed (ms)."""

    until: int
    token: str


class AssertionMint:
    """Signs one assertion per (session, service origin) and half-minute instead of one per request."""

    def __init__(self, *, environment_id: str) -> None:
        self._issuer = f"t3-env:{environment_id}"
        self._kept: dict[tuple[str, str], Assertion] = {}

    def assertion(
        self, key: PrivateKey, *, session_id: str, origin: str, account: str, thumbprint: str, now: int
    ) -> Assertion:
        """`now` in milliseconds. Revocation does not wait for the cache: a request without a session never gets here."""
        kept = self._kept.get((session_id, origin))
        if kept is not None and kept.until - REUSE_FOR <= now < kept.until:
            return kept
        seconds = now // 1000
        claims = AssertionClaims(
            iss=self._issuer, aud=origin, sub=account, jkt=thumbprint, iat=seconds, exp=seconds + LIFETIME
        )
        signed = Assertion(now + REUSE_FOR, sign_jwt(claims, key, typ=TYP))
        if len(self._kept) >= _MOST_KEPT:
            self._kept = {known: one for known, one in self._kept.items() if now < one.until}
        if len(self._kept) < _MOST_KEPT:
            self._kept[(session_id, origin)] = signed
        return signed
