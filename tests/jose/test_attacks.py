"""Every known way past a token check, tried: jwt_tool's list and RFC 8725's."""

import json
from hashlib import sha256

import pytest

from doorward.jose import (
    AlgorithmRefused,
    ClaimRefused,
    InvalidKey,
    InvalidSignature,
    JoseError,
    KeySet,
    MalformedToken,
    SecretKey,
    UnknownKey,
    b64url_encode,
    peek_claims,
    peek_header,
    sign_jwt,
    verify_jwt,
)
from tests.jose.keyring import (
    CLAIMS,
    EC,
    ED,
    ED_RFC9864,
    NOW,
    RSA,
    RSA_OTHER,
    SECRET,
    SIGNING,
    part,
    token,
    verifier,
)


def verify(text, keys, **options):
    return verify_jwt(text, keys, **{"claims": dict, "now": NOW, "typ": None, **options})


@pytest.mark.parametrize("key", SIGNING, ids=lambda key: key.alg)
def test_an_honest_token_passes(key) -> None:
    made = sign_jwt(CLAIMS, key, typ="JWT")
    verified = verify(made, verifier(key), typ="JWT", issuer=CLAIMS["iss"], audience="api")
    assert verified.claims == CLAIMS
    assert verified.header == {"alg": key.alg, "typ": "JWT"}
    assert verified.key is verifier(key)


@pytest.mark.parametrize("key", SIGNING, ids=lambda key: key.alg)
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "HS256 ", "hs256"])
def test_alg_none_is_refused_in_every_casing(key, alg) -> None:
    for made in (token({"alg": alg}), token({"alg": alg}, key=key)):
        with pytest.raises(AlgorithmRefused):
            verify(made, verifier(key))


@pytest.mark.parametrize("key", SIGNING, ids=lambda key: key.alg)
def test_a_token_without_signature_is_refused(key) -> None:
    with pytest.raises(InvalidSignature):
        verify(token({"alg": key.alg}), verifier(key))
    with pytest.raises(InvalidSignature):
        verify(token({"alg": key.alg}, signature=bytes(64)), verifier(key))


@pytest.mark.parametrize("key", SIGNING, ids=lambda key: key.alg)
def test_any_changed_character_is_noticed(key) -> None:
    made = sign_jwt(CLAIMS, key, typ="JWT")
    for place in range(0, len(made), 7):
        swapped = "A" if made[place] != "A" else "B"
        with pytest.raises(JoseError):
            verify(made[:place] + swapped + made[place + 1 :], verifier(key))


def test_a_public_key_never_serves_as_a_shared_secret() -> None:
    """RS256 to HS256 confusion: the attacker signs with the PEM everybody can read."""
    for material in (RSA.public.to_pem().encode(), EC.public.to_pem().encode()):
        forged = token({"alg": "HS256"}, key=SecretKey(material))
        for public in (RSA.public, EC.public):
            with pytest.raises(AlgorithmRefused):
                verify(forged, public)
            with pytest.raises(UnknownKey):
                verify(forged, KeySet([RSA.public, EC.public]))


@pytest.mark.parametrize("key", SIGNING, ids=lambda key: key.alg)
@pytest.mark.parametrize(
    "alg", ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384"]
)
def test_a_key_verifies_its_own_algorithm_only(key, alg) -> None:
    if alg == key.alg or (key.alg == "Ed25519" and alg == "EdDSA"):
        return
    with pytest.raises(AlgorithmRefused):
        verify(token({"alg": alg}, key=key), verifier(key))


def test_both_names_of_ed25519_are_one_algorithm_unless_the_caller_says_otherwise() -> None:
    for signer in (ED, ED_RFC9864):
        for alg in ("EdDSA", "Ed25519"):
            assert verify(token({"alg": alg}, key=signer), signer.public).claims == CLAIMS
        with pytest.raises(AlgorithmRefused):
            verify(token({"alg": "Ed25519"}, key=signer), signer.public, algorithms=("EdDSA",))


