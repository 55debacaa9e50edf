"""The one procedure by which relay and environment check each other's tokens."""

import pytest

from doorward.jose import (
    AlgorithmRefused,
    ClaimRefused,
    InvalidKey,
    InvalidSignature,
    JoseError,
    PrivateKey,
    generate_key,
    peek_claims,
    peek_header,
    sign_jwt,
)
from doorward.t3_connect import claims as c
from doorward.t3_connect import public_key_from_pem, public_key_to_pem, sign_t3_jwt, verify_t3_jwt
from doorward.t3_connect.messages import ClientMeta

KEY = PrivateKey.from_ed25519_seed(b"\x09" * 32)
RELAY = "https://relay.example.test"


def mint_request(**changes):
    members = {
        "iss": RELAY,
        "aud": "t3-env:env-1",
        "sub": "user_1",
        "jti": "j",
        "iat": 1000,
        "exp": 1300,
        "environmentId": "env-1",
        "clientProofKeyThumbprint": "k",
        "cnf": {"jkt": "k"},
        "nonce": "n",
        "scope": ["environment:connect"],
        **changes,
    }
    return {name: value for name, value in members.items() if value is not ...}


def check(token, *, now=1000, key=KEY.public, typ=c.TYP_MINT_REQUEST, max_age=300):
    return verify_t3_jwt(
        token,
        key,
        claims=c.MintRequestClaims,
        typ=typ,
        issuer=RELAY,
        audience="t3-env:env-1",
        now=now,
        max_age=max_age,
    )


def signed(typ=c.TYP_MINT_REQUEST, key=KEY, **changes):
    return sign_jwt(mint_request(**changes), key, typ=typ)


@pytest.mark.parametrize(
    "now, is_valid", [(939, False), (940, True), (1000, True), (1359, True), (1360, False)]
)
def test_a_token_of_300_seconds_lives_from_60_before_to_359_after(now, is_valid) -> None:
    if is_valid:
        assert check(signed(), now=now).environment_id == "env-1"
    else:
        with pytest.raises(ClaimRefused):
            check(signed(), now=now)


@pytest.mark.parametrize("now, is_valid", [(1360, True), (1361, False)])
def test_a_token_is_at_most_five_minutes_old(now, is_valid) -> None:
    if is_valid:
        assert check(signed(exp=9_999_999), now=now)
    else:
        with pytest.raises(ClaimRefused):
            check(signed(exp=9_999_999), now=now)


@pytest.mark.parametrize("now, is_valid", [(1959, True), (1960, False)])
def test_a_relay_access_token_may_be_half_an_hour_old(now, is_valid) -> None:
    token = signed(iat=100, exp=1900)
    if is_valid:
        assert check(token, now=now, max_age=1800)
    else:
        with pytest.raises(ClaimRefused):
            check(token, now=now, max_age=1800)


@pytest.mark.parametrize("typ", ["T3-Cloud-Mint+JWT", "application/t3-cloud-mint+jwt"])
def test_typ_is_compared_as_a_media_type(typ) -> None:
    assert check(signed(typ=typ))
    assert check(signed(), typ=typ)


def test_tokens_of_other_types_are_refused() -> None:
    for name in dir(c):
        if name.startswith("TYP_") and name != "TYP_MINT_REQUEST":
            with pytest.raises(ClaimRefused):
                check(signed(typ=getattr(c, name)))


@pytest.mark.parametrize(
    "name", ["iss", "aud", "sub", "jti", "iat", "exp", "environmentId", "cnf", "nonce", "scope"]
)
def test_no_claim_may_be_missing_null_or_blank(name) -> None:
    for value in (..., None, "", "  "):
        with pytest.raises(ClaimRefused):
            check(signed(**{name: value}))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": RELAY + "/"},
        {"aud": "t3-env:env-2"},
        {"aud": ["t3-env:env-1"]},
        {"iat": 1000.5},
        {"exp": 1300.5},
        {"iat": "1000"},
        {"exp": True},
        {"nbf": 1061},
        {"deviceId": None},
        {"deviceId": " "},
        {"client": None},
        {"client": {"label": None}},
        {"client": {"deviceType": "watch"}},
        {"scope": "environment:connect"},
        {"cnf": {}},
        {"cnf": {"jkt": None}},
    ],
)
def test_a_wrong_claim_is_refused(changes) -> None:
    with pytest.raises(ClaimRefused):
        check(signed(**changes))


