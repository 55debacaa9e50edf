"""The OAuth provider: authorize, consent, tokens, userinfo, introspection, revocation, discovery."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import jwt as pyjwt
import pytest

from doorward.identity.oauth import clients
from doorward.identity.oauth.clients import OAuthClient
from tests.identity.conftest import (
    CLI_REDIRECT,
    GATE,
    ORIGIN,
    World,
    claims_of,
    error_codes,
    header_of,
)

pytestmark = pytest.mark.anyio

ADA = "ada@example.com"


def answer(response: httpx.Response) -> dict[str, str]:
    """The parameters of the redirect back to the client."""
    assert response.status_code == 303, response.text[:400]
    return {
        name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()
    }


def gate_request(**changes: str | None) -> dict[str, str | None]:
    return {
        "client_id": "doorward-gate",
        "redirect_uri": f"{GATE}/gate/callback",
        "resource": GATE,
        **changes,
    }


@pytest.mark.conformance("clerk-frontend", 119)
async def test_nobody_signed_in_is_sent_to_sign_in_and_back_to_the_full_authorize_url(world: World):
    response = await world.browser().authorize()
    assert response.status_code == 303
    full = str(response.request.url)
    assert response.headers["location"] == f"{ORIGIN}/sign-in?redirect_url={quote(full, safe='')}"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.conformance("clerk-frontend", 120, 125)
async def test_consent_leads_to_a_code_with_state_and_issuer_and_denial_to_an_error(world: World):
    browser = await world.signed_up(ADA)
    page = (await browser.authorize()).headers["location"]
    assert page.startswith(f"{ORIGIN}/oauth-consent?")
    assert parse_qs(urlsplit(page).query)["scope"] == ["openid profile email"]
    allowed = await browser.consent(page)
    assert allowed.headers["location"].startswith(f"{CLI_REDIRECT}?code=")
    assert answer(allowed).keys() == {"code", "state", "iss"}
    assert answer(allowed)["state"] == "a-long-enough-state"
    assert answer(allowed)["iss"] == ORIGIN
    denied = answer(await browser.consent(page, consented=False))
    assert (denied["error"], denied["state"], denied["iss"]) == (
        "access_denied",
        "a-long-enough-state",
        ORIGIN,
    )


async def test_the_clis_consent_is_asked_every_time_because_any_program_can_listen_on_loopback(world: World):
    browser = await world.signed_up(ADA)
    await browser.authorization_code()
    assert (await browser.authorize()).headers["location"].startswith(f"{ORIGIN}/oauth-consent")


async def test_the_gates_consent_is_remembered_for_one_person_and_one_machine(world: World):
    browser = await world.signed_up(ADA)
    await browser.authorization_code(**gate_request())
    again = await browser.authorize(**gate_request())
    assert again.headers["location"].startswith(f"{GATE}/gate/callback?code=")
    other = "http://other-9f.env.localhost:8080"
    elsewhere = await browser.authorize(**gate_request(redirect_uri=f"{other}/gate/callback", resource=other))
    assert elsewhere.headers["location"].startswith(f"{ORIGIN}/oauth-consent")
    eve = await world.signed_up("eve@example.com")
    assert (await eve.authorize(**gate_request())).headers["location"].startswith(f"{ORIGIN}/oauth-consent")
    silent = answer(await eve.authorize(**gate_request(prompt="none")))
    assert silent["error"] == "consent_required"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": f"http://x.{ORIGIN.removeprefix('http://')}"},
        {"origin": "null"},
    ],
)
async def test_a_consent_form_of_another_origin_is_refused(world: World, headers: dict[str, str]):
    browser = await world.signed_up(ADA)
    page = (await browser.authorize()).headers["location"]
    browser.http.headers.update(headers)
    response = await browser.consent(page)
    assert response.status_code in (400, 403)
    assert "location" not in response.headers


async def test_a_consent_form_without_any_origin_is_refused(world: World):
    browser = await world.signed_up(ADA)
    page = (await browser.authorize()).headers["location"]
    del browser.http.headers["origin"]
    response = await browser.consent(page)
    assert (response.status_code, error_codes(response.json())) == (403, ["csrf_token_invalid"])


@pytest.mark.conformance("clerk-frontend", 121)
@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:34338/callback",
        "http://127.0.0.1:34338/callback/",
        "http://127.0.0.1:34338/callback?x=1",
        "http://127.0.0.1:34338/callback#x",
        "http://127.0.0.1@evil.example:34338/callback",
        "http://127.0.0.1.evil.example/callback",
        "https://127.0.0.1:34338/callback",
        "http://127.0.0.1:034338/callback",
        "http://127.1:34338/callback",
        "",
    ],
)
async def test_an_unregistered_redirect_is_an_error_here_and_no_redirect(world: World, uri: str):
    browser = await world.signed_up(ADA)
    response = await browser.authorize(redirect_uri=uri)
    assert response.status_code == 400
    assert "location" not in response.headers
    assert "redirect_uri_mismatch" in response.json()["errors"][0]["long_message"]


async def test_an_unknown_client_is_an_error_here_and_no_redirect(world: World):
    response = await (await world.signed_up(ADA)).authorize(client_id="nobody")
    assert response.status_code == 401
    assert error_codes(response.json()) == ["oauth_authorize_request_error"]


async def test_a_person_sees_a_page_instead_of_json(world: World):
    browser = await world.signed_up(ADA)
    browser.http.headers["accept"] = "text/html"
    response = await browser.authorize(client_id="nobody")
    assert response.headers["content-type"].startswith("text/html")


async def test_the_cli_may_listen_on_any_loopback_port(world: World):
    browser = await world.signed_up(ADA)
    uri = "http://127.0.0.1:50123/callback"
    code = await browser.authorization_code(redirect_uri=uri)
    assert (await browser.redeem(code)).json()["error"] == "invalid_grant"
    code = await browser.authorization_code(redirect_uri=uri)
    assert (await browser.redeem(code, redirect_uri=uri)).status_code == 200


@pytest.mark.conformance("clerk-frontend", 122, 123, 124)
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"state": "short"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"resource": "https://api.example"}, "invalid_target"),
    ],
)
async def test_a_bad_request_goes_back_to_the_client_as_an_error(world: World, changes, error: str):
    browser = await world.signed_up(ADA)
    back = answer(await browser.authorize(**changes))
    assert back["error"] == error
    assert back["iss"] == ORIGIN
    assert "code" not in back


async def test_prompt_none_without_a_session_is_login_required(world: World):
    assert answer(await world.browser().authorize(prompt="none"))["error"] == "login_required"


async def test_prompt_login_wants_a_fresh_proof(world: World):
    browser = await world.signed_up(ADA)
    world.clock.advance(61_000)
    response = await browser.authorize(prompt="login")
    assert response.headers["location"].startswith(f"{ORIGIN}/sign-in/confirm?redirect_url=")
    session = await browser.session()
    await world.identity.sessions.reauthenticate(
        await _visit(world, browser), session["id"], password="a quiet harbour at dusk"
    )
    assert (await browser.authorize(prompt="login")).headers["location"].startswith(f"{ORIGIN}/oauth-consent")


async def _visit(world: World, browser):
    from starlette.requests import Request

    cookie = "; ".join(f"{name}={value}" for name, value in browser.http.cookies.items())
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(b"cookie", cookie.encode())],
        "client": ("203.0.113.7", 1),
    }
    return await world.identity.visits.of(Request(scope))


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": None},
        {"resource": "http://other.env.localhost:8080"},
        {"resource": f"{GATE}/"},
    ],
)
async def test_the_gate_must_name_its_own_origin_as_the_resource(world: World, changes):
    browser = await world.signed_up(ADA)
    assert answer(await browser.authorize(**gate_request(**changes)))["error"] == "invalid_target"


@pytest.mark.parametrize(
    "uri",
    [
        "http://env.localhost:8080/gate/callback",
        "http://a.b.env.localhost:8080/gate/callback",
        "http://mybox.env.localhost:8080/gate/callback/x",
        "http://mybox.env.localhost:8080/gate/callback?x",
        "http://mybox.env.localhost/gate/callback",
        "https://mybox.env.localhost:8080/gate/callback",
        "http://mybox.env.localhost:8080.evil.example/gate/callback",
        "http://evil.example#.env.localhost:8080/gate/callback",
        "http://evil.example/.env.localhost:8080/gate/callback",
        "http://u@x.env.localhost:8080/gate/callback",
        "http://MYBOX.env.localhost:8080/gate/callback",
        "http://127.0.0.1:34338/callback",
    ],
)
async def test_the_gates_redirect_is_one_label_in_the_zone_and_that_path_only(world: World, uri: str):
    browser = await world.signed_up(ADA)
    response = await browser.authorize(**gate_request(redirect_uri=uri))
    assert response.status_code == 400
    assert "location" not in response.headers


async def test_a_gate_token_names_its_machine_lives_ten_minutes_and_cannot_be_refreshed(world: World):
    browser = await world.signed_up(ADA)
    code = await browser.authorization_code(**gate_request())
    response = await browser.redeem(
        code, client_id="doorward-gate", redirect_uri=f"{GATE}/gate/callback", resource=GATE
    )
    body = response.json()
    claims = claims_of(body["access_token"])
    assert claims["aud"] == [GATE]
    assert claims["client_id"] == "doorward-gate"
    assert body["expires_in"] == claims["exp"] - claims["iat"] == 600
    assert "refresh_token" not in body
    info = await browser.http.get(
        "/oauth/userinfo", headers={"authorization": f"Bearer {body['access_token']}"}
    )
    assert info.status_code == 401


async def test_a_gate_code_is_not_redeemed_for_another_resource(world: World):
    browser = await world.signed_up(ADA)
    code = await browser.authorization_code(**gate_request())
    response = await browser.redeem(
        code,
        client_id="doorward-gate",
        redirect_uri=f"{GATE}/gate/callback",
        resource="http://other.env.localhost:8080",
    )
    assert (response.status_code, response.json()["error"]) == (400, "invalid_target")


@pytest.mark.conformance("clerk-frontend", 126, 133, 136)
async def test_the_token_answer_and_both_tokens_have_clerks_shape(world: World):
    browser = await world.signed_up(ADA, first_name="Ada", last_name="Lovelace")
    code = await browser.authorization_code(nonce="a-nonce")
    response = await browser.redeem(code)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers
    body = response.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == (
        "Bearer",
        86400,
        "openid profile email",
    )
    assert isinstance(body["expires_in"], int)
    assert all(isinstance(body[name], str) for name in ("access_token", "refresh_token", "id_token"))
    keys = (await browser.get("/.well-known/jwks.json"))["keys"]
    key = pyjwt.PyJWK(keys[0]).key
    options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    access = pyjwt.decode(body["access_token"], key, algorithms=["RS256"], issuer=ORIGIN, options=options)
    assert header_of(body["access_token"])["typ"] == "at+jwt"
    session = await browser.session()
    assert access["sub"] == session["user"]["id"]
    assert access["sid"] == session["id"]
    assert (access["client_id"], access["scope"]) == ("doorward-cli", "openid profile email")
    assert access["exp"] - access["iat"] == 86400
    assert access["jti"].startswith("oat_")
    assert "aud" not in access
    id_token = pyjwt.decode(
        body["id_token"], key, algorithms=["RS256"], issuer=ORIGIN, audience="doorward-cli", options=options
    )
    assert (id_token["nonce"], id_token["name"], id_token["email"]) == ("a-nonce", "Ada Lovelace", ADA)
    assert id_token["email_verified"] is True
    half = hashlib.sha256(body["access_token"].encode()).digest()[:16]
    assert id_token["at_hash"] == urlsafe_b64encode(half).rstrip(b"=").decode()


@pytest.mark.conformance("clerk-frontend", 127, 128, 129)
async def test_a_wrong_verifier_an_old_code_and_a_used_code_are_invalid_grants(world: World):
    browser = await world.signed_up(ADA)
    code = await browser.authorization_code()
    wrong = await browser.redeem(code, code_verifier="w" * 43)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    tokens = (await browser.redeem(code)).json()
    again = await browser.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    dead = await browser.refresh(tokens["refresh_token"])
    assert dead.json()["error"] == "invalid_grant"
    late = await browser.authorization_code()
    world.clock.advance(600_000)
    assert (await browser.redeem(late)).json()["error"] == "invalid_grant"


async def test_a_code_of_one_client_is_nothing_to_another_and_dies_when_its_person_signs_out(world: World):
    browser = await world.signed_up(ADA)
    code = await browser.authorization_code()
    foreign = await browser.redeem(code, client_id="doorward-gate")
    assert foreign.json()["error"] == "invalid_grant"
    await browser.post("/v1/client/sessions?_method=DELETE")
    assert (await browser.redeem(code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_id": "doorward-cli"}, 400, "invalid_request"),
        (
            {"client_id": "doorward-cli", "client_secret": "x", "grant_type": "refresh_token"},
            401,
            "invalid_client",
        ),
        ({"client_id": "doorward-cli", "grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_id": "doorward-gate", "grant_type": "refresh_token"}, 400, "unauthorized_client"),
        ({"client_id": "doorward-cli", "grant_type": "authorization_code"}, 400, "invalid_request"),
        (
            {"client_id": "doorward-cli", "grant_type": "refresh_token", "refresh_token": "x"},
            400,
            "invalid_grant",
        ),
    ],
)
async def test_token_errors_have_oauths_shape(world: World, form, status: int, error: str):
    response = await world.browser(origin=None).http.post("/oauth/token", data=form)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert set(response.json()) == {"error", "error_description"}


async def test_a_repeated_parameter_is_refused(world: World):
    browser = await world.signed_up(ADA)
    response = await browser.http.post(
        "/oauth/token",
        content="grant_type=refresh_token&client_id=doorward-cli&client_id=other&refresh_token=x",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert response.json()["error"] == "invalid_request"
    twice = await browser.http.get(
        f"/oauth/authorize?client_id=doorward-cli&redirect_uri={quote(CLI_REDIRECT)}&redirect_uri=http://evil.example"
    )
    assert twice.status_code == 400
    assert "location" not in twice.headers


@pytest.mark.conformance("clerk-frontend", 130, 131)
async def test_refreshing_rotates_with_a_minute_of_grace_and_later_reuse_revokes_everything(world: World):
    browser = await world.signed_up(ADA)
    first = (await browser.tokens())["refresh_token"]
    second = (await browser.refresh(first)).json()["refresh_token"]
    assert second != first
    world.clock.advance(60_000)
    third = await browser.refresh(first)
    assert third.status_code == 200
    world.clock.advance(1)
    stolen = await browser.refresh(first)
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    for token in (second, third.json()["refresh_token"]):
        assert (await browser.refresh(token)).json()["error"] == "invalid_grant"


async def test_a_refresh_token_ends_a_year_after_the_grant_however_often_it_was_rotated(world: World):
    browser = await world.signed_up(ADA)
    token = (await browser.tokens())["refresh_token"]
    for _ in range(4):
        world.clock.advance(90 * 86_400_000)
        token = (await browser.refresh(token)).json()["refresh_token"]
    world.clock.advance(5 * 86_400_000)
    assert (await browser.refresh(token)).json()["error"] == "invalid_grant"


async def test_the_scope_can_be_narrowed_and_not_widened(world: World):
    browser = await world.signed_up(ADA)
    token = (await browser.tokens())["refresh_token"]
    narrowed = (await browser.refresh(token, scope="email")).json()
    assert (narrowed["scope"], "id_token" in narrowed) == ("email", False)
    wider = await browser.refresh(narrowed["refresh_token"], scope="email offline_access")
    assert wider.json()["error"] == "invalid_scope"


@pytest.mark.parametrize("what", ["ban", "lock", "password", "delete"])
async def test_refreshing_ends_with_a_ban_a_lock_a_new_password_and_the_account(world: World, what: str):
    browser = await world.signed_up(ADA)
    token, session = (await browser.tokens())["refresh_token"], await browser.session()
    user_id, query = session["user"]["id"], f"_clerk_session_id={session['id']}"
    pending = await browser.authorization_code()
    if what == "ban":
        await world.identity.accounts.ban(user_id, actor=None)
    elif what == "lock":
        await world.identity.accounts.lock(user_id, until=world.clock.now + 1000, actor=None)
    elif what == "password":
        await browser.post(
            f"/v1/me/change_password?{query}",
            current_password="a quiet harbour at dusk",
            new_password="a loud harbour at noon",
        )
    else:
        await browser.post(f"/v1/me?_method=DELETE&{query}")
    assert (await browser.refresh(token)).json()["error"] == "invalid_grant"
    assert (await browser.redeem(pending)).json()["error"] == "invalid_grant"


@pytest.mark.conformance("clerk-frontend", 137, 138)
async def test_userinfo_tells_what_the_scopes_allow(world: World):
    browser = await world.signed_up(ADA, first_name="Ada", last_name="Lovelace")
    tokens = await browser.tokens()
    info = await browser.http.get(
        "/oauth/userinfo", headers={"authorization": f"bearer {tokens['access_token']}"}
    )
    body = info.json()
    assert body["sub"] == body["user_id"] == await browser.user_id()
    assert (body["email"], body["email_verified"], body["name"]) == (ADA, True, "Ada Lovelace")
    assert (body["given_name"], body["family_name"]) == ("Ada", "Lovelace")
    assert body["picture"].startswith("http")
    assert not any("metadata" in name for name in body)
    for value in (
        "Bearer garbage",
        "Bearer",
        f"Basic {tokens['access_token']}",
        f"Bearer {tokens['id_token']}",
    ):
        refused = await browser.http.get("/oauth/userinfo", headers={"authorization": value})
        assert refused.status_code == 401
        assert error_codes(refused.json()) == ["oauth_fetch_user_error"]
    world.clock.advance(86_400_000)
    late = await browser.http.get(
        "/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"}
    )
    assert late.status_code == 401


@pytest.mark.conformance("clerk-frontend", 132, 139)
async def test_a_confidential_client_proves_itself_and_may_introspect_its_own_tokens(world: World):
    secret_hash = world.identity.oauth.secret_hash("s3cret")
    client = OAuthClient(
        "shop",
        "Shop",
        secret_hash,
        ("https://shop.example/cb",),
        ("profile", "email"),
        ("authorization_code", "refresh_token"),
        "none",
        clients.DAY_SECONDS,
    )
    await world.identity.oauth.register(client)
    browser = await world.signed_up(ADA)
    code = await browser.authorization_code(
        client_id="shop", redirect_uri="https://shop.example/cb", scope="email"
    )
    form = {"client_id": "shop", "redirect_uri": "https://shop.example/cb"}
    wrong = await browser.redeem(code, **form, client_secret="nope")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert (await browser.redeem(code, **form)).status_code == 401
    tokens = (await browser.redeem(code, **form, client_secret="s3cret")).json()
    basic = httpx.BasicAuth("shop", "s3cret")

    async def introspect(token: str, auth: httpx.BasicAuth = basic) -> httpx.Response:
        return await browser.http.post("/oauth/token_info", data={"token": token}, auth=auth)

    active = (await introspect(tokens["access_token"])).json()
    assert (active["active"], active["client_id"], active["scope"]) == (True, "shop", "email")
    assert (await introspect(tokens["refresh_token"])).json()["active"] is True
    assert (await introspect("garbage")).json() == {"active": False}
    assert (await introspect(tokens["access_token"], httpx.BasicAuth("shop", "no"))).status_code == 401
    cli = (await browser.tokens())["access_token"]
    assert (await introspect(cli)).json() == {"active": False}
    await browser.http.post("/oauth/token/revoke", data={"token": tokens["refresh_token"]}, auth=basic)
    assert (await introspect(tokens["access_token"])).json() == {"active": False}


@pytest.mark.conformance("clerk-frontend", 140)
async def test_revoking_a_refresh_token_ends_the_grant_and_unknown_tokens_are_fine(world: World):
    browser = await world.signed_up(ADA)
    tokens = await browser.tokens()
    form = {"client_id": "doorward-cli"}
    assert (
        await browser.http.post("/oauth/token/revoke", data={**form, "token": "unknown"})
    ).status_code == 200
    foreign = {"client_id": "doorward-gate", "token": tokens["refresh_token"]}
    assert (await browser.http.post("/oauth/token/revoke", data=foreign)).status_code == 200
    newer = (await browser.refresh(tokens["refresh_token"])).json()
    done = await browser.http.post("/oauth/token/revoke", data={**form, "token": newer["refresh_token"]})
    assert (done.status_code, done.content) == (200, b"")
    assert (await browser.refresh(newer["refresh_token"])).json()["error"] == "invalid_grant"
    access = await browser.http.post("/oauth/token/revoke", data={**form, "token": newer["access_token"]})
    assert (access.status_code, access.json()["error"]) == (400, "unsupported_token_type")


@pytest.mark.conformance("clerk-frontend", 141)
async def test_every_endpoint_the_discovery_documents_name_answers(world: World):
    browser = world.browser()
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        response = await browser.http.get(path)
        assert response.headers["access-control-allow-origin"] == "*"
        assert "max-age" in response.headers["cache-control"]
        document = response.json()
        assert document["issuer"] == ORIGIN
        assert document["code_challenge_methods_supported"] == ["S256"]
        assert "urn:ietf:params:oauth:grant-type:device_code" in document["grant_types_supported"]
        for name, url in document.items():
            if name.endswith(("_endpoint", "_uri")):
                for_post = await browser.http.post(url)
                for_get = await browser.http.get(url)
                assert {for_post.status_code, for_get.status_code} & {200, 400, 401}, name


@pytest.mark.conformance("clerk-frontend", 142)
async def test_an_application_that_would_register_itself_hears_that_this_is_off(world: World):
    wish = {"redirect_uris": ["https://app.example/callback"], "token_endpoint_auth_method": "none"}
    response = await world.browser(origin="https://app.example").http.post("/oauth/register", json=wish)
    assert response.status_code == 422
    assert error_codes(response.json()) == ["feature_requires_dynamic_oauth_client_registration"]
    assert response.headers["access-control-allow-origin"] == "*"
    document = (await world.browser().http.get("/.well-known/openid-configuration")).json()
    assert "registration_endpoint" not in document


async def test_the_machines_own_grant_works_like_one_from_the_browser(world: World):
    browser = await world.signed_up(ADA)
    user_id = await browser.user_id()
    access, refresh, expires_at = await world.identity.issue_cli_grant(user_id)
    assert claims_of(access)["sub"] == user_id
    assert claims_of(access)["client_id"] == "doorward-cli"
    assert expires_at == claims_of(access)["exp"] * 1000
    assert (await browser.refresh(refresh)).status_code == 200
