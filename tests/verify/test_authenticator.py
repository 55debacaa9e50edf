"""The authenticator by itself: what Clerk's statements ask, where we are stricter, what it keeps and what it never shows.

That every other verdict is JavaScript's is test_javascript.py's to show.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from doorward.jose import b64url_encode, generate_key, sign_jwt
from doorward.verify import (
    Authenticator,
    ConfigurationError,
    KeySetUnavailable,
    RequestState,
    TokenRefused,
    auth_request,
    reasons,
)
from tests.verify.backend_wire import MACHINE_KEY, SECRET_KEY, BackendWire, serving
from tests.verify.requests_table import BROWSER, LIVE, NOW, TEST, Tokens, fill, made

pytestmark = pytest.mark.anyio


@pytest.fixture
def wire(tokens: Tokens) -> Iterator[BackendWire]:
    wire = BackendWire(tokens.key)
    fill(wire, tokens)
    with serving(wire):
        yield wire


def judge(
    wire: BackendWire, token: str | None, accepts: Any = "session_token", **options: Any
) -> RequestState:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = auth_request("GET", "https://app.example.com/", headers)
    return made(wire, **options).authenticate_request(request, accepts_token=accepts)


@pytest.mark.conformance("clerk-backend", 159)
def test_without_a_header_a_machine_token_is_missing(wire: BackendWire) -> None:
    state = judge(wire, None, "m2m_token")
    assert (state.status, state.reason, state.token_type) == ("signed-out", "No token in header", "m2m_token")


@pytest.mark.conformance("clerk-backend", 160)
def test_a_token_of_another_kind_is_a_mismatch_of_the_kind_asked_for(wire: BackendWire) -> None:
    state = judge(wire, "ak_user", "m2m_token")
    assert (state.reason, state.token_type) == ("token-type-mismatch", "m2m_token")


@pytest.mark.conformance("clerk-backend", 161)
def test_a_kind_that_is_none_of_several_has_no_type(wire: BackendWire) -> None:
    state = judge(wire, "mt_good", ["session_token", "api_key"])
    assert (state.reason, state.token_type) == ("token-type-mismatch", None)
    assert state.to_auth().token_type is None


@pytest.mark.conformance("clerk-backend", 162)
def test_a_bearer_that_is_nothing_is_an_invalid_token(wire: BackendWire) -> None:
    assert judge(wire, "garbage", "any").reason == "token-invalid"


@pytest.mark.conformance("clerk-backend", 163)
def test_a_session_token_gives_a_session_where_any_kind_is_accepted(
    wire: BackendWire, tokens: Tokens
) -> None:
    auth = judge(wire, tokens.session(), "any").to_auth()
    assert (auth.token_type, auth.user_id, auth.is_authenticated) == ("session_token", "user_1", True)


@pytest.mark.conformance("clerk-backend-traps", 16)
@pytest.mark.conformance("clerk-backend", 164, 165)
@pytest.mark.parametrize(
    "name", ["m2m jwt", "oauth jwt", "template", "machine category", "invented category"]
)
def test_no_other_jwt_is_a_session(wire: BackendWire, tokens: Tokens, name: str) -> None:
    state = judge(wire, tokens.table()[name])
    assert (state.status, state.reason) == ("signed-out", "token-type-mismatch")


@pytest.mark.conformance("clerk-backend-traps", 16)
@pytest.mark.conformance("clerk-backend", 166)
def test_a_pending_session_counts_as_signed_out_unless_asked_otherwise(
    wire: BackendWire, tokens: Tokens
) -> None:
    state = judge(wire, tokens.session(sts="pending"))
    assert state.status == "signed-in"
    auth = state.to_auth()
    assert (auth.is_authenticated, auth.user_id, auth.session_status) == (False, None, "pending")
    assert state.to_auth(treat_pending_as_signed_out=False).user_id == "user_1"


@pytest.mark.conformance("clerk-backend-traps", 16)
def test_a_jwt_without_an_end_is_no_session(wire: BackendWire, tokens: Tokens) -> None:
    state = judge(wire, tokens.session(exp=...))
    assert (state.status, state.reason) == ("signed-out", "token-verification-failed")


@pytest.mark.conformance("clerk-backend", 167, 168)
def test_short_claims_of_an_organization_unfold(wire: BackendWire, tokens: Tokens) -> None:
    org = {"id": "org_1", "slg": "acme", "rol": "admin", "per": "read,manage", "fpm": "3,2"}
    auth = judge(wire, tokens.session(o=org, fea="o:orders,o:reports,u:beta")).to_auth()
    assert (auth.org_id, auth.org_slug, auth.org_role) == ("org_1", "acme", "org:admin")
    assert auth.org_permissions == ("org:orders:read", "org:orders:manage", "org:reports:manage")
    assert auth.has(permission="orders:manage")
    assert not auth.has(permission="org:reports:read")
    assert auth.has(feature="beta")
    assert not auth.has()


@pytest.mark.conformance("clerk-backend", 169)
def test_an_unauthorised_party_is_refused(wire: BackendWire, tokens: Tokens) -> None:
    only = {"authorized_parties": ["https://app.example.com"]}
    assert judge(wire, tokens.session(), **only).is_authenticated
    for azp in ("https://evil.example", "", ...):
        state = judge(wire, tokens.session(azp=azp), **only)
        assert state.reason == "token-invalid-authorized-parties"
    assert judge(wire, tokens.session(azp=...), authorized_parties=[]).is_authenticated


@pytest.mark.conformance("clerk-backend", 170, 171)
@pytest.mark.parametrize(("ago", "holds"), [(4, True), (5, False), (6, False)])
def test_five_seconds_of_skew_are_forgiven(wire: BackendWire, tokens: Tokens, ago: int, holds: bool) -> None:
    auth = made(wire)
    if holds:
        assert auth.verify_token(tokens.session(exp=NOW - ago))["sub"] == "user_1"
        return
    with pytest.raises(TokenRefused) as refused:
        auth.verify_token(tokens.session(exp=NOW - ago))
    assert refused.value.code == "token-expired"
    assert refused.value.skew_seconds == ago


@pytest.mark.conformance("clerk-backend", 172)
@pytest.mark.parametrize("name", ["alg none", "alg HS256"])
def test_no_algorithm_and_a_symmetric_one_are_refused(wire: BackendWire, tokens: Tokens, name: str) -> None:
    assert judge(wire, tokens.table()[name]).reason == "token-invalid-algorithm"


@pytest.mark.parametrize(("claim", "ahead", "reason"), [("iat", 40, "session-token-iat-in-the-future"), ("nbf", 90, "session-token-nbf")])  # fmt: skip
def test_skew_is_told_in_seconds(
    wire: BackendWire, tokens: Tokens, claim: str, ahead: int, reason: str
) -> None:
    state = judge(wire, tokens.session(**{claim: NOW + ahead}))
    assert (state.reason, state.skew_seconds) == (reason, ahead)
    assert f"{ahead} s" in (state.message or "")


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_the_other_algorithms_of_our_issuer_are_taken(alg: Any) -> None:
    """More than JavaScript's SDK, which knows RSA only."""
    key = generate_key(alg, kid="ins_2")
    token = sign_jwt({"sub": "user_1", "sid": "s", "exp": NOW + 60}, key, typ="JWT")
    for given in (key.public, key.public.to_pem(), key.public.to_pem().replace("\n", "\\n")):
        assert (
            Authenticator(jwt_key=given, environment={}, clock=lambda: NOW).verify_token(token)["sub"]
            == "user_1"
        )


