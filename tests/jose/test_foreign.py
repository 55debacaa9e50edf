"""Keys of other systems' algorithms, against PyJWT: what one signs the other takes, and no key does what it is not for."""

from __future__ import annotations

import json
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from doorward.jose import (
    FOREIGN_ALGORITHMS,
    ForeignKey,
    ForeignSigningKey,
    InvalidKey,
    foreign_keys_of_jwk,
    sign_jwt,
)
from doorward.jose.compact import split_compact

SECRET = "s" * 64
KEYS: dict[str, Any] = {
    "RSA": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def pair(alg: str) -> tuple[str, str]:
    """Private and public text."""
    if alg.startswith("HS"):
        return SECRET, SECRET
    key = KEYS["RSA" if alg[:2] in ("RS", "PS") else alg]
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def accepts(key: ForeignKey, token: str) -> bool:
    _, _, signing_input, signature = split_compact(token)
    return key.verify(signature, signing_input)


@pytest.mark.parametrize("alg", sorted(FOREIGN_ALGORITHMS))
def test_both_ways_with_another_library(alg: str) -> None:
    private, public = pair(alg)
    signing = ForeignSigningKey.from_text(private, alg, kid="k", checked_before=True)
    ours = sign_jwt({"sub": "x"}, signing, typ="JWT")
    assert pyjwt.decode(ours, public, algorithms=[alg]) == {"sub": "x"}
    key = ForeignKey.from_text(public, alg)
    theirs = pyjwt.encode({"sub": "x"}, private, alg)
    assert accepts(key, theirs)
    assert accepts(key, ours)
    head, body, signature = theirs.split(".")
    for forged in (
        f"{head}.{body}x.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-8]}AAAAAAAA",
    ):
        _, _, signature_input, tampered = split_compact(forged)
        assert not key.verify(tampered, signature_input)
    assert SECRET not in repr((signing, key))


@pytest.mark.parametrize("alg", sorted(FOREIGN_ALGORITHMS))
def test_a_key_of_another_kind_is_refused(alg: str) -> None:
    for other in sorted(FOREIGN_ALGORITHMS - {alg}):
        private, public = pair(other)
        same_family = {alg[:2], other[:2]} in ({"RS"}, {"PS"}, {"RS", "PS"}, {"HS"})
        if not same_family:
            with pytest.raises(InvalidKey):
                ForeignKey.from_text(public, alg)
            with pytest.raises(InvalidKey):
                ForeignSigningKey.from_text(private, alg)


@pytest.mark.parametrize("text", ["", "short", "https://a.example/" + "x" * 64, '{"keys": []}' + " " * 64, ' "-----BEGIN' + "x" * 64])  # fmt: skip
def test_what_is_no_shared_secret(text: str) -> None:
    with pytest.raises(InvalidKey):
        ForeignKey.from_text(text, "HS256")


def test_public_jwks_become_one_key_per_algorithm_of_their_family() -> None:
    jwk = json.loads(pyjwt.algorithms.RSAAlgorithm.to_jwk(KEYS["RSA"].public_key())) | {"kid": "k"}
    assert set(foreign_keys_of_jwk(jwk)) == {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
    for alg in ("ES256", "ES384", "ES512"):
        point = json.loads(pyjwt.algorithms.ECAlgorithm.to_jwk(KEYS[alg].public_key()))
        (key,) = foreign_keys_of_jwk(point).values()
        assert accepts(key, pyjwt.encode({}, pair(alg)[0], alg))
    okp = json.loads(pyjwt.algorithms.OKPAlgorithm.to_jwk(KEYS["EdDSA"].public_key()))
    assert set(foreign_keys_of_jwk(okp)) == {"EdDSA"}


@pytest.mark.parametrize(
    "jwk",
    [{}, {"kty": "oct", "k": "AAAA"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
     {"kty": "OKP", "crv": "X25519", "x": "AA"}, {"kty": "RSA", "n": 5, "e": None}, {"kty": ["RSA"]}],
)  # fmt: skip
def test_other_jwks_are_refused(jwk: dict[str, Any]) -> None:
    with pytest.raises(InvalidKey):
        foreign_keys_of_jwk(jwk)
    private = json.loads(pyjwt.algorithms.RSAAlgorithm.to_jwk(KEYS["RSA"]))
    with pytest.raises(InvalidKey):
        foreign_keys_of_jwk(private)
    with pytest.raises(InvalidKey):
        foreign_keys_of_jwk(
            {**json.loads(pyjwt.algorithms.RSAAlgorithm.to_jwk(KEYS["RSA"].public_key())), "use": "enc"}
        )
