"""Triplit's reading of tokens: the key texts, the order of checks, the errors, and the matching of roles."""

from __future__ import annotations

import json
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from doorward.verify.triplit import (
    TriplitRefused,
    TriplitToken,
    judge_key_text,
    match_role,
    matched_roles,
    read_token,
)

NOW = 1_800_000_000
SECRET = "the internal secret of a Triplit server"
KEY = rsa.generate_private_key(65537, 2048)
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PKCS1 = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
ONE_LINE = PEM.replace("\n", "")
JWK = pyjwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())
URL = "https://accounts.example.com/.well-known/jwks.json"


def token(key: str = PRIVATE, alg: str = "RS256", **claims: Any) -> str:
    return pyjwt.encode({"sub": "user_1", "exp": NOW + 60} | claims, key, alg)


def forged(text: str) -> str:
    """An HS256 token keyed with a public text; PyJWT itself refuses to make one."""
    encode = pyjwt.utils.base64url_encode
    parts = ({"alg": "HS256"}, {"sub": "x", "exp": NOW + 9})
    signed = ".".join(encode(json.dumps(part).encode()).decode() for part in parts)
    hashing = pyjwt.algorithms.HMACAlgorithm(pyjwt.algorithms.HMACAlgorithm.SHA256)
    return f"{signed}.{encode(hashing.sign(signed.encode(), text.encode())).decode()}"


def read(jwt: str | None, key: str = ONE_LINE, **options: Any) -> TriplitToken:
    return read_token(jwt, **({"jwt_secret": SECRET, "external_jwt_secret": key, "now": NOW} | options))


@pytest.mark.conformance("data-access", 13)
@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        pytest.param(PEM, "accepted", id="PEM"),
        pytest.param(PEM.rstrip(), "accepted", id="PEM without its last line break"),
        pytest.param(ONE_LINE, "accepted", id="PEM on one line"),
        pytest.param(PEM.replace("\n", "\\n"), "broken", id="literal line breaks"),
        pytest.param(" " + PEM, "forgeable", id="a blank before"),
        pytest.param(f'"{PEM}"', "forgeable", id="quotes over several lines"),
        pytest.param(f'"{ONE_LINE}"', "broken", id="quotes around one line"),
        pytest.param(PKCS1, "forgeable", id="PKCS#1"),
        pytest.param(JWK, "accepted", id="JWK"),
        pytest.param(json.dumps({"keys": [json.loads(JWK)]}), "broken", id="JWKS"),
        pytest.param(URL, "forgeable", id="a URL"),
    ],
)
def test_the_matrix_of_key_texts(text: str, verdict: str) -> None:
    assert judge_key_text(text).verdict == verdict
    if verdict == "accepted":
        assert read(token(), text).claims["sub"] == "user_1"
        with pytest.raises(TriplitRefused) as caught:
            read(forged(text), text)
        assert caught.value.status == 401
        return
    with pytest.raises(TriplitRefused) as caught:
        read(token(), text)
    assert caught.value.status == (500 if verdict == "broken" else 401)
    if verdict == "forgeable":
        assert read(forged(text), text).claims["sub"] == "x"


def test_other_key_texts() -> None:
    assert judge_key_text("").verdict == "broken"
    assert judge_key_text(SECRET).verdict == "secret"
    assert judge_key_text(token()).verdict == "forgeable"
    assert judge_key_text('{"kty":"RSA"}').verdict == "broken"
    assert judge_key_text("-----BEGIN PUBLIC KEY-----junk").verdict == "broken"


@given(st.text())
def test_any_key_text_is_judged(text: str) -> None:
    assert judge_key_text(text).why


@pytest.mark.parametrize(
    ("jwt", "name", "status"),
    [
        pytest.param(None, "TokenVerificationError", 401, id="none"),
        pytest.param("", "TokenVerificationError", 401, id="empty"),
        pytest.param("x", "InvalidTokenPayloadError", 400, id="no JWT"),
        pytest.param(token()[:-8] + "AAAAAAAA", "InvalidTokenSignatureError", 401, id="signature"),
        pytest.param(token(exp=NOW - 1), "InvalidTokenSignatureError", 401, id="expired by a second"),
        pytest.param(token(exp=NOW), "InvalidTokenSignatureError", 401, id="expired now"),
        pytest.param(token(nbf=NOW + 1), "InvalidTokenSignatureError", 401, id="not yet valid"),
        pytest.param(token(exp="x"), "InvalidTokenSignatureError", 401, id="exp is text"),
        pytest.param(pyjwt.encode({"sub": "x"}, None, "none"), "InvalidTokenSignatureError", 401, id="alg none"),
        pytest.param(token(SECRET, "HS256"), "InvalidTokenSignatureError", 401, id="external with the internal secret"),
        pytest.param(
            token(**{"x-triplit-token-type": "secret"}), "InvalidTokenSignatureError", 401, id="service from outside"
        ),
    ],
)  # fmt: skip
def test_what_is_refused(jwt: str | None, name: str, status: int) -> None:
    with pytest.raises(TriplitRefused) as caught:
        read(jwt)
    assert (caught.value.name, caught.value.status) == (name, status)


