"""What remembering verified tokens must not change: every verdict on a second request is that of a first."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.jose import KeySet, generate_key, sign_jwt
from doorward.verify import Authenticator, SessionAuth, TokenRefused, auth_request
from doorward.verify.jwt import ClaimRules, check_times
from doorward.verify.remembered import VerifiedTokens
from doorward.verify.results import session_auth
from tests.verify.backend_wire import BackendWire
from tests.verify.requests_table import BROWSER, FETCH, LIVE, NOW, PAGE, TEMPLATE, Tokens, made, suffix

ORG = {"id": "org_1", "slg": "acme", "rol": "admin", "per": "read,manage", "fpm": "3"}
KINDS: tuple[Any, ...] = ("session_token", "any", "m2m_token", "api_key", ["session_token"], ["api_key"])


def asked(token: str, url: str = PAGE, method: str = "GET", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return auth_request(method, url, {"authorization": f"Bearer {token}"} | named)


def remembering(wire: BackendWire, token: str, **options: Any) -> Authenticator:
    """An authenticator that has `token` from a request before."""
    auth = made(wire, verified_tokens=10, **options)
    for _ in range(2):  # at the first the keys are fetched
        assert auth.authenticate_request(asked(token)).is_authenticated
    assert auth.remembered_bearer(f"Bearer {token}", "session_token") is not None
    return auth


OTHERS: dict[str, dict[str, Any]] = {
    "of another origin": {"origin": "https://evil.example", "referer": "https://evil.example/"},
    "of a page": BROWSER,
    "of a script": FETCH,
    "that posts": {"method": "POST"},
    "of another host": {"url": "https://admin.example.com/", "host": "admin.example.com"},
    "with a handshake": {"url": f"{PAGE}&__clerk_handshake=x.y.z"},
    "with cookies of nobody": {"cookie": "__client_uat=0"},
    "with another's cookies": {
        "cookie": f"__session_{suffix(LIVE)}=x.y.z; __client_uat_{suffix(LIVE)}={NOW}"
    },
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", ["good", "v2 organization", "pending", "actor"])
def test_another_request_with_the_token_is_judged_as_if_it_were_the_first(
    wire: BackendWire, tokens: Tokens, name: str, other: str
) -> None:
    token = tokens.table()[name]
    auth, request = remembering(wire, token), asked(token, **OTHERS[other])
    for accepts in KINDS:
        known = auth.authenticate_request(request, accepts_token=accepts)
        fresh = made(wire).authenticate_request(request, accepts_token=accepts)
        assert known == fresh
        assert known.to_auth() == fresh.to_auth()


def test_another_party_is_refused_by_who_did_not_verify_it(wire: BackendWire, tokens: Tokens) -> None:
    token = tokens.session(azp="https://evil.example")
    careless = remembering(wire, token)
    careful = made(wire, verified_tokens=10, authorized_parties=["https://app.example.com"])
    for _ in range(3):
        assert careful.authenticate_request(asked(token)).reason == "token-invalid-authorized-parties"
    # Rules are an authenticator's own; whoever puts others in place finds nothing remembered of the old ones.
    careless.settings = careful.settings
    assert careless.authenticate_request(asked(token)).reason == "token-invalid-authorized-parties"


def test_a_token_that_expired_meanwhile_is_refused_and_one_not_due_yet_too(
    wire: BackendWire, tokens: Tokens
) -> None:
    now, token = [float(NOW)], tokens.session()
    auth = remembering(wire, token, clock=lambda: now[0])
    for moment in (NOW - 11, NOW + 60, NOW + 3600):
        now[0] = moment
        assert auth.remembered_bearer(f"Bearer {token}", "any") is None
        assert not auth.authenticate_request(asked(token)).is_authenticated
        with pytest.raises(TokenRefused):
            auth.verify_token(token)
    now[0] = NOW + 59
    assert auth.authenticate_request(asked(token)).is_authenticated


times = st.integers(NOW - 20, NOW + 20) | st.floats(NOW - 20, NOW + 20)
KEY = generate_key("ES256", kid="ins_1")


@given(
    exp=times, nbf=times | st.none(), iat=times | st.none(), skew=st.sampled_from((0.0, 0.5, 5.0)), now=times
)
def test_what_is_remembered_holds_exactly_as_long_as_its_claims(
    exp: float, nbf: float | None, iat: float | None, skew: float, now: float
) -> None:
    given = {"sub": "user_1", "exp": exp, "nbf": nbf, "iat": iat}
    claims = {name: value for name, value in given.items() if value is not None}
    token, rules = sign_jwt(claims, KEY, typ="JWT"), ClaimRules(clock_skew=skew)
    kept = VerifiedTokens(1)
    kept.add(token, session_auth(token, claims), KEY.public, rules)
    try:
        check_times(claims, skew, now=now)
        holds = True
    except TokenRefused:
        holds = False
    assert (kept.find(f"Bearer {token}", KEY.public, rules, now) is not None) == holds


class TestKeys:
    def test_a_key_that_left_the_set_takes_its_tokens_along(self, tokens: Tokens, wire: BackendWire) -> None:
        token = tokens.session()
        auth = remembering(wire, token)
        assert auth._jwks is not None
        auth._jwks._kept.took(json.dumps(KeySet([tokens.unknown.public]).to_jwks()).encode(), 0.0)
        assert auth.remembered_bearer(f"Bearer {token}", "any") is None

    def test_remembered_tokens_do_not_put_off_asking_for_keys_that_are_due(
        self, tokens: Tokens, wire: BackendWire
    ) -> None:
        token = tokens.session()
        auth = remembering(wire, token)
        assert auth._jwks is not None
        own, wire.jwks = wire.jwks, KeySet([tokens.unknown.public]).to_jwks()
        try:
            assert auth.authenticate_request(asked(token)).is_authenticated
            auth._jwks._kept._fetched_at -= 300
            auth._jwks._kept._attempted_at = None
            assert auth.authenticate_request(asked(token)).reason == "jwk-kid-mismatch"
        finally:
            wire.jwks = own

    def test_a_token_judged_while_keys_changed_is_remembered_the_next_time(
        self, tokens: Tokens, wire: BackendWire
    ) -> None:
        auth = made(wire, verified_tokens=10)
        request = asked(tokens.session())
        for remembered in (0, 1, 1):
            assert auth.authenticate_request(request).is_authenticated
            assert auth._verified is not None
            assert len(auth._verified) == remembered


def test_what_a_request_does_to_its_result_stays_there(wire: BackendWire, tokens: Tokens) -> None:
    token = tokens.session(o=ORG, fea="o:orders", act={"sub": "user_2"}, deep={"a": [{"b": 1}]})
    auth, fresh = remembering(wire, token), made(wire).authenticate_request(asked(token)).to_auth()
    first = auth.authenticate_request(asked(token)).to_auth()
    assert isinstance(first, SessionAuth)
    claims, actor, ages = first.session_claims, first.actor, first.factor_verification_age
    assert claims and actor and ages
    claims["sub"] = "user_2"
    claims["o"]["rol"] = "owner"
    claims["deep"]["a"][0]["b"] = 2
    claims["fva"][0] = 0
    actor["sub"] = "user_3"
    ages.append(0)
    verified = auth.verify_token(token)
    verified["o"].clear()
    for field in ("user_id", "org_role", "_payload"):
        with pytest.raises(AttributeError):
            setattr(first, field, None)
    second = auth.authenticate_request(asked(token)).to_auth()
    assert isinstance(second, SessionAuth)
    assert second == first == fresh
    assert second.session_claims == made(wire).verify_token(token) == auth.verify_token(token)
    assert second.actor == {"sub": "user_2"}
    assert second.factor_verification_age == [12, -1]
    assert not second.has(role="org:owner")
    assert second.has(role="org:admin", permission="org:orders:read")


def test_the_first_result_does_not_change_what_is_remembered_either(
    wire: BackendWire, tokens: Tokens
) -> None:
    token, auth = tokens.session(o=ORG), made(wire, verified_tokens=10)
    for _ in range(3):
        claims = auth.verify_token(token)
        assert (claims["sub"], claims["o"]["rol"]) == ("user_1", "admin")
        claims["sub"] = "user_2"
        claims["o"]["rol"] = "owner"
    state = auth.remembered_bearer(f"Bearer {token}", "any")
    assert state is not None and state.session is not None
    assert (state.session.user_id, state.session.org_role) == ("user_1", "org:admin")


@pytest.mark.parametrize(
    "change",
    [{"cnf": {"jkt": "thumb"}}, {"cat": TEMPLATE}, {"sub": "mch_1"}],
    ids=["bound to a key", "of a template", "of a machine"],
)
def test_what_makes_nobody_signed_in_is_never_remembered(
    wire: BackendWire, tokens: Tokens, change: dict[str, Any]
) -> None:
    token, auth = tokens.session(**change), made(wire, verified_tokens=10)
    for _ in range(3):
        auth.verify_token(token)
    assert auth._verified is not None
    assert len(auth._verified) == 0
    for accepts in KINDS:
        fresh = made(wire).authenticate_request(asked(token), accepts_token=accepts)
        assert auth.authenticate_request(asked(token), accepts_token=accepts) == fresh


def test_it_is_bounded(wire: BackendWire, tokens: Tokens) -> None:
    auth = made(wire, verified_tokens=3)
    for n in range(10):
        auth.verify_token(tokens.session(sid=f"sess_{n}"))
    assert auth._verified is not None
    assert len(auth._verified) == 3


def test_another_token_beside_it_in_the_header_is_not_it(wire: BackendWire, tokens: Tokens) -> None:
    token = tokens.session()
    auth = remembering(wire, token)
    for header in (f"Bearer {token} ", f"Bearer {token}, Bearer x", f"bearer {token}", f"Basic {token}", f"Bearer {token[:-1]}"):  # fmt: skip
        request = auth_request("GET", PAGE, {"authorization": header})
        assert auth.authenticate_request(request) == made(wire).authenticate_request(request)
