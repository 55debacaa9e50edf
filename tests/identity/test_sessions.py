"""Clients, cookies, sessions and their tokens."""

from __future__ import annotations

import jwt as pyjwt
import pytest

from doorward.identity import RateLimit, RateLimits
from doorward.identity.settings import DAY
from tests.identity.conftest import ORIGIN, PASSWORD, MakeWorld, World, claims_of, error_codes, header_of

pytestmark = pytest.mark.anyio

ADA = "ada@example.com"


async def verified(world: World, token: str, **options):
    """The claims, checked against our JWKS by another library."""
    browser = world.browser()
    keys = (await browser.get("/.well-known/jwks.json"))["keys"]
    key = next(key for key in keys if key["kid"] == header_of(token)["kid"])
    return pyjwt.decode(
        token,
        pyjwt.PyJWK(key).key,
        algorithms=["RS256"],
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, **options.pop("options", {})},
        **options,
    )


@pytest.mark.conformance("clerk-frontend", 27)
async def test_a_browser_without_a_cookie_has_no_client_and_gets_none(world: World):
    response = await world.browser().http.get("/v1/client")
    assert response.json() == {"response": None, "client": None}
    assert "set-cookie" not in response.headers


@pytest.mark.conformance("clerk-frontend", 28)
@pytest.mark.parametrize("cookie", ["garbage", "a.b.c", "eyJhbGciOiJub25lIn0.eyJpZCI6ImNsaWVudF94In0."])
async def test_a_garbage_cookie_is_no_client_and_no_error(world: World, cookie: str):
    browser = world.browser()
    browser.http.cookies.set("__client", cookie)
    assert (await browser.get("/v1/client"))["response"] is None


async def test_a_client_cookie_planted_beside_our_own_signs_nobody_in_as_somebody_else(world: World):
    ada = await world.signed_up(ADA)
    mallory = await world.signed_up("mallory@example.com")
    own, planted = ada.http.cookies["__client"], mallory.http.cookies["__client"]
    for cookies in (f"__client={own}; __client={planted}", f"__client={planted}; a=b;__client={own}"):
        answer = await world.browser().http.get("/v1/client", headers={"cookie": cookies})
        assert answer.json()["response"] is None


async def test_browsers_nobody_signed_in_with_are_forgotten_after_a_day(world: World):
    ada = await world.signed_up(ADA)
    strangers = [world.browser() for _ in range(3)]
    for stranger in strangers:
        assert (await stranger.http.put("/v1/client")).json()["response"] is not None

    async def count() -> int:
        return (await world.database.read(lambda tx: tx.fetch_one("SELECT count(*) FROM identity_clients")))[
            0
        ]

    assert await count() == 4
    world.clock.advance(DAY - 1)
    await world.identity.forget_expired()
    assert await count() == 4
    world.clock.advance(2)
    await world.identity.forget_expired()
    assert await count() == 1
    assert (await ada.get("/v1/client"))["response"]["sessions"]
    assert (await strangers[0].http.get("/v1/client")).json()["response"] is None