def test_what_is_never_looked_at() -> None:
    jwt = pyjwt.encode(
        {"iss": "x", "aud": "y", "azp": "z", "iat": NOW + 900}, PRIVATE, "RS256", {"kid": "any", "typ": "any"}
    )
    found = read(jwt)
    assert (found.kind, found.expires_at, found.is_administrator) == ("external", None, False)
    for alg in ("RS384", "RS512", "PS256"):
        assert read(token(alg=alg)).kind == "external"


def test_an_elliptic_key() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert read(token(private, "ES256"), public).kind == "external"
    with pytest.raises(TriplitRefused, match="not one for RS256"):
        read(token(), public)


@pytest.mark.parametrize(
    ("token_type", "kind"), [("anon", "anonymous"), ("secret", "service"), ("test", "test"), ("other", None)]
)
def test_internal_tokens_are_of_the_internal_secret(token_type: str, kind: str | None) -> None:
    jwt = pyjwt.encode({"x-triplit-token-type": token_type}, SECRET, "HS256")
    if kind is None:
        with pytest.raises(TriplitRefused):
            read(jwt)
        return
    found = read(jwt)
    assert (found.kind, found.expires_at, found.is_administrator) == (kind, None, kind == "service")


def test_without_an_external_key_the_internal_one_counts() -> None:
    assert read(token(SECRET, "HS256"), "").kind == "external"
    with pytest.raises(TriplitRefused, match="no key"):
        read(token(), "", jwt_secret="")


def test_with_a_claims_path_the_nested_value_rules() -> None:
    found = read(token(app={"x-triplit-token-type": "secret"}), claims_path="app")
    assert (found.kind, found.is_administrator, found.expires_at) == ("external", True, None)
    with pytest.raises(TriplitRefused) as caught:
        read(token(), claims_path="app.user")
    assert caught.value.status == 500


NO_MATCH, CRASH = None, TriplitRefused


@pytest.mark.parametrize(
    ("pattern", "claims", "expected"),
    [
        ({"type": "admin"}, {"type": "admin"}, {}),
        ({"type": "admin"}, {"type": "user"}, NO_MATCH),
        ({"type": "admin"}, {}, NO_MATCH),
        ({"n": 1}, {"n": "1"}, NO_MATCH),
        ({"n": 1}, {"n": 1.0}, {}),
        ({"n": 1}, {"n": True}, NO_MATCH),
        ({"sub": "$uid"}, {"sub": "u1"}, {"uid": "u1"}),
        ({"sub": "$uid"}, {"sub": None}, {"uid": None}),
        ({"sub": "$uid"}, {"sub": ""}, {"uid": ""}),
        ({"sub": "$uid"}, {}, NO_MATCH),
        ({"o": {"id": "$org", "rol": "admin"}}, {"o": {"id": "org_1", "rol": "admin"}}, {"org": "org_1"}),
        ({"o": {"id": "$org", "rol": "admin"}}, {"o": {"id": "org_1", "rol": "member"}}, NO_MATCH),
        ({"o": {"id": "$org"}}, {"o": None}, CRASH),
        ({"o": {"id": "$org"}}, {}, NO_MATCH),
        ({"o": {"id": "$org"}}, {"o": {}}, NO_MATCH),
        ({"o": {"id": "$org"}}, {"o": "text"}, NO_MATCH),
        ({"roles": ["admin"]}, {"roles": ["admin", "x"]}, {}),
        ({"roles": ["admin"]}, {"roles": ["x", "admin"]}, NO_MATCH),
        ({"roles": "$roles"}, {"roles": ["a", "b"]}, {"roles": ["a", "b"]}),
        ({"o.id": "$org"}, {"o": {"id": "org_1"}}, NO_MATCH),
        ({"a": "$v", "b": "$v"}, {"a": 1, "b": 2}, {"v": 2}),
        ({}, {}, {}),
        ({}, {"anything": 1}, {}),
        ({"toString": "$f"}, {}, {"f": None}),
        ({"a": None}, {"a": None}, {}),
    ],
)
def test_the_matching_of_roles(pattern: dict[str, Any], claims: Any, expected: Any) -> None:
    if expected is CRASH:
        with pytest.raises(TriplitRefused) as caught:
            match_role(pattern, claims)
        assert caught.value.status == 500
    else:
        assert match_role(pattern, claims) == expected


@pytest.mark.conformance("data-access", 57)
def test_every_matching_role_applies() -> None:
    claims = {"sub": "u1", "x-triplit-token-type": "anon"}
    assert matched_roles(claims) == {"anonymous": {}, "authenticated": {"sub": "u1"}}
    assert matched_roles(claims, {"admin": {"type": "admin"}}) == {}
