"""The connector's proof: a compact JWS over the edge's nonce, signed with the token's Ed25519 key. RFC 7515, 8037.

Twenty lines instead of a dependency: this room signs and checks one JWT of one kind with one algorithm.
"""

from __future__ import annotations

import secrets

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from doorward.tunnel.token import ConnectorToken, base64url, unbase64url

TYP = "doorward-tunnel+jwt"
LIFETIME_SECONDS = 60
_LEEWAY_SECONDS = 60
_MAX_BYTES = 4096


class InvalidProof(Exception):
    """`code` is a stable word the connector shows; `clock_skew` means the machine's clock is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    alg: str
    typ: str


class ProofClaims(msgspec.Struct):
    iss: str
    aud: str
    nonce: str
    generation: int
    jti: str
    iat: int
    exp: int
    instance: str = ""
    """Which running connector this is: several connections of one do not supersede each other."""


def issuer(environment_id: str) -> str:
    return f"t3-env:{environment_id}"


def sign(token: ConnectorToken, *, audience: str, nonce: str, now: int, instance: str = "") -> str:
    """`now` in Unix seconds; `audience` is the edge's origin."""
    claims = ProofClaims(
        iss=issuer(token.environment_id),
        aud=audience,
        nonce=nonce,
        generation=token.generation,
        jti=secrets.token_urlsafe(16),
        iat=now,
        exp=now + LIFETIME_SECONDS,
        instance=instance,
    )
    head = base64url(msgspec.json.encode(_Header("EdDSA", TYP)))
    signed = f"{head}.{base64url(msgspec.json.encode(claims))}"
    key = Ed25519PrivateKey.from_private_bytes(token.seed)
    return f"{signed}.{base64url(key.sign(signed.encode()))}"


def read_claims(proof: str, *, audience: str, nonce: str, now: int) -> tuple[str, ProofClaims]:
    """The environment id and the claims, everything checked but the signature. Raises InvalidProof."""
    try:
        if len(proof) > _MAX_BYTES:
            raise ValueError("too long")
        head, payload, _ = proof.split(".")
        header = msgspec.json.decode(unbase64url(head), type=_Header)
        claims = msgspec.json.decode(unbase64url(payload), type=ProofClaims)
    except (ValueError, msgspec.MsgspecError) as error:
        raise InvalidProof("malformed_proof", "The tunnel proof is malformed.") from error
    if header.typ != TYP or header.alg not in ("EdDSA", "Ed25519") or not claims.iss.startswith("t3-env:"):
        raise InvalidProof("malformed_proof", "The tunnel proof is of another kind.")
    if claims.aud != audience:
        raise InvalidProof(
            "wrong_audience", f"The tunnel proof is for {claims.aud}, this edge is {audience}."
        )
    if claims.nonce != nonce:
        raise InvalidProof("wrong_nonce", "The tunnel proof answers another nonce.")
    if (
        not claims.iat - _LEEWAY_SECONDS
        <= now
        <= min(claims.exp, claims.iat + LIFETIME_SECONDS) + _LEEWAY_SECONDS
    ):
        raise InvalidProof(
            "clock_skew", "The clocks of this machine and the edge differ by more than a minute."
        )
    return claims.iss.removeprefix("t3-env:"), claims


def check_signature(proof: str, public_key: bytes) -> None:
    """`public_key` is the raw 32 bytes. Raises InvalidProof."""
    signed, _, signature = proof.rpartition(".")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(unbase64url(signature), signed.encode())
    except (InvalidSignature, ValueError) as error:
        raise InvalidProof(
            "invalid_signature", "The tunnel proof is not signed by the registered key."
        ) from error
