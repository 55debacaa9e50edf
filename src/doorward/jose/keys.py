"""Keys bound to one algorithm, checked once when they are made.

RSA (RS256, 2048 bits and more), P-256 (ES256), Ed25519 (`EdDSA`, or `Ed25519` of RFC 9864) and shared
secrets (HS256). A key verifies or signs with its own algorithm and no other, so a token cannot choose.

PEM functions import `serialization` themselves: it brings SSH formats along, a fifth of this package's
import time, which a service that only checks tokens by JWK never needs.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Literal, cast

import msgspec
from cryptography.exceptions import InvalidSignature as _BadSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

from doorward.jose.base64url import b64url_decode, b64url_encode
from doorward.jose.errors import InvalidKey, MalformedToken, UnknownKey
from doorward.jose.roca import is_roca

Algorithm = Literal["RS256", "ES256", "EdDSA", "Ed25519", "HS256"]

# The digest is made by hashlib: `cryptography` sets up a hash anew for each call, 0.3 µs and more of an RSA check's 20.
_PKCS1, _DIGEST = padding.PKCS1v15(), Prehashed(SHA256())
_ECDSA = ec.ECDSA(_DIGEST)
# The DER of DigestInfo up to the digest itself (RFC 8017 §9.2, note 1). Recovering it and comparing is what OpenSSL's
# own verifying does, less 1.6 µs for looking up the digest anew at each call.
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
# Copying a digest that has read nothing takes half the time of looking SHA-256 up in OpenSSL by its name again.
_NOTHING_READ = sha256()
_P256 = ec.SECP256R1()
_KTY: dict[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
_PRIVATE_MEMBERS = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_ED25519_NAMES = frozenset(("EdDSA", "Ed25519"))

_RawPublic = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_RawPrivate = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


# Tag and length in DER, by length of what follows: of two integers of up to 33 bytes, and of one.
_SEQUENCE = [bytes((0x30, size + 4)) for size in range(67)]
_INTEGER = [bytes((0x02, size)) for size in range(34)]


def _digest(data: bytes) -> bytes:
    digest = _NOTHING_READ.copy()
    digest.update(data)
    return digest.digest()


def _der_signature(signature: bytes) -> bytes:
    """r‖s (RFC 7518 §3.4) as OpenSSL wants it, by bytes: numbers in between cost 2 µs. Raises _BadSignature."""
    # An integer has no zero in front, but the one without which its first bit would make it negative (X.690 §8.3).
    r, s = signature[:32].lstrip(b"\0"), signature[32:].lstrip(b"\0")
    # r = s = 0 was CVE-2022-21449: never leave this to the library alone.
    if len(signature) != 64 or not r or not s:
        raise _BadSignature
    if r[0] >= 0x80:
        r = b"\0" + r
    if s[0] >= 0x80:
        s = b"\0" + s
    return _SEQUENCE[len(r) + len(s)] + _INTEGER[len(r)] + r + _INTEGER[len(s)] + s


def _verify_function(key: _RawPublic) -> Callable[[bytes, bytes], bool]:
    """`PublicKey.verify` for this key; made once, as it runs per request."""
    if isinstance(key, rsa.RSAPublicKey):
        recover, size = key.recover_data_from_signature, (key.key_size + 7) // 8

        def verify_rsa(signature: bytes, data: bytes) -> bool:
            # Recovering takes the leading zeros of a signature for granted, verifying does not: RFC 8017 §8.2.2, step 1.
            if len(signature) != size:
                return False
            try:
                # What stands behind OpenSSL's padding is compared whole (EMSA-PKCS1-v1_5): nothing of it is parsed.
                return recover(signature, _PKCS1, None) == _SHA256_INFO + _digest(data)
            except _BadSignature:
                return False

        return verify_rsa
    if isinstance(key, ec.EllipticCurvePublicKey):
        verify_der = key.verify

        def verify_p256(signature: bytes, data: bytes) -> bool:
            try:
                verify_der(_der_signature(signature), _digest(data), _ECDSA)
            except _BadSignature:
                return False
            return True

        return verify_p256
    verify_raw = key.verify

    def verify_ed25519(signature: bytes, data: bytes) -> bool:
        try:
            verify_raw(signature, data)
        except _BadSignature:
            return False
        return True

    return verify_ed25519


class PublicKey:
    """A verifying key. `alg` is what it verifies, `kid` its name in a key set, `thumbprint` RFC 7638.

    `verify(signature, data)`: whether `signature` (JWS form: ECDSA is r‖s, 64 bytes) is this key's over `data`.
    """

    __slots__ = ("_key", "_thumbprint", "alg", "header_names", "kid", "verify")

    def __init__(self, key: _RawPublic, alg: Algorithm, kid: str | None = None) -> None:
        _check_public(key, alg)
        self._key = key
        self.verify = _verify_function(key)
        self.alg = alg
        self.kid = kid
        self.header_names = header_names(alg)
        self._thumbprint: str | None = None

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: Algorithm | None = None) -> PublicKey:
        """The key of a public JWK (RFC 7517). Raises InvalidKey also for a private one: whoever
        publishes it has lost it."""
        if not _PRIVATE_MEMBERS.isdisjoint(jwk):
            raise InvalidKey("a public key is due, this one holds private parts")
        alg = _algorithm_of(jwk, alg, operation="verify")
        return cls(_public_numbers(jwk, alg), alg, _kid_of(jwk))

    @classmethod
    def from_pem(cls, pem: str, *, alg: Algorithm, kid: str | None = None) -> PublicKey:
        """The key of an SPKI PEM. Raises InvalidKey."""
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(pem.encode("ascii"))
        except Exception:
            raise InvalidKey("not a public key in PEM") from None
        return cls(cast(_RawPublic, key), alg, kid)

    @property
    def thumbprint(self) -> str:
        if self._thumbprint is None:
            jwk = self.to_jwk()
            members = {name: jwk[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in jwk}
            self._thumbprint = b64url_encode(sha256(msgspec.json.encode(members)).digest())
        return self._thumbprint

    def to_jwk(self) -> dict[str, Any]:
        """The public JWK with `alg`, `use` and, if there is one, `kid`."""
        jwk: dict[str, Any]
        if isinstance(self._key, rsa.RSAPublicKey):
            numbers = self._key.public_numbers()
            jwk = {"kty": "RSA", "n": _uint(numbers.n), "e": _uint(numbers.e)}
        elif isinstance(self._key, ec.EllipticCurvePublicKey):
            point = self._key.public_numbers()
            jwk = {"kty": "EC", "crv": "P-256", "x": _uint(point.x, 32), "y": _uint(point.y, 32)}
        else:
            jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(self._key.public_bytes_raw())}
        jwk |= {"alg": self.alg, "use": "sig"}
        return jwk if self.kid is None else jwk | {"kid": self.kid}

    def to_pem(self) -> str:
        """SPKI PEM, ending in a newline."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    def __repr__(self) -> str:
        return f"PublicKey(alg={self.alg!r}, kid={self.kid!r}, thumbprint={self.thumbprint!r})"


