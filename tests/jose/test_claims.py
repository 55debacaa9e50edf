"""What a JWT's claims must say, to the second."""

from itertools import product

import msgspec
import pytest

from doorward.jose import ClaimRefused, TokenExpired, peek_claims, sign_jwt, verify_jwt
from tests.jose.keyring import SECRET


def verify(payload, /, **options):
    defaults = {"claims": dict, "now": 1000, "typ": None, "required": ()}
    return verify_jwt(sign_jwt(payload, SECRET, typ="JWT"), SECRET, **{**defaults, **options}).claims


def refusal(payload, /, **options):
    with pytest.raises(ClaimRefused) as refused:
        verify(payload, **options)
    return refused.value.code, refused.value.claim


@pytest.mark.parametrize("leeway", [0, 1, 60])
def test_a_token_lives_until_the_second_before_exp_plus_leeway(leeway) -> None:
    assert verify({"exp": 1300}, now=1299 + leeway, leeway=leeway)
    with pytest.raises(TokenExpired):
        verify({"exp": 1300}, now=1300 + leeway, leeway=leeway)


@pytest.mark.parametrize("name, code", [("nbf", "not_yet_valid"), ("iat", "issued_in_future")])
def test_a_token_from_the_future_is_refused(name, code) -> None:
    assert verify({name: 1000}, now=1000)
    assert refusal({name: 1001}, now=1000) == (code, name)
    assert verify({name: 1000}, now=940, leeway=60)
    assert refusal({name: 1000}, now=939, leeway=60) == (code, name)


def test_max_age_counts_from_iat_and_adds_the_leeway() -> None:
    assert verify({"iat": 1000}, now=1360, leeway=60, max_age=300)
    assert refusal({"iat": 1000}, now=1361, leeway=60, max_age=300) == ("too_old", "iat")
    assert refusal({"exp": 9999}, max_age=300) == ("missing_claim", "iat")


def test_an_expired_token_is_told_apart_for_callers_who_refresh() -> None:
    for claims in ({"exp": 1}, {"iat": 1}):
        with pytest.raises(TokenExpired):
            verify(claims, max_age=5 if "iat" in claims else None)
    with pytest.raises(ClaimRefused) as refused:
        verify({"nbf": 2000})
    assert not isinstance(refused.value, TokenExpired)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [None, True, False, "1300", "", [], {}, [1300]])
def test_a_time_that_is_no_number_is_refused(name, value) -> None:
    assert refusal({name: value}) == ("invalid_claim", name)


def test_every_mix_of_numbers_and_others_is_told_apart() -> None:
    for times in product([1000, 1000.0, "1000", None], repeat=3):
        claims = dict(zip(("nbf", "iat", "exp"), times, strict=True))
        if all(isinstance(time, int | float) for time in times):
            assert verify(claims, leeway=60) == claims
        else:
            assert refusal(claims, leeway=60)[0] == "invalid_claim"


def test_a_fractional_time_is_a_number() -> None:
    assert verify({"exp": 1000.5}, now=1000)
    assert refusal({"exp": 999.5}, now=1000) == ("expired", "exp")


@pytest.mark.parametrize("name", ["exp", "sub", "jti", "sid"])
def test_a_required_claim_is_missed(name) -> None:
    assert refusal({"iat": 1}, required=(name,)) == ("missing_claim", name)
    assert verify({name: 5000}, required=(name,))


def test_exp_is_required_unless_the_caller_says_otherwise() -> None:
    with pytest.raises(ClaimRefused):
        verify_jwt(sign_jwt({}, SECRET, typ="JWT"), SECRET, claims=dict, now=0, typ=None)


def test_the_issuer_is_compared_exactly() -> None:
    assert verify({"iss": "https://a"}, issuer="https://a")
    for other in ("https://a/", "https://A", "", None, ["https://a"]):
        assert refusal({"iss": other}, issuer="https://a") == ("issuer_mismatch", "iss")
    assert refusal({}, issuer="https://a") == ("missing_claim", "iss")


def test_the_audience_is_the_value_or_a_list_that_holds_it() -> None:
    for good in ("api", ["api"], ["other", "api"]):
        assert verify({"aud": good}, audience="api")
    for bad in ("apis", "ap", "other", [], ["other"], None, {"api": 1}, [["api"]], 1, "xapix"):
        assert refusal({"aud": bad}, audience="api") == ("audience_mismatch", "aud")
    assert refusal({}, audience="api") == ("missing_claim", "aud")


@pytest.mark.parametrize(
    "present",
    ["t3-env-link+jwt", "T3-Env-Link+JWT", "application/t3-env-link+jwt", "APPLICATION/T3-ENV-LINK+JWT"],
)
@pytest.mark.parametrize("wanted", ["t3-env-link+jwt", "application/t3-env-link+jwt", "T3-ENV-LINK+jwt"])
def test_typ_ignores_case_and_the_application_prefix_on_both_sides(present, wanted) -> None:
    token = sign_jwt({}, SECRET, typ=present)
    for typ in (wanted, ("other", wanted)):
        assert verify_jwt(token, SECRET, claims=dict, now=0, typ=typ, required=())
    with pytest.raises(ClaimRefused):
        verify_jwt(token, SECRET, claims=dict, now=0, typ=("other", "application/"), required=())


def test_an_absent_typ_passes_only_where_that_is_said() -> None:
    from tests.jose.keyring import token

    bare = token({"alg": "HS256"}, {}, key=SECRET)
    for typ in (None, ("JWT", None)):
        assert verify_jwt(bare, SECRET, claims=dict, now=0, typ=typ, required=()).claims == {}
    for typ in ("JWT", ("JWT", "at+jwt"), ""):
        with pytest.raises(ClaimRefused):
            verify_jwt(bare, SECRET, claims=dict, now=0, typ=typ, required=())


class Shape(msgspec.Struct):
    sub: str
    exp: int


def test_claims_arrive_in_the_shape_the_caller_declares() -> None:
    assert verify({"sub": "a", "exp": 2000, "more": 1}, claims=Shape) == Shape("a", 2000)
    for wrong in ({"sub": 1, "exp": 2000}, {"sub": "a", "exp": 2000.5}, {"exp": 2000}):
        assert refusal(wrong, claims=Shape) == ("invalid_claim", None)
    assert peek_claims(sign_jwt({"sub": "a", "exp": 1}, SECRET, typ="JWT"), Shape) == Shape("a", 1)
    with pytest.raises(ClaimRefused):
        peek_claims(sign_jwt({}, SECRET, typ="JWT"), Shape)


class Optional(msgspec.Struct):
    sub: str
    nick: str | msgspec.UnsetType = msgspec.UNSET


def test_a_struct_leaves_its_unset_members_out_of_the_token() -> None:
    token = sign_jwt(Optional("a"), SECRET, typ="JWT")
    assert peek_claims(token, dict) == {"sub": "a"}