def test_where_we_are_stricter_than_javascript(wire: BackendWire, tokens: Tokens) -> None:
    def signed(header: bytes, payload: bytes) -> str:
        text = f"{b64url_encode(header)}.{b64url_encode(payload)}"
        return f"{text}.{b64url_encode(tokens.key.sign(text.encode()))}"

    plain = b'{"alg":"RS256","typ":"JWT","kid":"ins_1"}'
    twice = b'{"sub":"user_1","sub":"user_2","exp":%d}' % (NOW + 60)
    critical = b'{"alg":"RS256","typ":"JWT","kid":"ins_1","crit":["exp"]}'
    good = b'{"sub":"user_1","exp":%d}' % (NOW + 60)
    assert judge(wire, signed(plain, good)).is_authenticated
    assert judge(wire, signed(plain, twice)).reason == "token-invalid"
    assert judge(wire, signed(critical, good)).reason == "token-invalid"
    assert judge(wire, tokens.session(at_hash="x")).reason == "token-invalid"  # an ID token
    assert judge(wire, tokens.session(aud=5), audience="api").reason == "token-verification-failed"
    bound = judge(wire, tokens.oauth(cnf={"jkt": "thumb"}), "oauth_token")
    assert bound.reason == "token-verification-failed"
    assert "DPoP" in (bound.message or "")