def test_other_claims_are_dropped_and_strings_trimmed() -> None:
    claims = check(signed(more=1, nbf=1060, sub=" user_1 ", client={"label": " Box "}))
    assert claims.sub == "user_1"
    assert claims.client == ClientMeta(label="Box")


def test_only_the_name_eddsa_and_only_the_pinned_key_pass() -> None:
    newer = PrivateKey.from_jwk({**KEY.to_jwk(), "alg": "Ed25519"})
    with pytest.raises(AlgorithmRefused):
        check(signed(key=newer))
    with pytest.raises(InvalidSignature):
        check(signed(key=generate_key("EdDSA")))
    for alg in ("RS256", "ES256"):
        with pytest.raises(JoseError):
            check(signed(key=generate_key(alg)))


def test_a_header_holds_alg_and_typ_and_nothing_else() -> None:
    named = PrivateKey.from_ed25519_seed(b"\x09" * 32, kid="k1")
    claims = c.HealthRequestClaims(
        iss=RELAY,
        aud="t3-env:e",
        sub="u",
        jti="j",
        iat=1,
        exp=2,
        environment_id="e",
        nonce="n",
        scope=("environment:status",),
    )
    token = sign_t3_jwt(claims, named, typ=c.TYP_HEALTH_REQUEST)
    assert list(peek_header(token).items()) == [("alg", "EdDSA"), ("typ", "t3-cloud-health+jwt")]
    assert list(peek_claims(token, dict)) == [
        "iss",
        "aud",
        "sub",
        "jti",
        "iat",
        "exp",
        "environmentId",
        "nonce",
        "scope",
    ]


def test_absent_optionals_are_absent_in_the_token() -> None:
    claims = c.MintRequestClaims(
        iss=RELAY,
        aud="t3-env:e",
        sub="u",
        jti="j",
        iat=1,
        exp=2,
        environment_id="e",
        client_proof_key_thumbprint="k",
        cnf=c.Confirmation(jkt="k"),
        nonce="n",
        scope=("environment:connect",),
    )
    members = peek_claims(sign_t3_jwt(claims, KEY, typ=c.TYP_MINT_REQUEST), dict)
    assert not {"deviceId", "client"} & members.keys()


def test_the_protocols_signed_vector_comes_out() -> None:
    claims = c.MintPendingClaims(
        iss="t3-env:env-1",
        aud=RELAY,
        sub="env-1",
        jti="00000000-0000-4000-8000-000000000002",
        iat=1782561600,
        exp=1782561900,
        environment_id="env-1",
        client_proof_key_thumbprint="Nrqg3-M_Xwtx-1tbtc1J7Xul2DyeC0bUSy9u_5NSG6g",
        request_nonce="nonce-1",
        status="pending_approval",
        approval_status="pending",
        requested_at="2026-06-27T12:00:00.000Z",
    )
    token = sign_t3_jwt(claims, KEY, typ=c.TYP_MINT_RESPONSE)
    assert token.endswith(
        ".g1CGMz4xUCa4mGsIhJTHLdP_03D6K4cjooJJEmlae3efQ5uzSnjnNvK-CuRh3YNknq-TMG8fZnSlPqZ19H2FDQ"
    )


def test_relay_access_claims_are_spelled_as_oauth_spells_them() -> None:
    claims = c.RelayAccessClaims(
        iss=RELAY,
        aud=RELAY,
        sub="u",
        jti="j",
        iat=1,
        exp=2,
        client_id="t3-web",
        scope="s",
        cnf=c.Confirmation(jkt="k"),
    )
    members = peek_claims(sign_t3_jwt(claims, KEY, typ=c.TYP_RELAY_ACCESS), dict)
    assert list(members) == ["iss", "aud", "sub", "jti", "iat", "exp", "client_id", "scope", "cnf"]
    assert peek_claims(sign_t3_jwt(claims, KEY, typ="x"), c.RelayAccessClaims) == claims


def test_a_pinned_pem_may_spell_its_line_breaks_out() -> None:
    pem = public_key_to_pem(KEY.public)
    assert pem == pem.strip() and pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    for spelling in (pem, pem.replace("\n", "\\n"), f"  {pem}\n\n"):
        assert public_key_from_pem(spelling).thumbprint == KEY.thumbprint
        assert check(signed(), key=spelling)
    for wrong in ("", "not a key", generate_key("ES256").public.to_pem(), KEY.to_pem()):
        with pytest.raises(InvalidKey):
            check(signed(), key=wrong)