async def test_an_address_makes_so_many_browsers_and_no_more(make_world: MakeWorld):
    world = await make_world(limits=RateLimits(client_per_ip=RateLimit(2, 60_000)))
    answers = [(await world.browser().http.put("/v1/client")).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    assert (await world.browser(ip="198.51.100.9").http.put("/v1/client")).status_code == 200
    network = [world.browser(ip=f"2001:db8::{number}") for number in range(3)]
    assert [(await one.http.put("/v1/client")).status_code for one in network] == [200, 200, 429]


@pytest.mark.conformance("clerk-frontend", 35, 36)
async def test_the_client_cookie_is_host_only_http_only_lax_and_lasts(make_world: MakeWorld):
    world = await make_world(
        origin="https://accounts.example.com", development=False, cookie_domain="example.com"
    )
    browser = world.browser(origin="https://accounts.example.com")
    response = await browser.http.post("https://accounts.example.com/v1/client/sign_ups")
    cookies = {line.split("=")[0]: line for line in response.headers.get_list("set-cookie")}
    client = cookies["__client"].lower()
    assert "domain" not in client
    for attribute in ("path=/", "httponly", "secure", "samesite=lax", "max-age=315360000"):
        assert attribute in client
    uat = cookies["__client_uat"]
    assert uat.startswith("__client_uat=0;")
    assert "Domain=example.com" in uat
    assert "httponly" not in uat.lower()


async def test_on_a_plain_http_localhost_name_the_cookie_is_not_secure(world: World):
    response = await world.browser().http.post("/v1/client/sign_ups")
    assert "secure" not in response.headers.get_list("set-cookie")[0].lower()


@pytest.mark.conformance("clerk-frontend", 41)
async def test_signing_in_rotates_the_clients_token_and_the_old_cookie_is_worth_nothing(world: World):
    await world.signed_up(ADA)
    browser = world.browser()
    await browser.post("/v1/client/sign_ins", identifier=ADA)
    before = browser.http.cookies["__client"]
    await browser.sign_in(ADA)
    assert browser.http.cookies["__client"] != before
    thief = world.browser()
    thief.http.cookies.set("__client", before)
    assert (await thief.get("/v1/client"))["response"] is None


@pytest.mark.conformance("clerk-frontend", 42, 43)
async def test_a_session_token_has_clerks_header_and_claims(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    token = (await browser.post(f"/v1/client/sessions/{session['id']}/tokens"))["jwt"]
    header = header_of(token)
    assert header == {"alg": "RS256", "typ": "JWT", "kid": header["kid"], "cat": "cl_B7d4PD111AAA"}
    claims = await verified(world, token, issuer=ORIGIN)
    seconds = world.clock.now // 1000
    assert len(claims.pop("jti")) == 20
    assert claims == {
        "azp": ORIGIN,
        "exp": seconds + 60,
        "fva": [0, -1],
        "iat": seconds,
        "iss": ORIGIN,
        "nbf": seconds - 10,
        "sid": session["id"],
        "sts": "active",
        "sub": session["user"]["id"],
        "v": 2,
    }


@pytest.mark.conformance("clerk-frontend", 44)
async def test_without_an_origin_the_token_has_no_azp(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    del browser.http.headers["origin"]
    token = (await browser.post(f"/v1/client/sessions/{session['id']}/tokens"))["jwt"]
    assert "azp" not in claims_of(token)


@pytest.mark.conformance("clerk-frontend", 45, 46)
async def test_the_t3_relay_template_gives_the_relays_audience_and_no_session_claims(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    token = (await browser.post(f"/v1/client/sessions/{session['id']}/tokens/t3-relay?debug=skip_cache"))[
        "jwt"
    ]
    assert header_of(token)["cat"] == "cl_B7d4PD222AAA"
    claims = await verified(world, token, audience="t3-code-relay", issuer=ORIGIN)
    assert claims["sub"] == session["user"]["id"]
    assert claims["exp"] - claims["iat"] == 60
    assert not claims.keys() & {"sid", "sts", "fva", "v"}


@pytest.mark.conformance("clerk-frontend", 47)
async def test_an_unknown_template_is_not_found(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    body = await browser.post(f"/v1/client/sessions/{session['id']}/tokens/nope", 404)
    assert error_codes(body) == ["resource_not_found"]
    assert body["errors"][0]["long_message"] == "No JWT template exists with name: nope"


@pytest.mark.conformance("clerk-frontend", 50)
async def test_a_session_of_another_browser_gives_no_token(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    stranger = await world.signed_up("eve@example.com")
    for path in ("tokens", "tokens/t3-relay", "touch", "end", "remove"):
        await stranger.post(f"/v1/client/sessions/{session['id']}/{path}", 404)
    await world.browser().post(f"/v1/client/sessions/{session['id']}/tokens", 404)


@pytest.mark.conformance("clerk-frontend", 40, 86, 87)
async def test_touch_makes_the_session_current_with_a_fresh_token_and_leaves_the_clients_time_alone(
    world: World,
):
    browser = await world.signed_up(ADA)
    session, before = await browser.session(), (await browser.get("/v1/client"))["response"]["updated_at"]
    world.clock.advance(30_000)
    body = await browser.post(
        f"/v1/client/sessions/{session['id']}/touch", active_organization_id="", intent="select_session"
    )
    assert body["client"]["last_active_session_id"] == session["id"]
    assert body["client"]["updated_at"] == before
    assert body["response"]["last_active_organization_id"] is None
    assert claims_of(body["response"]["last_active_token"]["jwt"])["iat"] == world.clock.now // 1000
    await browser.post(f"/v1/client/sessions/{session['id']}/tokens")
    assert (await browser.get("/v1/client"))["response"]["updated_at"] == before


@pytest.mark.conformance("clerk-frontend", 12, 39, 88)
async def test_signing_out_ends_the_sessions_and_keeps_the_client(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    await browser.http.get("/v1/client/sessions?_method=DELETE")
    assert len((await browser.get("/v1/client"))["response"]["sessions"]) == 1
    async with world.database.subscribe("identity.sessions_revoked") as events:
        body = await browser.post("/v1/client/sessions?_method=DELETE")
        assert await anext(events) == session["id"]
    assert body["client"]["sessions"] == []
    assert body["client"]["last_active_session_id"] is None
    assert browser.http.cookies["__client_uat"] == "0"
    assert browser.http.cookies.get("__client")
    await browser.post(f"/v1/client/sessions/{session['id']}/tokens", 401)


@pytest.mark.conformance("clerk-frontend", 13)
async def test_a_real_delete_signs_out_like_the_override(world: World):
    browser = await world.signed_up(ADA)
    response = await browser.http.delete("/v1/client/sessions")
    assert response.json()["client"]["sessions"] == []
    gone = await browser.http.delete("/v1/client")
    assert gone.json() == {"response": None, "client": None}
    assert not browser.http.cookies.get("__client")


@pytest.mark.conformance("clerk-frontend", 89, 90, 91)
async def test_one_device_signs_another_out(world: World):
    first = await world.signed_up(ADA)
    second = world.browser(ip="198.51.100.9")
    await second.sign_in(ADA)
    acting, other = await first.session(), await second.session()
    path = "/v1/me/sessions"
    listed = await first.get(f"{path}/active?_clerk_session_id={acting['id']}")
    assert {session["id"] for session in listed} == {acting["id"], other["id"]}
    activity = next(s for s in listed if s["id"] == other["id"])["latest_activity"]
    assert (activity["browser_name"], activity["device_type"], activity["ip_address"]) == (
        "Chrome",
        "Linux",
        "198.51.100.9",
    )
    body = await first.post(f"{path}/{other['id']}/revoke?_clerk_session_id={acting['id']}")
    assert body["response"]["status"] == "revoked"
    body = await second.post(f"/v1/client/sessions/{other['id']}/tokens", 401)
    assert error_codes(body) == ["authentication_invalid"]


async def test_nobody_ends_a_strangers_session(world: World):
    ada, eve = await world.signed_up(ADA), await world.signed_up("eve@example.com")
    target, acting = await ada.session(), await eve.session()
    await eve.post(f"/v1/me/sessions/{target['id']}/revoke?_clerk_session_id={acting['id']}", 404)
    assert (await ada.session())["id"] == target["id"]


@pytest.mark.conformance("clerk-frontend", 92)
@pytest.mark.parametrize("query", ["", "?_clerk_session_id=", "?_clerk_session_id=sess_unknown"])
async def test_me_needs_a_named_session_of_this_browser(world: World, query: str):
    browser = await world.signed_up(ADA)
    assert error_codes(await browser.get(f"/v1/me{query}", 401)) == ["authentication_invalid"]


async def test_a_session_ends_when_it_is_not_used_and_at_the_latest_after_a_week(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    tokens = f"/v1/client/sessions/{session['id']}/tokens"
    for _ in range(3):
        world.clock.advance(2 * 86_400_000)
        await browser.post(tokens)
    world.clock.advance(86_400_000)
    await browser.post(tokens, 401)
    idle = world.browser()
    await idle.sign_in(ADA)
    path = f"/v1/client/sessions/{(await idle.session())['id']}/tokens"
    world.clock.advance(3 * 86_400_000)
    await idle.post(path, 401)
    assert (await idle.get("/v1/client"))["response"]["sessions"] == []


async def test_dangerous_changes_need_a_proof_of_the_last_ten_minutes(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    query = f"?_clerk_session_id={session['id']}"
    world.clock.advance(10 * 60_000 + 1)
    for response in (
        await browser.http.post(f"/v1/me/email_addresses{query}", data={"email_address": "new@example.com"}),
        await browser.http.delete(f"/v1/me{query}"),
    ):
        assert response.status_code == 403
        error = response.json()["errors"][0]
        assert error["code"] == "session_reverification_required"
        assert error["meta"]["metadata"]["reverification"]["after_minutes"] == 10
    verify = f"/v1/client/sessions/{session['id']}/verify"
    started = await browser.post(verify, level="first_factor")
    assert started["response"]["object"] == "session_reverification"
    assert started["response"]["status"] == "needs_first_factor"
    wrong = await browser.post(
        f"{verify}/attempt_first_factor", 422, strategy="password", password="wrong one"
    )
    assert error_codes(wrong) == ["form_password_incorrect"]
    done = await browser.post(f"{verify}/attempt_first_factor", strategy="password", password=PASSWORD)
    assert done["response"]["status"] == "complete"
    assert done["response"]["session"]["factor_verification_age"] == [0, -1]
    await browser.post(f"/v1/me/email_addresses{query}", email_address="new@example.com")


@pytest.mark.conformance("clerk-frontend", 94)
async def test_names_can_be_changed(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    body = await browser.post(f"/v1/me?_method=PATCH&_clerk_session_id={session['id']}", first_name="Augusta")
    assert body["response"]["first_name"] == "Augusta"
    assert body["client"]["sessions"][0]["user"]["first_name"] == "Augusta"


@pytest.mark.conformance("clerk-frontend", 95, 96)
async def test_an_added_address_is_proved_then_made_primary_and_the_last_one_stays(world: World):
    browser = await world.signed_up(ADA)
    query = f"?_clerk_session_id={(await browser.session())['id']}"
    body = await browser.post(f"/v1/me/email_addresses{query}", email_address="new@example.com")
    added = body["response"]
    assert added["verification"] is None
    early = await browser.post(f"/v1/me?_method=PATCH&{query[1:]}", 422, primary_email_address_id=added["id"])
    assert error_codes(early) == ["form_param_value_invalid"]
    path = f"/v1/me/email_addresses/{added['id']}"
    await browser.post(f"{path}/prepare_verification{query}", strategy="email_code")
    code = await world.code_for("new@example.com")
    body = await browser.post(f"{path}/attempt_verification{query}", code=code)
    assert body["response"]["verification"]["status"] == "verified"
    body = await browser.post(f"/v1/me?_method=PATCH&{query[1:]}", primary_email_address_id=added["id"])
    old = next(e["id"] for e in body["response"]["email_addresses"] if e["id"] != added["id"])
    assert (await browser.http.delete(f"/v1/me/email_addresses/{old}{query}")).status_code == 200
    refused = await browser.http.delete(f"{path}{query}")
    assert refused.status_code == 400
    assert error_codes(refused.json()) == ["identification_deletion_failed"]
    assert "email_changed" in await world.kinds_mailed_to(ADA)


@pytest.mark.conformance("clerk-frontend", 97)
async def test_changing_the_password_needs_the_current_one_and_ends_other_sessions(world: World):
    browser, other = await world.signed_up(ADA), world.browser()
    await other.sign_in(ADA)
    path = f"/v1/me/change_password?_clerk_session_id={(await browser.session())['id']}"
    wrong = await browser.post(path, 422, current_password="wrong one", new_password="a new harbour, at noon")
    assert error_codes(wrong) == ["form_password_validation_failed"]
    assert wrong["errors"][0]["meta"]["param_name"] == "current_password"
    same = await browser.post(path, 422, current_password=PASSWORD, new_password=PASSWORD)
    assert error_codes(same) == ["form_new_password_matches_current"]
    await browser.post(path, current_password=PASSWORD, new_password="a new harbour, at noon")
    assert (await other.get("/v1/client"))["response"]["sessions"] == []
    assert len((await browser.get("/v1/client"))["response"]["sessions"]) == 1
    await world.browser().sign_in(ADA, "a new harbour, at noon")


@pytest.mark.conformance("clerk-frontend", 104)
async def test_a_deleted_account_is_gone_with_its_sessions(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    body = await browser.post(f"/v1/me?_method=DELETE&_clerk_session_id={session['id']}")
    assert body["response"] == {"object": "user", "id": session["user"]["id"], "slug": "", "deleted": True}
    assert body["client"]["sessions"] == []
    await world.browser().post("/v1/client/sign_ins", 422, identifier=ADA, password=PASSWORD)


async def test_a_person_is_active_when_they_ask_for_tokens_and_written_down_now_and_then(world: World):
    ada = await world.signed_up(ADA)
    session, user_id = await ada.session(), await ada.user_id()

    async def last_active_at() -> int:
        row = await world.database.read(
            lambda tx: tx.fetch_one("SELECT last_active_at FROM identity_users WHERE id = ?", (user_id,))
        )
        return row[0]

    began = await last_active_at()
    world.clock.advance(120_000)
    await ada.post(f"/v1/client/sessions/{session['id']}/tokens")
    assert await last_active_at() == began
    world.clock.advance(180_000)
    await ada.post(f"/v1/client/sessions/{session['id']}/tokens")
    assert await last_active_at() == world.clock() == began + 300_000
    world.clock.advance(300_000)
    await ada.post(f"/v1/client/sessions/{session['id']}/touch")
    assert await last_active_at() == world.clock()