@pytest.mark.parametrize("exp", [-(10**30), -1, 0, 10**30, True, float(2**60)])
def test_an_absurd_expiry_never_lengthens_a_life(wire: BackendWire, tokens: Tokens, exp: Any) -> None:
    assert judge(wire, tokens.session(exp=exp)).is_authenticated == (exp is not True and exp > NOW)


@pytest.mark.parametrize("answered", [{"active": False}, {}, {"subject": ""}, {"subject": "user_1", "revoked": True}, {"subject": "user_1", "expired": True}])  # fmt: skip
def test_an_answer_of_200_alone_signs_nobody_in(wire: BackendWire, answered: dict[str, Any]) -> None:
    wire.oauth["oat_odd"] = wire.api_keys["ak_odd"] = wire.m2m["mt_odd"] = answered
    for token, kind in (("oat_odd", "oauth_token"), ("ak_odd", "api_key"), ("mt_odd", "m2m_token")):
        assert judge(wire, token, kind).reason == "token-invalid"


def test_headers_are_found_in_any_spelling(wire: BackendWire, tokens: Tokens) -> None:
    for name in ("authorization", "Authorization", "AUTHORIZATION"):
        request = auth_request("get", "https://app.example.com/", {name: f"Bearer {tokens.session()}"})
        assert made(wire).authenticate_request(request).is_authenticated


def test_both_shells_come_to_the_same_verdicts(wire: BackendWire, tokens: Tokens) -> None:
    auth = made(wire)
    for token in tokens.table().values():
        request = auth_request(
            "GET", "https://app.example.com/", {"authorization": f"Bearer {token}", **BROWSER}
        )
        later = asyncio.run(auth.authenticate_request_async(request, accepts_token="any"))
        assert auth.authenticate_request(request, accepts_token="any") == later


async def test_no_event_loop_waits_for_the_keys(wire: BackendWire, tokens: Tokens) -> None:
    """While the keys are on their way the loop goes on: a blocked one could not set the event they wait for."""
    waiting, answered = threading.Event(), threading.Event()
    whole = wire.answer

    def slow(*asked: Any) -> Any:
        waiting.set()
        assert answered.wait(30)
        return whole(*asked)

    wire.answer = slow  # type: ignore[method-assign]
    task = asyncio.create_task(made(wire).verify_token_async(tokens.session()))
    assert await asyncio.to_thread(waiting.wait, 30)
    assert not task.done()
    answered.set()
    assert (await task)["sub"] == "user_1"


