"""DPoP proofs (RFC 9449): a short JWT by which a client shows that it holds a P-256 key right now.

Verification is stateless. The caller afterwards stores (thumbprint, jti) and refuses a pair it has seen.
"""

from __future__ import annotations

import hmac
import secrets
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

import msgspec

from doorward.jose.base64url import b64url_decode, b64url_encode
from doorward.jose.compact import parse_header
from doorward.jose.errors import DpopError, InvalidKey, MalformedToken
from doorward.jose.keys import PrivateKey, PublicKey
from doorward.jose.sign import sign_jwt
from doorward.jose.strict_json import decode_object
from doorward.jose.urls import normalize_url

TYP_DPOP = "dpop+jwt"
MAX_PROOF_LENGTH = 8_192  # characters
MAX_JTI_LENGTH = 255  # it is stored for minutes; RFC 9449 asks for 96 bits of it


class DpopProof(msgspec.Struct, frozen=True):
    """A proof that holds: the key's RFC 7638 thumbprint, the proof's own id, and its time in seconds."""

    thumbprint: str
    jti: str
    iat: int


class _Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    htm: str
    htu: str
    jti: str
    iat: int
    ath: str | msgspec.UnsetType = msgspec.UNSET


_decode_claims = msgspec.json.Decoder(_Claims).decode


class _ProofKey(NamedTuple):
    thumbprint: str
    key: PublicKey | None  # None: well shaped, but no point of the curve


def create_dpop_proof(
    key: PrivateKey,
    *,
    method: str,
    url: str,
    now: int,
    jti: str | None = None,
    access_token: str | None = None,
) -> str:
    """A proof for one request. `now` in seconds; `jti` defaults to 128 random bits."""
    public = key.public.to_jwk()
    claims = _Claims(
        htm=method,
        htu=normalize_url(url),
        jti=jti or secrets.token_urlsafe(16),
        iat=now,
        ath=msgspec.UNSET if access_token is None else access_token_hash(access_token),
    )
    jwk = {name: public[name] for name in ("kty", "crv", "x", "y")}
    return sign_jwt(claims, key, typ=TYP_DPOP, header={"jwk": jwk}, include_kid=False)


def access_token_hash(access_token: str) -> str:
    """`ath` of RFC 9449 §4.2: base64url of the SHA-256 of the token's ASCII."""
    return b64url_encode(sha256(access_token.encode()).digest())


def verify_dpop_proof(
    proof: str | None,
    *,
    method: str,
    url: str,
    now: int,
    access_token: str | None = None,
    expected_thumbprint: str | None = None,
    max_age: int = 300,
    leeway: int = 5,
    signature_before_time: bool = True,
) -> DpopProof:
    """What `proof` shows about this request, or DpopError with the first failing step's code.

    Steps: shape, thumbprint (when expected), method (any case), URL (exactly the normalised request URL),
    `ath` (when an access token is given), signature, then `now - max_age <= iat <= now + leeway`, in
    seconds. `signature_before_time=False` swaps the last two, as older T3 relays answer; the default
    reports a clock problem only to whoever holds the key.
    """
    if proof is None or not proof.strip():
        raise DpopError("the request carries no DPoP proof", code="missing_proof")
    raw, (protected, payload, signature) = _parts(proof)
    holder = _proof_key(protected)
    claims = _claims(payload)
    if expected_thumbprint is not None and not _equal(holder.thumbprint, expected_thumbprint):
        raise DpopError("the proof is by another key", code="key_mismatch")
    if claims.htm.upper() != method.upper():
        raise DpopError("the proof is for another method", code="method_mismatch", claim="htm")
    if claims.htu != _normalized(url):
        raise DpopError("the proof is for another URL", code="url_mismatch", claim="htu")
    if access_token is not None and not _equal(claims.ath or "", access_token_hash(access_token)):
        raise DpopError("the proof is for another token", code="access_token_hash_mismatch", claim="ath")
    if not signature_before_time:
        _check_time(claims.iat, now, max_age, leeway)
    _check_signature(holder.key, signature, raw)
    if signature_before_time:
        _check_time(claims.iat, now, max_age, leeway)
    return DpopProof(holder.thumbprint, claims.jti, claims.iat)


def _parts(proof: str) -> tuple[bytes, list[bytes]]:
    raw = proof.encode() if len(proof) <= MAX_PROOF_LENGTH else b""
    parts = raw.split(b".")
    if len(parts) != 3 or not all(parts):
        raise DpopError("not a compact JWS", code="malformed_proof")
    return raw, parts


# What a request URL and a header's text say never changes, and clients send the same ones again and again.
_normalized = lru_cache(maxsize=1024)(normalize_url)


@lru_cache(maxsize=1024)
def _proof_key(protected: bytes) -> _ProofKey:
    try:
        header = parse_header.__wrapped__(protected)
    except MalformedToken:
        raise DpopError("the header is not one", code="malformed_proof") from None
    jwk = header.get("jwk")
    if not isinstance(jwk, dict):
        raise DpopError("the header holds no key", code="malformed_proof")
    well_shaped = (
        header.get("typ") == TYP_DPOP
        and header["alg"] == "ES256"
        and jwk.get("kty") == "EC"
        and jwk.get("crv") == "P-256"
        and all(isinstance(jwk.get(name), str) and jwk[name] for name in ("x", "y"))
        and "d" not in jwk
    )
    if not well_shaped:
        raise DpopError("the header is not that of a DPoP proof by a P-256 key", code="malformed_proof")
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    thumbprint = b64url_encode(sha256(msgspec.json.encode(members)).digest())
    try:
        # Only what names the point: other members of the JWK say nothing here.
        return _ProofKey(thumbprint, PublicKey.from_jwk(members, alg="ES256"))
    except InvalidKey:
        return _ProofKey(thumbprint, None)


def _claims(payload: bytes) -> _Claims:
    try:
        text = b64url_decode(payload)
        decode_object(text)
        claims = _decode_claims(text)
    except (MalformedToken, msgspec.ValidationError):
        raise DpopError("the claims are not those of a DPoP proof", code="malformed_proof") from None
    if not (claims.htm and claims.htu and 0 < len(claims.jti) <= MAX_JTI_LENGTH):
        raise DpopError("a claim of the proof is empty or too long", code="malformed_proof")
    return claims


def _check_signature(key: PublicKey | None, encoded: bytes, proof: bytes) -> None:
    try:
        signature = b64url_decode(encoded)
    except MalformedToken:
        raise DpopError("the signature is not base64url", code="invalid_signature") from None
    if key is None or not key.verify(signature, proof[: -len(encoded) - 1]):
        raise DpopError("the signature is not by the proof's key", code="invalid_signature")


def _check_time(iat: int, now: int, max_age: int, leeway: int) -> None:
    if not now - max_age <= iat <= now + leeway:
        raise DpopError("the proof is too old or from the future", code="time_window", claim="iat")


def _equal(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())