def test_a_key_inside_the_header_is_never_trusted() -> None:
    for header in (
        {"alg": "RS256", "jwk": RSA_OTHER.public.to_jwk()},
        {"alg": "RS256", "jku": "https://attacker.example/jwks.json", "kid": "k"},
        {"alg": "RS256", "x5u": "https://attacker.example/chain.pem"},
        {"alg": "RS256", "x5c": ["MIIB"]},
    ):
        with pytest.raises(InvalidSignature):
            verify(token(header, key=RSA_OTHER), RSA.public)


@pytest.mark.parametrize("kid", ["../../../dev/null", "' OR 1=1 --", "| whoami", "", "k\x001", "k2", "K1"])
def test_a_kid_is_a_name_and_nothing_else(kid) -> None:
    keys = KeySet([type(RSA.public).from_jwk({**RSA.public.to_jwk(), "kid": "k1"})])
    with pytest.raises(UnknownKey):
        verify(token({"alg": "RS256", "kid": kid}, key=RSA), keys)
    assert verify(token({"alg": "RS256", "kid": "k1"}, key=RSA), keys).claims == CLAIMS


@pytest.mark.parametrize("kid", [1, None, ["k1"], {"k": 1}])
def test_a_kid_that_is_no_string_is_malformed(kid) -> None:
    with pytest.raises(MalformedToken) as refused:
        verify(token({"alg": "RS256", "kid": kid}, key=RSA), RSA.public)
    assert refused.value.claim == "kid"


def test_a_pinned_key_with_a_name_refuses_a_token_that_names_another() -> None:
    named = type(RSA.public).from_jwk({**RSA.public.to_jwk(), "kid": "k1"})
    with pytest.raises(UnknownKey):
        verify(token({"alg": "RS256", "kid": "k2"}, key=RSA), named)
    assert verify(token({"alg": "RS256", "kid": "k1"}, key=RSA), named)
    assert verify(token({"alg": "RS256"}, key=RSA), named)
    assert verify(token({"alg": "RS256", "kid": "k2"}, key=RSA), RSA.public)


def test_without_a_kid_one_fitting_key_of_a_set_is_taken_and_two_are_refused() -> None:
    unnamed = token({"alg": "RS256"}, key=RSA)
    assert verify(unnamed, [RSA.public, EC.public]).key is RSA.public
    with pytest.raises(UnknownKey):
        verify(unnamed, [RSA.public, RSA_OTHER.public])
    with pytest.raises(UnknownKey):
        verify(unnamed, [])


def test_a_blank_or_short_secret_is_no_key() -> None:
    for secret in (b"", bytes(31)):
        with pytest.raises(InvalidKey):
            SecretKey(secret)
    assert SecretKey(bytes(32)).alg == "HS256"


@pytest.mark.parametrize("r, s", [(0, 0), (0, 1), (1, 0), (2**256 - 1, 2**256 - 1)])
def test_psychic_signatures_are_refused(r, s) -> None:
    forged = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    with pytest.raises(InvalidSignature):
        verify(token({"alg": "ES256"}, signature=forged), EC.public)


def test_an_es256_signature_has_exactly_64_bytes() -> None:
    text = f"{part({'alg': 'ES256'})}.{part(CLAIMS)}"
    good = EC.sign(text.encode())
    for bad in (good[:-1], good + b"\0", b"\0" + good, good[:32] + b"\0" + good[32:], b""):
        with pytest.raises(InvalidSignature):
            verify(f"{text}.{b64url_encode(bad)}", EC.public)


_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # a SHA-256 DigestInfo, but for the digest