def test_threads_share_one_request_for_the_keys(wire: BackendWire, tokens: Tokens) -> None:
    auth, token = made(wire), tokens.session()
    threads = [threading.Thread(target=auth.verify_token, args=(token,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path for _, path, _, _ in wire.asked] == ["/v1/jwks"]


async def test_coroutines_share_one_request_for_the_keys(wire: BackendWire, tokens: Tokens) -> None:
    auth, token = made(wire), tokens.session()
    await asyncio.gather(*(auth.verify_token_async(token) for _ in range(50)))
    assert len(wire.asked) == 1


def test_an_invented_key_name_costs_the_issuer_one_request(wire: BackendWire, tokens: Tokens) -> None:
    auth = made(wire)
    auth.verify_token(tokens.session())
    for _ in range(20):
        with pytest.raises(TokenRefused) as refused:
            auth.verify_token(tokens.session(key=tokens.unknown))
        assert refused.value.code == reasons.JWK_KID_MISMATCH
    assert len(wire.asked) == 1  # the keys are seconds old: a second request waits until they are ten


def test_a_wrong_secret_key_is_told_from_a_server_that_is_down(wire: BackendWire, tokens: Tokens) -> None:
    with pytest.raises(KeySetUnavailable) as wrong:
        made(wire, secret_key="sk_test_other").verify_token(tokens.session())
    assert wrong.value.code == "secret-key-invalid"
    wire.is_down = True
    with pytest.raises(KeySetUnavailable) as down:
        made(wire).verify_token(tokens.session())
    assert down.value.code == "jwk-remote-failed-to-load"
    assert judge(wire, tokens.session()).reason == "jwk-remote-failed-to-load"
    state = judge(wire, "mt_good", "m2m_token")
    assert (state.reason, state.message) == (
        "unexpected-error",
        "Unexpected error (code=unexpected-error, status=503)",
    )


def test_a_server_that_is_gone_signs_nobody_in(wire: BackendWire, tokens: Tokens) -> None:
    gone = made(wire, api_url="http://127.0.0.1:1")
    request = auth_request("GET", "https://app.example.com/", {"authorization": "Bearer mt_good"})
    state = gone.authenticate_request(request, accepts_token="m2m_token")
    assert (state.reason, state.message) == (
        "unexpected-error",
        "Unexpected error (code=unexpected-error, status=n/a)",
    )


def test_keys_come_from_the_issuer_without_any_secret(wire: BackendWire, tokens: Tokens) -> None:
    keyed = generate_key("RS256", kid="ins_1")
    asked = []

    def send(request: Any) -> Any:
        from doorward.verify.transport import HttpAnswer

        asked.append(request)
        return HttpAnswer(200, b'{"keys":[%s]}' % json.dumps(tokens.key.public.to_jwk()).encode())

    url = "https://accounts.example.com/.well-known/jwks.json"
    auth = Authenticator(jwks_url=url, secret_key=SECRET_KEY, environment={}, clock=lambda: NOW, send=send)
    assert auth.verify_token(tokens.session())["sub"] == "user_1"
    assert asked[0].url == url
    assert "authorization" not in asked[0].headers  # the secret key is for the Backend API alone
    with pytest.raises(TokenRefused):
        auth.verify_token(tokens.session(key=keyed))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "CLERK_SECRET_KEY"),
        ({"publishable_key": "pk_test_x"}, "publishable key"),
        ({"publishable_key": "sk_test_x"}, "pk_test_"),
        ({"jwt_key": "nonsense"}, "CLERK_JWT_KEY"),
        ({"secret_key": "sk_test_x", "accepts_token": "password"}, "accepts_token"),
        ({"secret_key": "sk_test_x", "accepts_token": []}, "accepts_token"),
        ({"secret_key": "sk_test_x", "authorized_parties": "https://a.example"}, "list"),
        ({"secret_key": "sk_test_x", "clock_skew": -1}, "clock_skew"),
        ({"secret_key": "sk_test_x", "api_url": "accounts.example.com"}, "CLERK_API_URL.* is a URL"),
        ({"jwks_url": "accounts.example.com/jwks.json"}, "jwks_url is a URL"),
        ({"accepts_token": "m2m_token"}, "CLERK_MACHINE_SECRET_KEY"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_when_the_object_is_made(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Authenticator(environment={}, **options)


def test_what_a_page_may_be_told_holds_no_secret(wire: BackendWire) -> None:
    auth = made(wire, publishable_key=TEST)
    shown = f"{auth.client_configuration()} {auth!r} {auth.settings!r}"
    assert TEST in shown
    assert SECRET_KEY not in shown
    assert MACHINE_KEY not in shown


def test_results_do_not_show_the_token_they_come_from(wire: BackendWire, tokens: Tokens) -> None:
    token = tokens.session()
    state = judge(wire, token)
    assert token not in repr(state) + repr(state.to_auth())
    assert "mt_good" not in repr(judge(wire, "mt_good", "any").to_auth())


def test_options_come_from_the_environment_and_are_beaten_by_those_given(wire: BackendWire) -> None:
    environment = {
        "CLERK_PUBLISHABLE_KEY": LIVE,
        "CLERK_SECRET_KEY": "sk_env",
        "CLERK_MACHINE_SECRET_KEY": "ak_env",
        "CLERK_API_URL": "https://env.example/",
    }
    told = Authenticator(environment=environment).settings
    assert (told.secret_key, told.machine_secret_key, told.api_url) == (
        "sk_env",
        "ak_env",
        "https://env.example",
    )
    given = Authenticator(environment=environment, machine_secret_key="ak_given", api_url=wire.url).settings
    assert (given.machine_secret_key, given.api_url) == ("ak_given", wire.url)


def test_a_framework_is_imported_by_its_integration_only() -> None:
    script = "import sys, doorward.verify, doorward.verify.integrations; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {
        "starlette",
        "fastapi",
        "django",
        "flask",
        "aiohttp",
        "litestar",
        "pydantic",
    }