class PrivateKey:
    """A signing key with its `public` half. Its repr shows nothing secret."""

    __slots__ = ("_key", "public")

    def __init__(self, key: _RawPrivate, alg: Algorithm, kid: str | None = None) -> None:
        self.public = PublicKey(key.public_key(), alg, kid)
        self._key = key

    @property
    def alg(self) -> Algorithm:
        return self.public.alg

    @property
    def kid(self) -> str | None:
        return self.public.kid

    @property
    def thumbprint(self) -> str:
        return self.public.thumbprint

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, alg: Algorithm | None = None) -> PrivateKey:
        alg = _algorithm_of(jwk, alg, operation="sign")
        public = PublicKey(_public_numbers(jwk, alg), alg, _kid_of(jwk))
        try:
            key = _private_numbers(jwk, public._key)
        except (ValueError, TypeError, OverflowError):
            raise InvalidKey("not a private key") from None
        made = cls(key, alg, public.kid)
        if made.thumbprint != public.thumbprint:
            raise InvalidKey("the private part does not belong to the public part")
        return made

    @classmethod
    def from_pem(
        cls, pem: str, *, alg: Algorithm, kid: str | None = None, generated_by_us: bool = False
    ) -> PrivateKey:
        """The key of an unencrypted PKCS#8 PEM. `generated_by_us` skips OpenSSL's 35 ms of primality
        tests: only for keys we made ourselves and kept sealed. Raises InvalidKey."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(
                pem.encode("ascii"), password=None, unsafe_skip_rsa_key_validation=generated_by_us
            )
        except Exception:
            raise InvalidKey("not a private key in PEM") from None
        if not isinstance(key, _RawPrivate):
            raise InvalidKey("not a key type this product signs with")
        return cls(key, alg, kid)

    @classmethod
    def from_ed25519_seed(cls, seed: bytes, *, kid: str | None = None) -> PrivateKey:
        """The Ed25519 key of a 32-byte seed (RFC 8032). Raises InvalidKey."""
        try:
            return cls(ed25519.Ed25519PrivateKey.from_private_bytes(seed), "EdDSA", kid)
        except ValueError:
            raise InvalidKey("an Ed25519 seed has 32 bytes") from None

    def sign(self, data: bytes) -> bytes:
        """The JWS signature over `data`."""
        key = self._key
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(_digest(data), _PKCS1, _DIGEST)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(key.sign(_digest(data), _ECDSA))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return key.sign(data)

    def to_jwk(self) -> dict[str, Any]:
        """The private JWK. Secret."""
        jwk = self.public.to_jwk()
        if isinstance(self._key, rsa.RSAPrivateKey):
            n = self._key.private_numbers()
            parts = {"d": n.d, "p": n.p, "q": n.q, "dp": n.dmp1, "dq": n.dmq1, "qi": n.iqmp}
            return jwk | {name: _uint(value) for name, value in parts.items()}
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return jwk | {"d": _uint(self._key.private_numbers().private_value, 32)}
        return jwk | {"d": b64url_encode(self._key.private_bytes_raw())}

    def to_pem(self) -> str:
        """Unencrypted PKCS#8 PEM, ending in a newline. Secret."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem.decode("ascii")

    def __repr__(self) -> str:
        return f"PrivateKey(alg={self.alg!r}, kid={self.kid!r}, thumbprint={self.thumbprint!r})"