@pytest.mark.parametrize(
    "info, behind, padding, is_good",
    [
        pytest.param(_INFO, b"", 202, True, id="as it should be"),
        pytest.param(_INFO, bytes(100), 102, False, id="something behind the digest"),
        pytest.param(_INFO, b"\0", 201, False, id="one byte behind the digest"),
        pytest.param(
            bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20", b"", 204, False, id="no parameters"
        ),
        pytest.param(_INFO[:-3] + b"\x07" + _INFO[-2:], b"", 202, False, id="other parameters"),
        pytest.param(b"", b"", 221, False, id="the digest alone"),
    ],
)
def test_what_an_rsa_signature_holds_is_compared_to_the_last_byte(info, behind, padding, is_good) -> None:
    text = f"{part({'alg': 'RS256'})}.{part(CLAIMS)}"
    held = b"\0\1" + b"\xff" * padding + b"\0" + info + sha256(text.encode()).digest() + behind
    assert len(held) == 256
    numbers = RSA._key.private_numbers()
    raised = pow(int.from_bytes(held, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")
    assert RSA.public.verify(raised, text.encode()) is is_good


def test_an_rsa_signature_is_as_long_as_its_key_leading_zeros_included() -> None:
    n = RSA._key.private_numbers().public_numbers.n
    tries = ((data, RSA.sign(data)) for data in map(str.encode, map(str, range(100_000))))
    data, good = next(
        (data, signed)
        for data, signed in tries
        if signed[0] == 0 and int.from_bytes(signed, "big") + n < 2**2048
    )
    assert RSA.public.verify(good, data)
    for bad in (good.lstrip(b"\0"), b"\0" + good, good + b"\0", b""):
        assert not RSA.public.verify(bad, data)
    # Modulo n it is the same number, but no signature (RFC 8017 §5.2.2, step 1).
    assert not RSA.public.verify((int.from_bytes(good, "big") + n).to_bytes(256, "big"), data)


@pytest.mark.parametrize(
    "extension",
    [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"b64": True}],
)
def test_critical_extensions_and_unencoded_payloads_are_refused(extension) -> None:
    with pytest.raises(MalformedToken) as refused:
        verify(token({"alg": "RS256", **extension}, key=RSA), RSA.public)
    assert refused.value.claim in extension


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"RS256","alg":"RS256"}',
        b'{"alg":"none","alg":"RS256"}',
        b'{"alg":"RS256","jwk":{"a":1,"a":1}}',
        b'{"alg":"RS256","\\u0061lg":"none"}',
    ],
)
def test_duplicate_members_in_the_header_are_refused(header) -> None:
    with pytest.raises(MalformedToken):
        verify(token(header, key=RSA), RSA.public)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"exp":9999999999,"sub":"a","sub":"b"}',
        b'{"exp":9999999999,"exp":9999999999}',
        b'{"exp":9999999999,"o":{"x":1,"x":1}}',
        b'{"exp":9999999999,"o":[{"x":1,"x":2}]}',
        b'{"exp":9999999999,"sub":"a","s\\u0075b":"b"}',
    ],
)
def test_duplicate_members_in_the_claims_are_refused(payload) -> None:
    with pytest.raises(MalformedToken):
        verify(token({"alg": "RS256"}, payload, key=RSA), RSA.public)


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b'"text"', b"null", b"1", b"{", b"{}x", b"\xff", b'{"a":NaN}', b"\xef\xbb\xbf{}"]
)
def test_claims_that_are_no_json_object_are_refused(payload) -> None:
    with pytest.raises(MalformedToken):
        verify(token({"alg": "RS256"}, payload, key=RSA), RSA.public, required=())
    with pytest.raises(MalformedToken):
        peek_claims(token({"alg": "RS256"}, payload, key=RSA), dict)


@pytest.mark.parametrize(
    "header", [b"", b"[]", b"{", b"{}", b'{"alg":null}', b'{"alg":1}', b'{"alg":"RS256","typ":1}', b'"RS256"']
)
def test_a_header_that_is_none_is_refused(header) -> None:
    with pytest.raises(MalformedToken):
        verify(token(header, key=RSA), RSA.public)
    with pytest.raises(MalformedToken):
        peek_header(token(header, key=RSA))


@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", "a.b", "a.b.c.d", "a.b.c.d.e", "é.é.é", "eyJhbGciOiJSUzI1NiJ9"]
)
def test_what_is_no_compact_jws_is_refused(text) -> None:
    with pytest.raises(MalformedToken):
        verify(text, RSA.public)


