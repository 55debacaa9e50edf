"""Keys whose algorithm somebody else chose: a JWT template's own key, the fixed key of another system's configuration.

Tokens of our own stay with the four algorithms of `keys`; these are those of RFC 7518 that Clerk's templates and Hasura's
AuthConfig name. A key is bound to one of them when it is made, as there, and text that looks like anything but a shared
secret (a PEM, a key set, a URL) never becomes one: whoever can read such a public text could forge tokens with it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Literal, get_args

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from doorward.jose.base64url import b64url_decode
from doorward.jose.errors import InvalidKey, JoseError

ForeignAlgorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # fmt: skip
FOREIGN_ALGORITHMS: frozenset[str] = frozenset(get_args(ForeignAlgorithm))

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}
_ALG_OF_CRV = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_ECDSA_BYTES = {"ES256": 32, "ES384": 48, "ES512": 66}  # of r and of s
_PUBLIC_LOOKS = ("-----BEGIN", "http://", "https://", "{")

_Public = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class ForeignKey:
    """Verifies one algorithm. `kid` is its name in a key set, if it came from one."""

    __slots__ = ("_key", "alg", "kid")

    def __init__(self, key: _Public | bytes, alg: str, kid: str | None = None) -> None:
        _check_fits(key, alg)
        self._key = key
        self.alg = alg
        self.kid = kid

    @classmethod
    def from_text(cls, text: str, alg: str) -> ForeignKey:
        """A shared secret for HS*; a public key in PEM (SPKI or PKCS#1) for the others. Raises InvalidKey."""
        if alg.startswith("HS"):
            return cls(_secret_of(text), alg)
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(text.encode("ascii"))
        except Exception:
            raise InvalidKey("not a public key in PEM") from None
        return cls(key, alg)  # type: ignore[arg-type]  # the constructor refuses other types

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` (JWS form: ECDSA is r‖s) is this key's over `data`."""
        key, hashing = self._key, _HASHES.get(self.alg[2:], _HASHES["512"])
        try:
            match key:
                case bytes():
                    return hmac.compare_digest(_hmac(key, data, self.alg), signature)
                case rsa.RSAPublicKey():
                    key.verify(signature, data, _padding(self.alg, hashing), hashing)
                case ec.EllipticCurvePublicKey():
                    size = _ECDSA_BYTES[self.alg]
                    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
                    if len(signature) != 2 * size or not r or not s:
                        return False
                    key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashing))
                case _:
                    key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def __repr__(self) -> str:
        return f"ForeignKey(alg={self.alg!r}, kid={self.kid!r})"


class ForeignSigningKey:
    """Signs with one algorithm. Its repr shows nothing secret."""

    __slots__ = ("_key", "alg", "kid")

    def __init__(self, key: _Private | bytes, alg: str, kid: str | None = None) -> None:
        _check_fits(key if isinstance(key, bytes) else key.public_key(), alg)
        self._key = key
        self.alg = alg
        self.kid = kid

    @classmethod
    def from_text(
        cls, text: str, alg: str, *, kid: str | None = None, checked_before: bool = False
    ) -> ForeignSigningKey:
        """A shared secret for HS*; an unencrypted private key in PEM for the others. Raises InvalidKey.

        `checked_before` skips OpenSSL's 35 ms of primality tests, for a key that passed them when it was stored.
        """
        if alg.startswith("HS"):
            return cls(_secret_of(text), alg, kid)
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(
                text.encode("ascii"), password=None, unsafe_skip_rsa_key_validation=checked_before
            )
        except Exception:
            raise InvalidKey("not an unencrypted private key in PEM") from None
        if not isinstance(key, _Private):
            raise InvalidKey(f"not a key for {alg}")
        return cls(key, alg, kid)

    def sign(self, data: bytes) -> bytes:
        """The JWS signature over `data`."""
        key, hashing = self._key, _HASHES.get(self.alg[2:], _HASHES["512"])
        match key:
            case bytes():
                return _hmac(key, data, self.alg)
            case rsa.RSAPrivateKey():
                return key.sign(data, _padding(self.alg, hashing), hashing)
            case ec.EllipticCurvePrivateKey():
                r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashing)))
                size = _ECDSA_BYTES[self.alg]
                return r.to_bytes(size, "big") + s.to_bytes(size, "big")
            case _:
                return key.sign(data)

    def __repr__(self) -> str:
        return f"ForeignSigningKey(alg={self.alg!r}, kid={self.kid!r})"


def foreign_keys_of_jwk(jwk: Mapping[str, Any]) -> dict[str, ForeignKey]:
    """A public JWK as one key per algorithm of its family, as verifiers take it that ignore the JWK's own `alg`.

    Raises InvalidKey, also for private keys and shared secrets, which nobody publishes.
    """
    kid = jwk.get("kid")
    kid = kid if isinstance(kid, str) else None
    if jwk.get("use", "sig") != "sig":
        raise InvalidKey("not a key for signatures")
    try:
        key, algorithms = _public_of_jwk(jwk)
        return {alg: ForeignKey(key, alg, kid) for alg in algorithms}
    except (JoseError, KeyError, TypeError, ValueError, AttributeError):
        raise InvalidKey("not a public key in JWK") from None


def _public_of_jwk(jwk: Mapping[str, Any]) -> tuple[_Public, list[str]]:
    if not {"d", "k", "p"}.isdisjoint(jwk):
        raise InvalidKey("a public key is due, this one holds private parts")
    match jwk["kty"]:
        case "RSA":
            rsa_key = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
            return rsa_key, [family + size for family in ("RS", "PS") for size in _HASHES]
        case "EC":
            alg = _ALG_OF_CRV[jwk["crv"]]
            point = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), _CURVES[alg])
            return point.public_key(), [alg]
        case "OKP" if jwk["crv"] == "Ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(b64url_decode(jwk["x"].encode())), ["EdDSA"]
    raise InvalidKey("not a kind of key we know")


def _number(text: str) -> int:
    return int.from_bytes(b64url_decode(text.encode()), "big")


def _check_fits(key: object, alg: str) -> None:
    if alg not in FOREIGN_ALGORITHMS:
        raise InvalidKey("not an algorithm we know")
    match key:
        case bytes():
            # RFC 7518 §3.2: a secret is at least as long as the hash.
            fits = alg.startswith("HS")
            if fits and len(key) * 8 < int(alg[2:]):
                raise InvalidKey(f"a shared secret for {alg} has at least {int(alg[2:]) // 8} bytes")
        case rsa.RSAPublicKey():
            fits = alg[:2] in ("RS", "PS")
            if not 2048 <= key.key_size <= 8192 or key.public_numbers().e.bit_length() > 32:
                raise InvalidKey("an RSA key has 2048 to 8192 bits and a small exponent")
        case ec.EllipticCurvePublicKey():
            fits = alg in _CURVES and key.curve.name == _CURVES[alg].name
        case _:
            fits = isinstance(key, ed25519.Ed25519PublicKey) and alg == "EdDSA"
    if not fits:
        raise InvalidKey(f"not a key for {alg}")


def _secret_of(text: str) -> bytes:
    if text.strip().strip("\"'").startswith(_PUBLIC_LOOKS):
        raise InvalidKey("a public text (a key, a key set, a URL) is not a shared secret")
    return text.encode()


def _hmac(secret: bytes, data: bytes, alg: str) -> bytes:
    return hmac.digest(secret, data, getattr(hashlib, f"sha{alg[2:]}"))


def _padding(alg: str, hashing: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if alg.startswith("RS"):
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(hashing), hashing.digest_size)
