"""Keys: what is taken in, what comes out, and what is never a key."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519

from doorward.jose import InvalidKey, KeySet, PrivateKey, PublicKey, SecretKey, b64url_encode, generate_key
from doorward.jose.roca import is_roca
from tests.jose.keyring import EC, EC_OTHER, ED, ED_RFC9864, RSA, RSA_OTHER, SECRET

PAIRS = (RSA, EC, ED, ED_RFC9864)


def uint(number: int) -> str:
    return b64url_encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


@pytest.mark.parametrize("key", PAIRS, ids=lambda key: key.alg)
def test_a_key_survives_jwk_and_pem(key) -> None:
    message = b"m"
    copies = [
        PrivateKey.from_jwk(key.to_jwk()),
        PrivateKey.from_jwk({n: v for n, v in key.to_jwk().items() if n != "alg"}, alg=key.alg),
        PrivateKey.from_pem(key.to_pem(), alg=key.alg),
        PrivateKey.from_pem(key.to_pem(), alg=key.alg, generated_by_us=True),
    ]
    for copy in copies:
        assert (copy.alg, copy.thumbprint) == (key.alg, key.thumbprint)
        assert key.public.verify(copy.sign(message), message)
        assert copy.to_jwk() == key.to_jwk()
    for public in (
        PublicKey.from_jwk(key.public.to_jwk()),
        PublicKey.from_pem(key.public.to_pem(), alg=key.alg),
    ):
        assert public.verify(key.sign(message), message)
        assert not public.verify(key.sign(message), b"other")
        assert public.to_jwk() == key.public.to_jwk()


@pytest.mark.parametrize("key", PAIRS, ids=lambda key: key.alg)
def test_a_name_stays_with_its_key(key) -> None:
    named = PrivateKey.from_pem(key.to_pem(), alg=key.alg, kid="k1")
    assert named.kid == named.public.kid == named.to_jwk()["kid"] == named.public.to_jwk()["kid"] == "k1"
    assert PublicKey.from_jwk(named.public.to_jwk()).kid == "k1"
    assert named.thumbprint == key.thumbprint
    assert "kid" not in key.public.to_jwk()


@pytest.mark.conformance("connect-relay", 29)
def test_thumbprints_are_those_of_the_rfcs() -> None:
    rsa_jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1"
        "n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }  # RFC 7638 §3.1
    assert PublicKey.from_jwk(rsa_jwk).thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    okp = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}  # RFC 8037 A.3
    assert PublicKey.from_jwk(okp).thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    point = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    assert PublicKey.from_jwk(point).thumbprint == "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"


def test_the_protocol_vectors_of_p256_and_ed25519_come_out() -> None:
    scalar = ec.derive_private_key(int.from_bytes(b"\x01" * 32, "big"), ec.SECP256R1())
    key = PrivateKey(scalar, "ES256")
    jwk = key.public.to_jwk()
    assert jwk["x"] == "b_A7lJJBzh2t1DUZ5pYOCoW0GmmgXDKBA6orzhWUyhY"
    assert jwk["y"] == "PE91OlW_AdxT9sCwx-7ni0DG_30lqW4igrmJzvccFEo"
    assert key.thumbprint == "Nrqg3-M_Xwtx-1tbtc1J7Xul2DyeC0bUSy9u_5NSG6g"
    seed = PrivateKey.from_ed25519_seed(b"\x09" * 32)
    assert "MCowBQYDK2VwAyEA/RckOFqgx1tk+3jNYC+h2ZH96/drE8WO1wLqyDXp9hg=" in seed.public.to_pem()
    for wrong in (b"", b"\x09" * 31, b"\x09" * 33):
        with pytest.raises(InvalidKey):
            PrivateKey.from_ed25519_seed(wrong)


@pytest.mark.parametrize("key", PAIRS, ids=lambda key: key.alg)
def test_a_private_key_is_refused_where_a_public_one_is_due(key) -> None:
    with pytest.raises(InvalidKey, match="private"):
        PublicKey.from_jwk(key.to_jwk())
    with pytest.raises(InvalidKey):
        PublicKey.from_pem(key.to_pem(), alg=key.alg)
    with pytest.raises(InvalidKey):
        PrivateKey.from_pem(key.public.to_pem(), alg=key.alg)
    with pytest.raises(InvalidKey):
        PrivateKey.from_jwk(key.public.to_jwk())


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_any_private_member_gives_a_private_key_away(member) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.from_jwk({**RSA.public.to_jwk(), member: "AQ"})


def test_nothing_secret_shows_in_a_repr() -> None:
    for key in PAIRS:
        assert key.to_jwk()["d"] not in repr(key)
        assert key.thumbprint in repr(key)
        assert key.thumbprint in repr(key.public)
    assert repr(SECRET) == "SecretKey(kid=None)"


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "ES256"},
        {"alg": "RS512"},
        {"alg": "none"},
        {"alg": 1},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"key_ops": []},
        {"kty": "EC"},
        {"kty": None},
        {"n": None},
        {"n": 5},
        {"n": "AQ=="},
        {"n": "é"},
        {"e": ""},
        {"kid": 5},
    ],
)
def test_a_jwk_that_does_not_fit_is_refused(change) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.from_jwk({**RSA.public.to_jwk(), **change})


def test_a_jwk_for_verifying_says_so() -> None:
    for change in ({"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}, {"use": "sig"}):
        assert PublicKey.from_jwk({**RSA.public.to_jwk(), **change})
    with pytest.raises(InvalidKey):
        PrivateKey.from_jwk({**EC.to_jwk(), "key_ops": ["verify"]})
    assert PrivateKey.from_jwk({**EC.to_jwk(), "key_ops": ["sign"]})


def test_the_caller_and_the_jwk_must_agree_on_the_algorithm() -> None:
    with pytest.raises(InvalidKey):
        PublicKey.from_jwk(EC.public.to_jwk(), alg="RS256")
    with pytest.raises(InvalidKey):
        PublicKey.from_jwk({n: v for n, v in EC.public.to_jwk().items() if n != "alg"}, alg="EdDSA")
    assert PublicKey.from_jwk(ED_RFC9864.public.to_jwk(), alg="EdDSA").alg == "Ed25519"
    for key, wrong in ((RSA, "ES256"), (EC, "RS256"), (ED, "ES256"), (EC, "EdDSA"), (RSA, "HS256")):
        with pytest.raises(InvalidKey):
            PublicKey.from_pem(key.public.to_pem(), alg=wrong)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_coordinate_has_32_bytes(length) -> None:
    for name in ("x", "y"):
        with pytest.raises(InvalidKey):
            PublicKey.from_jwk({**EC.public.to_jwk(), name: b64url_encode(b"\x01" * length)})
    with pytest.raises(InvalidKey):
        PublicKey.from_jwk({**ED.public.to_jwk(), "x": b64url_encode(b"\x01" * length)})


def test_a_point_off_the_curve_is_refused() -> None:
    with pytest.raises(InvalidKey):
        PublicKey.from_jwk({**EC.public.to_jwk(), "y": EC_OTHER.public.to_jwk()["y"]})
    with pytest.raises(InvalidKey):
        PublicKey.from_jwk(
            {**EC.public.to_jwk(), "x": b64url_encode(bytes(32)), "y": b64url_encode(bytes(32))}
        )


def test_a_private_part_of_another_key_is_refused() -> None:
    for key, other in ((EC, EC_OTHER), (ED, ED_RFC9864), (RSA, RSA_OTHER)):
        with pytest.raises(InvalidKey):
            PrivateKey.from_jwk({**key.to_jwk(), "d": other.to_jwk()["d"]})
    with pytest.raises(InvalidKey):
        PrivateKey.from_jwk({**EC.to_jwk(), "d": b64url_encode(bytes(32))})


@pytest.mark.parametrize("bits", [512, 1024, 2047, 8200])
def test_an_rsa_key_of_the_wrong_size_is_refused(bits) -> None:
    modulus = (1 << (bits - 1)) | (1 << 7) | 1
    with pytest.raises(InvalidKey):
        PublicKey.from_jwk({"kty": "RSA", "n": uint(modulus), "e": "AQAB"})


def test_rsa_keys_of_2048_and_8192_bits_are_taken() -> None:
    for bits in (2048, 8192):
        assert PublicKey.from_jwk({"kty": "RSA", "n": uint((1 << (bits - 1)) | (1 << 7) | 1), "e": "AQAB"})


@pytest.mark.parametrize("exponent", [1, 2, 4, 2**32 + 1, 2**2000 + 1])
def test_an_odd_rsa_exponent_is_refused(exponent) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.from_jwk({**RSA.public.to_jwk(), "e": uint(exponent)})


@pytest.mark.parametrize("exponent", [3, 65537, 2**32 - 1])
def test_usual_rsa_exponents_are_taken(exponent) -> None:
    assert PublicKey.from_jwk({**RSA.public.to_jwk(), "e": uint(exponent)})


def test_a_key_of_the_broken_generator_is_recognised() -> None:
    primorial = 1
    for prime in (
        3,
        5,
        7,
        11,
        13,
        17,
        19,
        23,
        29,
        31,
        37,
        41,
        43,
        47,
        53,
        59,
        61,
        67,
        71,
        73,
        79,
        83,
        89,
        97,
    ):
        primorial *= prime
    for prime in (101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167):
        primorial *= prime
    broken = (7 * primorial + pow(65537, 12345, primorial)) * (9 * primorial + pow(65537, 777, primorial))
    assert is_roca(broken)
    assert not is_roca(broken + 2)
    assert not any(is_roca(key.public._key.public_numbers().n) for key in (RSA, RSA_OTHER))
    widened = broken
    while widened.bit_length() < 2048:
        widened *= 65537
    with pytest.raises(InvalidKey, match="broken generator"):
        PublicKey.from_jwk({"kty": "RSA", "n": uint(widened), "e": "AQAB"})


def test_other_kinds_of_key_are_refused() -> None:
    def pem(key):
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    others = [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        x25519.X25519PrivateKey.generate(),
        dsa.generate_private_key(2048),
        rsa.generate_private_key(65537, 1024),
    ]
    for key in others:
        for alg in ("ES256", "RS256", "EdDSA"):
            with pytest.raises(InvalidKey):
                PrivateKey.from_pem(pem(key), alg=alg)
    for text in ("", "nonsense", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "é"):
        with pytest.raises(InvalidKey):
            PublicKey.from_pem(text, alg="EdDSA")
        with pytest.raises(InvalidKey):
            PrivateKey.from_pem(text, alg="EdDSA")
    with pytest.raises(InvalidKey):
        PublicKey(ed25519.Ed25519PrivateKey.generate().public_key(), "ES256")
    with pytest.raises(InvalidKey):
        generate_key("HS256")


def test_a_shared_secret_comes_from_a_jwk_of_its_own_kind_only() -> None:
    secret = b64url_encode(bytes(range(32)))
    key = SecretKey.from_jwk({"kty": "oct", "k": secret, "alg": "HS256", "kid": "s1"})
    assert key.kid == "s1"
    assert SECRET.verify(key.sign(b"m"), b"m")
    assert not SECRET.verify(key.sign(b"m"), b"n")
    assert SecretKey.from_jwk({"kty": "oct", "k": secret})
    for wrong in (
        {"kty": "RSA", "k": secret},
        {"kty": "oct"},
        {"kty": "oct", "k": secret, "alg": "HS512"},
        {"kty": "oct", "k": secret, "use": "enc"},
        {"kty": "oct", "k": secret, "key_ops": ["verify"]},
        {"kty": "oct", "k": b64url_encode(bytes(31))},
    ):
        with pytest.raises(InvalidKey):
            SecretKey.from_jwk(wrong)


def test_a_key_set_skips_what_it_cannot_use_and_publishes_no_secret() -> None:
    named = PublicKey.from_jwk({**RSA.public.to_jwk(), "kid": "k1"})
    jwks = {
        "keys": [
            named.to_jwk(),
            {"kty": "oct", "k": "AA"},
            {"kty": "EC", "crv": "P-521"},
            None,
            5,
            EC.to_jwk(),
        ]
    }
    keys = KeySet.from_jwks(jwks)
    assert [key.kid for key in keys] == ["k1"]
    assert len(keys) == 1
    assert keys.to_jwks() == {"keys": [named.to_jwk()]}
    assert KeySet([SECRET]).to_jwks() == {"keys": []}
    for wrong in ({}, {"keys": None}, {"keys": {}}, {"keys": "k"}):
        with pytest.raises(InvalidKey):
            KeySet.from_jwks(wrong)


def test_a_key_set_is_unambiguous() -> None:
    twin = {"kid": "k1"}
    with pytest.raises(InvalidKey, match="share a kid"):
        KeySet.from_jwks({"keys": [RSA.public.to_jwk() | twin, EC.public.to_jwk() | twin]})
    with pytest.raises(InvalidKey, match="do not share a set"):
        KeySet([SECRET, RSA.public])
    assert len(KeySet([RSA.public, EC.public])) == 2
