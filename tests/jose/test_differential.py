"""Two other libraries judge the same tokens: what they sign we verify, what we sign they verify."""

import warnings

import jwt as pyjwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwk as joserfc_jwk
from joserfc import jws as joserfc_jws
from joserfc import jwt as joserfc_jwt

from doorward.jose import JoseError, sign_jwt, verify_jws, verify_jwt
from tests.jose.keyring import CLAIMS, EC, ED, NOW, RSA, SECRET, verifier

NAMES = {"RSA": (RSA, "RS256"), "EC": (EC, "ES256"), "OKP": (ED, "EdDSA"), "oct": (SECRET, "HS256")}
each_key = pytest.mark.parametrize("kind", NAMES)


def joserfc_key(kind):
    key, _ = NAMES[kind]
    if kind == "oct":
        return joserfc_jwk.OctKey.import_key(bytes(range(32)))
    return joserfc_jwk.import_key({n: v for n, v in key.to_jwk().items() if n not in ("alg", "use")})


def pyjwt_keys(kind):
    key, _ = NAMES[kind]
    return (bytes(range(32)),) * 2 if kind == "oct" else (key.to_pem(), key.public.to_pem())


@pytest.fixture(autouse=True)
def _joserfc_may_call_eddsa_old():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@each_key
def test_others_verify_what_we_sign(kind) -> None:
    key, alg = NAMES[kind]
    made = sign_jwt(CLAIMS, key, typ="JWT")
    assert joserfc_jwt.decode(made, joserfc_key(kind), algorithms=[alg]).claims == CLAIMS
    options = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
    assert pyjwt.decode(made, pyjwt_keys(kind)[1], algorithms=[alg], options=options) == CLAIMS


@each_key
def test_we_verify_what_others_sign(kind) -> None:
    key, alg = NAMES[kind]
    theirs = [
        joserfc_jwt.encode({"alg": alg, "typ": "JWT"}, CLAIMS, joserfc_key(kind), algorithms=[alg]),
        pyjwt.encode(CLAIMS, pyjwt_keys(kind)[0], algorithm=alg),
    ]
    for made in theirs:
        assert verify_jwt(made, verifier(key), claims=dict, now=NOW, typ="JWT").claims == CLAIMS


@each_key
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_changed_token_passes_us_that_does_not_pass_them(kind, data) -> None:
    """We may be stricter, never laxer."""
    key, alg = NAMES[kind]
    made = sign_jwt(CLAIMS, key, typ="JWT")
    place = data.draw(st.integers(0, len(made) - 1))
    kind_of_change = data.draw(st.sampled_from(["swap", "drop", "insert", "double"]))
    character = data.draw(st.sampled_from("ABCxyz019-_.=+/ \n"))
    changed = {
        "swap": made[:place] + character + made[place + 1 :],
        "drop": made[:place] + made[place + 1 :],
        "insert": made[:place] + character + made[place:],
        "double": made[:place] + made[place] + made[place:],
    }[kind_of_change]
    try:
        ours = verify_jws(changed, verifier(key))
    except JoseError:
        return
    assert changed == made
    assert joserfc_jws.deserialize_compact(changed, joserfc_key(kind), algorithms=[alg]).payload == ours
