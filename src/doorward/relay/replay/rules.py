"""How long a used proof is remembered, and under which key. Pure.

The original forgets a proof at the very moment it expires, although its own verification tolerates a clock a
minute off: a proof could be used again in that minute. Retention here outlasts every tolerance.
"""

import hashlib

from doorward.jose import b64url_encode
from doorward.t3_connect.tokens import CLOCK_TOLERANCE_SECONDS, MAX_AGE_SECONDS

DPOP_MAX_AGE_S = 300
DPOP_LEEWAY_S = 5
JWT_LEEWAY_S = CLOCK_TOLERANCE_SECONDS
JWT_MAX_AGE_S = MAX_AGE_SECONDS

LINK_CHALLENGE_OWNER = "relay-environment-link-challenge"


def dpop_expiry_ms(*, iat: int, now: int) -> int:
    """The later of the original's retention (now + 5 min) and the last moment the proof passes the age check."""
    return max(now + DPOP_MAX_AGE_S * 1000, (iat + DPOP_MAX_AGE_S + DPOP_LEEWAY_S + 1) * 1000)


def jwt_expiry_ms(*, iat: int, exp: int) -> int:
    """When the last check has refused a JWT by age or expiry, whichever is sooner: an `exp` in the far future, which
    its signer may choose, does not keep a row for ever."""
    return (min(exp, iat + JWT_MAX_AGE_S) + JWT_LEEWAY_S + 1) * 1000


def environment_key_owner(public_key_pem: str) -> str:
    """A PEM is hashed, not stored: it fits any column and compares byte for byte."""
    return "environment-link:" + b64url_encode(hashlib.sha256(public_key_pem.encode()).digest())