def test_white_space_padding_and_foreign_characters_are_refused_anywhere() -> None:
    made = sign_jwt(CLAIMS, RSA, typ="JWT")
    parts = made.split(".")
    for place in range(3):
        for spoilt in (
            parts[place] + "=",
            parts[place] + "\n",
            " " + parts[place],
            parts[place] + "é",
            parts[place] + "+/",
        ):
            changed = [*parts[:place], spoilt, *parts[place + 1 :]]
            with pytest.raises(JoseError):
                verify(".".join(changed), RSA.public)


def test_a_token_has_a_largest_size() -> None:
    wide = sign_jwt({**CLAIMS, "filler": "x" * 12_000}, SECRET, typ="JWT")
    assert 16_000 < len(wide) <= 16_384
    assert verify(wide, SECRET)
    with pytest.raises(MalformedToken, match="three parts"):
        verify("a" * 16_384, SECRET)
    with pytest.raises(MalformedToken, match="longer"):
        verify("a" * 16_385, SECRET)


@pytest.mark.parametrize("depth, is_accepted", [(31, True), (32, False), (3000, False)])
def test_json_has_a_largest_depth(depth, is_accepted) -> None:
    """The claims object is the first of 32 levels."""
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        nested = opening * depth + "1" + closing * depth
        made = token({"alg": "HS256"}, f'{{"exp":{NOW + 9},"x":{nested}}}'.encode(), key=SECRET)
        if is_accepted:
            assert verify(made, SECRET)
        else:
            with pytest.raises(MalformedToken):
                verify(made, SECRET)


def test_many_shallow_members_are_not_depth() -> None:
    claims = {**CLAIMS, "roles": [{"name": str(number), "in": []} for number in range(100)]}
    assert verify(sign_jwt(claims, SECRET, typ="JWT"), SECRET).claims == claims


@pytest.mark.parametrize(
    "other", ["at+jwt", "JWT", "dpop+jwt", "logout+jwt", "t3-env-mint+jwt", "application/at+jwt"]
)
def test_a_token_of_another_type_is_refused(other) -> None:
    made = sign_jwt(CLAIMS, RSA, typ=other)
    with pytest.raises(ClaimRefused) as refused:
        verify(made, RSA.public, typ="expected+jwt")
    assert (refused.value.code, refused.value.claim) == ("typ_mismatch", "typ")
    with pytest.raises(ClaimRefused):
        verify(made, RSA.public, typ=("expected+jwt", None))


def test_a_signature_is_checked_before_anything_in_the_claims() -> None:
    for payload in (b"not json", {"exp": 0}, {"exp": "x"}):
        with pytest.raises(InvalidSignature):
            verify(token({"alg": "RS256"}, payload, key=RSA_OTHER), RSA.public)


def test_the_cached_header_cannot_be_changed_by_a_caller() -> None:
    verified = verify(sign_jwt(CLAIMS, RSA, typ="JWT"), RSA.public)
    with pytest.raises(TypeError):
        verified.header["alg"] = "none"  # type: ignore[index]


def test_a_signer_cannot_replace_the_algorithm_or_type() -> None:
    for header in ({"alg": "none"}, {"typ": "at+jwt"}):
        with pytest.raises(ValueError):
            sign_jwt(CLAIMS, RSA, typ="JWT", header=header)
    named = type(RSA).from_jwk({**RSA.to_jwk(), "kid": "k1"})
    with pytest.raises(ValueError):
        sign_jwt(CLAIMS, named, typ="JWT", header={"kid": "k2"})
    assert list(peek_header(sign_jwt(CLAIMS, named, typ="JWT", header={"cat": "x"}))) == [
        "alg",
        "typ",
        "kid",
        "cat",
    ]
    assert "kid" not in peek_header(sign_jwt(CLAIMS, named, typ="JWT", include_kid=False))


def test_no_error_repeats_the_token() -> None:
    made = sign_jwt({**CLAIMS, "secret": "tiger"}, RSA, typ="JWT")
    for keys, options in (
        (RSA_OTHER.public, {}),
        (RSA.public, {"now": NOW + 999}),
        (RSA.public, {"typ": "x"}),
    ):
        with pytest.raises(JoseError) as refused:
            verify(made, keys, **options)
        assert json.dumps(str(refused.value)).find(made[:20]) == -1
        assert "tiger" not in str(refused.value)
