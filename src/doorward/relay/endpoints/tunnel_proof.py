"""The connector's signature over the edge's nonce.

The edge, which issued the nonce, checks nonce, audience and lifetime; here the key decides, because only the
relay knows which one is registered. Lifetime is checked again, so that a captured token is worth nothing later.
"""

import msgspec

from doorward.jose import JoseError, PublicKey, b64url_encode, verify_jwt

TYP_TUNNEL = "doorward-tunnel+jwt"
_LEEWAY_S = 60


class _TunnelClaims(msgspec.Struct, frozen=True):
    exp: int


def is_signed_by(public_key: bytes, token: str, *, now: int) -> bool:
    """Whether the registered key (32 raw bytes) signed this tunnel token. `now` in seconds."""
    try:
        key = PublicKey.from_jwk(
            {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(public_key)}, alg="EdDSA"
        )
        verify_jwt(
            token, key, claims=_TunnelClaims, now=now, typ=TYP_TUNNEL, algorithms=("EdDSA",), leeway=_LEEWAY_S
        )
    except JoseError:
        return False
    return True