class SecretKey:
    """A shared secret for HS256, at least 32 bytes (RFC 7518 §3.2). Never mixes with public keys."""

    __slots__ = ("_secret", "alg", "header_names", "kid")

    def __init__(self, secret: bytes, *, kid: str | None = None) -> None:
        if len(secret) < 32:
            raise InvalidKey("a shared secret for HS256 has at least 32 bytes")
        self._secret = secret
        self.alg: Algorithm = "HS256"
        self.kid = kid
        self.header_names = header_names("HS256")

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> SecretKey:
        if jwk.get("kty") != "oct" or jwk.get("alg", "HS256") != "HS256":
            raise InvalidKey("not a shared secret for HS256")
        _check_purpose(jwk, ("sign", "verify"))
        return cls(_member(jwk, "k"), kid=_kid_of(jwk))

    def sign(self, data: bytes) -> bytes:
        return hmac.digest(self._secret, data, "sha256")

    def verify(self, signature: bytes, data: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(self._secret, data, "sha256"), signature)

    def __repr__(self) -> str:
        return f"SecretKey(kid={self.kid!r})"


VerifyingKey = PublicKey | SecretKey
SigningKey = PrivateKey | SecretKey


class KeySet:
    """Verifying keys by `kid` (RFC 7517 §5)."""

    __slots__ = ("_by_kid", "_keys")

    def __init__(self, keys: Iterable[VerifyingKey]) -> None:
        self._keys = tuple(keys)
        self._by_kid = {key.kid: key for key in self._keys if key.kid is not None}
        if len(self._by_kid) != sum(key.kid is not None for key in self._keys):
            raise InvalidKey("two keys of the set share a kid")
        # Whoever may read the public half of such a set must not be able to read the secrets in it.
        if len({isinstance(key, SecretKey) for key in self._keys}) > 1:
            raise InvalidKey("shared secrets and public keys do not share a set")

    @classmethod
    def from_jwks(cls, jwks: Mapping[str, Any]) -> KeySet:
        """The usable keys of a JWK Set; a key of a type or use we do not know is skipped, as RFC 7517
        §5 asks. Raises InvalidKey when the shape is wrong or the usable keys clash."""
        listed = jwks.get("keys")
        if not isinstance(listed, list):
            raise InvalidKey("a key set holds a list named keys")
        keys = []
        for jwk in listed:
            try:
                keys.append(PublicKey.from_jwk(jwk))
            except (InvalidKey, TypeError, AttributeError):
                continue
        return cls(keys)

    def find(self, kid: str | None, alg: str) -> VerifyingKey:
        """The key named `kid`; without a name, the only key for `alg`. Raises UnknownKey."""
        if kid is not None:
            found = self._by_kid.get(kid)
            if found is None:
                raise UnknownKey("no key of this name", claim="kid")
            return found
        fitting = [key for key in self._keys if alg in key.header_names]
        if len(fitting) != 1:
            raise UnknownKey("the token names no key, and not exactly one fits", claim="kid")
        return fitting[0]

    def to_jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public JWK Set. Shared secrets are never part of it."""
        return {"keys": [key.to_jwk() for key in self._keys if isinstance(key, PublicKey)]}

    def __iter__(self) -> Iterator[VerifyingKey]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def generate_key(alg: Algorithm, *, kid: str | None = None) -> PrivateKey:
    """A fresh key pair: RSA-2048 (about 40 ms), P-256 or Ed25519."""
    if alg == "RS256":
        return PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=2048), alg, kid)
    if alg == "ES256":
        return PrivateKey(ec.generate_private_key(_P256), alg, kid)
    if alg in _ED25519_NAMES:
        return PrivateKey(ed25519.Ed25519PrivateKey.generate(), alg, kid)
    raise InvalidKey("no key pair exists for this algorithm")


def header_names(alg: Algorithm) -> frozenset[str]:
    """The values of the header's `alg` that mean this algorithm: Ed25519 has two names (RFC 9864)."""
    return _ED25519_NAMES if alg in _ED25519_NAMES else frozenset((alg,))


