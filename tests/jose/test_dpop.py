"""DPoP proofs: what RFC 9449 §4.3 asks, in the order the protocol answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.jose import (
    DpopError,
    DpopProof,
    PublicKey,
    access_token_hash,
    create_dpop_proof,
    peek_claims,
    peek_header,
    sign_jwt,
    verify_dpop_proof,
    verify_jwt,
)
from tests.jose.keyring import EC, EC_OTHER, ED, RSA, part, token

URL = "https://relay.example/v1/environments/e1/connect"
NOW = 1_800_000_000
JWK = {name: EC.public.to_jwk()[name] for name in ("kty", "crv", "x", "y")}
HEADER = {"typ": "dpop+jwt", "alg": "ES256", "jwk": JWK}
CLAIMS = {"htm": "POST", "htu": URL, "jti": "jti-1", "iat": NOW}


def proof(header=None, claims=None, key=EC):
    return token({**HEADER, **(header or {})}, {**CLAIMS, **(claims or {})}, key=key)


def verify(text, **options):
    return verify_dpop_proof(text, **{"method": "POST", "url": URL, "now": NOW, **options})


def code(text, **options):
    with pytest.raises(DpopError) as refused:
        verify(text, **options)
    return refused.value.code


def test_a_proof_shows_its_key_its_id_and_its_time() -> None:
    made = create_dpop_proof(EC, method="POST", url=URL, now=NOW, jti="jti-1", access_token="t")
    assert verify(made, access_token="t", expected_thumbprint=EC.thumbprint) == DpopProof(
        EC.thumbprint, "jti-1", NOW
    )
    assert peek_header(made) == {"alg": "ES256", "typ": "dpop+jwt", "jwk": JWK}
    assert peek_claims(made, dict)["ath"] == access_token_hash("t")
    assert "ath" not in peek_claims(create_dpop_proof(EC, method="POST", url=URL, now=NOW), dict)


def test_each_proof_has_an_id_of_its_own() -> None:
    made = {
        peek_claims(create_dpop_proof(EC, method="GET", url=URL, now=NOW), dict)["jti"] for _ in range(20)
    }
    assert len(made) == 20


@pytest.mark.parametrize("missing", [None, "", "  ", "\t"])
def test_no_proof_is_told_apart_from_a_bad_one(missing) -> None:
    assert code(missing) == "missing_proof"


@pytest.mark.parametrize(
    "text", ["a", "a.b", "a.b.c.d", "..", ".b.c", "a..c", "a.b.", "é.b.c", "a.b.c", "A" * 9000]
)
def test_what_is_no_compact_jws_is_malformed(text) -> None:
    assert code(text) == "malformed_proof"


def test_a_proof_has_a_largest_size() -> None:
    longest = {len(made): made for made in (proof({"pad": "x" * size}) for size in range(5_780, 5_860))}
    fitting = [length for length in longest if length <= 8_192]
    assert max(fitting) >= 8_191 and len(fitting) < len(longest)
    for length, made in longest.items():
        if length <= 8_192:
            assert verify(made)
        else:
            assert code(made) == "malformed_proof"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "DPoP+jwt"},
        {"typ": "application/dpop+jwt"},
        {"typ": "JWT"},
        {"typ": None},
        {"alg": "ES384"},
        {"alg": "es256"},
        {"alg": "none"},
        {"alg": "EdDSA"},
        {"jwk": None},
        {"jwk": []},
        {"jwk": "text"},
        {"jwk": {}},
        {"jwk": {**JWK, "kty": "RSA"}},
        {"jwk": {**JWK, "crv": "P-384"}},
        {"jwk": {**JWK, "x": ""}},
        {"jwk": {**JWK, "y": ""}},
        {"jwk": {**JWK, "x": 5}},
        {"jwk": {"kty": "EC", "crv": "P-256", "x": JWK["x"]}},
        {"jwk": {**JWK, "d": "AQ"}},
        {"jwk": EC.to_jwk()},
        {"crit": ["exp"]},
        {"b64": False},
    ],
)
def test_a_header_that_is_not_a_dpop_proofs_is_malformed(header) -> None:
    assert code(proof(header)) == "malformed_proof"


def test_a_header_or_claims_with_duplicates_or_no_json_are_malformed() -> None:
    twice = json.dumps(HEADER)[:-1] + ',"alg":"ES256"}'
    assert code(token(twice.encode(), CLAIMS, key=EC)) == "malformed_proof"
    for claims in (json.dumps(CLAIMS)[:-1] + ',"htm":"GET"}', "{", "[]", "null", ""):
        made = token(HEADER, claims.encode(), key=EC)
        assert code(made) == "malformed_proof"


@pytest.mark.parametrize(
    "claims",
    [
        {"htm": ""},
        {"htm": None},
        {"htu": ""},
        {"htu": 5},
        {"jti": ""},
        {"jti": 5},
        {"jti": "x" * 256},
        {"iat": None},
        {"iat": str(NOW)},
        {"iat": NOW + 0.5},
        {"iat": True},
        {"ath": None},
        {"ath": 5},
    ],
)
def test_a_claim_of_another_shape_is_malformed(claims) -> None:
    assert code(proof(claims=claims)) == "malformed_proof"
    name = next(iter(claims))
    if name != "ath":
        without = {key: value for key, value in CLAIMS.items() if key != name}
        assert code(token(HEADER, without, key=EC)) == "malformed_proof"


def test_other_members_say_nothing() -> None:
    assert verify(
        proof(
            {"jwk": {**JWK, "kid": "a", "use": "enc", "alg": "RS256"}, "kid": "k"},
            {"nonce": "n", "exp": 1, "nbf": NOW + 9999},
        )
    )
    assert verify(proof(claims={"jti": "x" * 255}))


def test_the_key_must_be_the_expected_one() -> None:
    assert verify(proof(), expected_thumbprint=EC.thumbprint)
    for other in (EC_OTHER.thumbprint, "", EC.thumbprint[:-1], "é"):
        assert code(proof(), expected_thumbprint=other) == "key_mismatch"


def test_the_method_is_compared_without_case() -> None:
    assert verify(proof(claims={"htm": "post"}))
    assert verify(proof(), method="post")
    for other in ("GET", "POS", "POSTS", " POST"):
        assert code(proof(claims={"htm": other})) == "method_mismatch"


@pytest.mark.parametrize(
    "htu",
    [
        URL + "?q=1",
        URL + "#f",
        URL + "/",
        URL.replace("https", "http"),
        URL.replace("relay.example", "RELAY.example"),
        URL.replace("relay.example", "relay.example:443"),
        URL.replace("relay.example", "relay.example.evil"),
        URL.replace("e1", "e2"),
        URL.replace("e1", "%65%31"),
        "/v1/environments/e1/connect",
        " " + URL,
    ],
)
def test_the_url_claim_is_compared_as_received(htu) -> None:
    assert code(proof(claims={"htu": htu})) == "url_mismatch"


@pytest.mark.conformance("connect-relay", 33)
def test_the_request_url_is_normalised_before() -> None:
    for url in (URL + "?q=1#f", URL.replace("https://relay.example", "HTTPS://Relay.Example:443")):
        assert verify(proof(), url=url)
    assert verify(proof(claims={"htu": "http://x.localhost:8080/"}), url="http://x.localhost:8080")


def test_a_token_needs_its_hash_in_the_proof() -> None:
    assert access_token_hash("clerk-access-token") == "zpQuGz9m0Skn3L00HDglnyrsyaT6y2qS73eeaCYYrq0"
    assert access_token_hash("access-token-1") == "xbDyM5Wjs8mTAhnyPZlETAJ9RLSTjApm6mLfP1ASgro"
    bound = proof(claims={"ath": access_token_hash("t")})
    assert verify(bound, access_token="t")
    assert verify(bound)
    for made in (proof(), proof(claims={"ath": ""}), proof(claims={"ath": access_token_hash("u")})):
        assert code(made, access_token="t") == "access_token_hash_mismatch"


@pytest.mark.parametrize(
    "offset, is_accepted", [(5, True), (6, False), (0, True), (-300, True), (-301, False)]
)
def test_the_time_window_is_300_seconds_back_and_5_ahead(offset, is_accepted) -> None:
    made = proof(claims={"iat": NOW + offset})
    for signature_before_time in (True, False):
        if is_accepted:
            assert verify(made, signature_before_time=signature_before_time).iat == NOW + offset
        else:
            assert code(made, signature_before_time=signature_before_time) == "time_window"


def test_the_window_is_the_callers_to_narrow() -> None:
    made = proof(claims={"iat": NOW - 60})
    assert verify(made, max_age=60)
    assert code(made, max_age=59) == "time_window"
    assert code(proof(claims={"iat": NOW + 1}), leeway=0) == "time_window"


def test_a_clock_problem_is_told_only_to_whoever_holds_the_key() -> None:
    forged = proof(claims={"iat": NOW - 9999}, key=EC_OTHER)
    assert code(forged) == "invalid_signature"
    assert code(forged, signature_before_time=False) == "time_window"


def test_the_signature_must_be_by_the_proofs_own_key() -> None:
    assert code(proof(key=EC_OTHER)) == "invalid_signature"
    text = f"{part(HEADER)}.{part(CLAIMS)}"
    for signature in ("AA", "AB", "A", "A" * 86, "AA=="):
        assert code(f"{text}.{signature}") == "invalid_signature"
    good = proof()
    assert code(good[:-1] + ("A" if good[-1] != "A" else "B")) == "invalid_signature"


def test_a_key_off_the_curve_fails_as_a_signature_and_after_the_thumbprint() -> None:
    off = {**JWK, "y": EC_OTHER.public.to_jwk()["y"]}
    assert code(proof({"jwk": off})) == "invalid_signature"
    assert code(proof({"jwk": {**JWK, "x": "AQ"}})) == "invalid_signature"
    assert code(proof({"jwk": {**JWK, "x": "not base64url"}})) == "invalid_signature"
    assert code(proof({"jwk": off}), expected_thumbprint=EC.thumbprint) == "key_mismatch"


def test_both_halves_of_the_signature_space_are_accepted() -> None:
    """ECDSA's s and n-s both verify; peers do not normalise, so we must not insist."""
    n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    text = f"{part(HEADER)}.{part(CLAIMS)}"
    signature = EC.sign(text.encode())
    flipped = signature[:32] + (n - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    for either in (signature, flipped):
        assert verify(f"{text}.{part(either)}")


def test_checks_come_in_the_protocols_order() -> None:
    wrong = {"htm": "GET", "htu": "https://x/", "ath": "x", "iat": NOW - 9999}
    expected = {"expected_thumbprint": EC_OTHER.thumbprint, "access_token": "t"}
    assert code(proof(claims={**wrong, "jti": ""}, key=EC_OTHER), **expected) == "malformed_proof"
    assert code(proof(claims=wrong, key=EC_OTHER), **expected) == "key_mismatch"
    del expected["expected_thumbprint"]
    assert code(proof(claims=wrong, key=EC_OTHER), **expected) == "method_mismatch"
    assert code(proof(claims={**wrong, "htm": "POST"}, key=EC_OTHER), **expected) == "url_mismatch"
    assert (
        code(proof(claims={**wrong, "htm": "POST", "htu": URL}, key=EC_OTHER), **expected)
        == "access_token_hash_mismatch"
    )


def test_a_proof_is_no_access_token_and_an_access_token_no_proof() -> None:
    assert code(sign_jwt(CLAIMS, EC, typ="at+jwt")) == "malformed_proof"
    for other in (RSA, ED):
        assert code(token({**HEADER, "alg": other.alg}, CLAIMS, key=other)) == "malformed_proof"
    assert verify_jwt(proof(), PublicKey.from_jwk(JWK), claims=dict, now=NOW, typ="dpop+jwt", required=())


@given(st.text(max_size=40) | st.text(".AQey-_=", max_size=40))
def test_no_header_value_makes_the_check_fall_over(text) -> None:
    with pytest.raises(DpopError):
        verify(text)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.dictionaries(
            st.sampled_from(["kty", "crv", "x", "y", "jwk", "alg", "typ", "htm"]), inner, max_size=4
        ),
        max_leaves=8,
    )
)
def test_no_json_in_header_or_claims_makes_the_check_fall_over(value) -> None:
    for made in (
        token({**HEADER, "jwk": value}, CLAIMS, key=EC),
        token(value, CLAIMS, key=EC),
        token(HEADER, value, key=EC),
    ):
        with pytest.raises(DpopError):
            verify(made)