def _check_public(key: object, alg: Algorithm) -> None:
    fits = (
        (isinstance(key, rsa.RSAPublicKey) and alg == "RS256")
        or (isinstance(key, ec.EllipticCurvePublicKey) and alg == "ES256")
        or (isinstance(key, ed25519.Ed25519PublicKey) and alg in _ED25519_NAMES)
    )
    if not fits:
        raise InvalidKey(f"not a key for {alg}")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name != _P256.name:
        raise InvalidKey("ES256 is P-256 only")
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        if not 2048 <= key.key_size <= 8192:
            raise InvalidKey("an RSA key has 2048 to 8192 bits")
        if numbers.e < 3 or numbers.e.bit_length() > 32:  # a huge exponent is a way to burn our CPU
            raise InvalidKey("an RSA exponent lies between 3 and 2^32")
        if is_roca(numbers.n):
            raise InvalidKey("this RSA key was made by a broken generator (CVE-2017-15361)")


def _algorithm_of(jwk: Mapping[str, Any], alg: Algorithm | None, *, operation: str) -> Algorithm:
    _check_purpose(jwk, (operation,))
    declared = jwk.get("alg")
    if declared is None:
        default = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}.get(str(jwk.get("kty")))
        chosen = alg or default
    else:
        chosen = declared
        if alg is not None and declared not in header_names(alg):
            raise InvalidKey("the key is for another algorithm")
    shape = _KTY.get(str(chosen))
    if shape is None or shape != (jwk.get("kty"), jwk.get("crv") if shape[1] else None):
        raise InvalidKey("not a kind of key this product uses")
    return cast(Algorithm, chosen)


def _check_purpose(jwk: Mapping[str, Any], operations: tuple[str, ...]) -> None:
    listed = jwk.get("key_ops")
    if jwk.get("use", "sig") != "sig":
        raise InvalidKey("the key is not for signatures")
    if listed is not None and not (
        isinstance(listed, list) and all(wanted in listed for wanted in operations)
    ):
        raise InvalidKey("the key is not for this operation")


def _public_numbers(jwk: Mapping[str, Any], alg: Algorithm) -> _RawPublic:
    try:
        if alg == "RS256":
            return rsa.RSAPublicNumbers(_integer(jwk, "e"), _integer(jwk, "n")).public_key()
        if alg == "ES256":
            x, y = _member(jwk, "x"), _member(jwk, "y")
            if len(x) != 32 or len(y) != 32:
                raise InvalidKey("a P-256 coordinate has 32 bytes")
            # Raises for a point off the curve: an invalid-curve attack ends here.
            return ec.EllipticCurvePublicKey.from_encoded_point(_P256, b"\x04" + x + y)
        return ed25519.Ed25519PublicKey.from_public_bytes(_member(jwk, "x"))
    except (ValueError, OverflowError):
        raise InvalidKey("not a public key") from None


def _private_numbers(jwk: Mapping[str, Any], public: _RawPublic) -> _RawPrivate:
    if isinstance(public, rsa.RSAPublicKey):
        d, p, q, dp, dq, qi = (_integer(jwk, name) for name in ("d", "p", "q", "dp", "dq", "qi"))
        return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public.public_numbers()).private_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return ec.derive_private_key(_integer(jwk, "d"), _P256)
    return ed25519.Ed25519PrivateKey.from_private_bytes(_member(jwk, "d"))


def _member(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise InvalidKey(f"the key lacks {name}")
    try:
        return b64url_decode(value)
    except MalformedToken:
        raise InvalidKey(f"the key's {name} is not base64url") from None


def _integer(jwk: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(_member(jwk, name), "big")


def _uint(value: int, length: int | None = None) -> str:
    return b64url_encode(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def _kid_of(jwk: Mapping[str, Any]) -> str | None:
    kid = jwk.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise InvalidKey("a kid is a string")
    return kid
