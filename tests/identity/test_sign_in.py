"""Signing in, as Clerk's SDK does it, and what it does not tell."""

from __future__ import annotations

import pytest

from doorward.identity import RateLimits
from doorward.identity.accounts.passwords import PasswordHasher
from doorward.identity.accounts.store import find_by_verified_email
from doorward.store import Tx
from tests.identity.conftest import PASSWORD, MakeWorld, World, error_codes

pytestmark = pytest.mark.anyio

SIGN_INS = "/v1/client/sign_ins"
ADA = "ada@example.com"


@pytest.mark.conformance("clerk-frontend", 71, 75)
async def test_an_identifier_alone_gets_its_first_factors(world: World):
    await world.signed_up(ADA)
    body = await world.browser().post(SIGN_INS, identifier=ADA)
    sign_in = body["response"]
    assert (sign_in["object"], sign_in["status"]) == ("sign_in_attempt", "needs_first_factor")
    strategies = {factor["strategy"]: factor for factor in sign_in["supported_first_factors"]}
    assert set(strategies) == {"password", "email_code", "reset_password_email_code"}
    assert strategies["email_code"]["safe_identifier"] == ADA
    assert strategies["email_code"]["email_address_id"].startswith("idn_")
    assert sign_in["first_factor_verification"] is None
    assert sign_in["user_data"] is None


@pytest.mark.conformance("clerk-frontend", 72, 85)
async def test_identifier_in_any_case_and_the_right_password_complete_in_one_call(world: World):
    await world.signed_up(ADA)
    body = await world.browser().post(SIGN_INS, identifier=" Ada@Example.COM ", password=PASSWORD)
    assert body["response"]["status"] == "complete"
    assert body["response"]["created_session_id"] == body["client"]["sessions"][0]["id"]
    assert body["client"]["last_authentication_strategy"] == "password"


@pytest.mark.conformance("clerk-frontend", 73, 74)
async def test_where_accounts_are_not_hidden_clerks_literal_codes_are_used(make_world: MakeWorld):
    world = await make_world(hide_accounts=False)
    await world.signed_up(ADA)
    browser = world.browser()
    wrong = await browser.post(SIGN_INS, 422, identifier=ADA, password="something else")
    assert error_codes(wrong) == ["form_password_incorrect"]
    assert wrong["meta"]["client"]["sign_in"]["status"] == "needs_first_factor"
    assert (await browser.post(SIGN_INS, identifier=ADA))["response"]["status"] == "needs_first_factor"
    unknown = await browser.post(SIGN_INS, 422, identifier="nobody@example.com")
    assert error_codes(unknown) == ["form_identifier_not_found"]
    assert unknown["errors"][0]["meta"]["param_name"] == "identifier"


async def test_an_unknown_identifier_is_answered_like_a_known_one_at_every_step(world: World):
    await world.signed_up(ADA)

    def shape(body):
        sign_in = dict(body["response"])
        for name in ("id", "identifier", "abandon_at"):
            sign_in.pop(name)
        for factor in sign_in["supported_first_factors"]:
            factor.pop("safe_identifier", None)
            factor.pop("email_address_id", None)
        return sign_in

    answers = []
    for identifier in (ADA, "nobody@example.com"):
        browser = world.browser()
        started = await browser.post(SIGN_INS, identifier=identifier)
        path = f"{SIGN_INS}/{started['response']['id']}"
        wrong = await browser.post(
            f"{path}/attempt_first_factor", 422, strategy="password", password="wrong password"
        )
        prepared = await browser.post(f"{path}/prepare_first_factor", strategy="email_code")
        code = await browser.post(f"{path}/attempt_first_factor", 422, strategy="email_code", code="x")
        read = await browser.get(path)
        answers.append([shape(started), error_codes(wrong), shape(prepared), error_codes(code), shape(read)])
    assert answers[0] == answers[1]
    assert answers[0][1] == ["form_password_or_identifier_incorrect"]


async def test_an_unknown_identifier_costs_a_password_hash_too(world: World):
    await world.signed_up(ADA)
    checked: list[str | None] = []
    hasher = world.identity.hasher
    verify = hasher._verify

    def counting(encoded: str, password: str) -> bool:
        checked.append(encoded)
        return verify(encoded, password)

    hasher._verify = counting  # observes, and still does the work
    for identifier in (ADA, "nobody@example.com"):
        await world.browser().post(SIGN_INS, 422, identifier=identifier, password="wrong password")
    assert len(checked) == 2
    parameters = [encoded.split("$")[3] for encoded in checked if encoded]
    assert parameters[0] == parameters[1]


@pytest.mark.conformance("clerk-frontend", 76, 77)
async def test_an_email_code_signs_in_and_a_wrong_one_does_not(world: World):
    await world.signed_up(ADA)
    browser = world.browser()
    path = f"{SIGN_INS}/{(await browser.post(SIGN_INS, identifier=ADA))['response']['id']}"
    world.clock.advance(60_000)
    prepared = await browser.post(f"{path}/prepare_first_factor", strategy="email_code")
    assert prepared["response"]["first_factor_verification"]["status"] == "unverified"
    code = await world.code_for(ADA)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    body = await browser.post(f"{path}/attempt_first_factor", 422, strategy="email_code", code=wrong)
    assert error_codes(body) == ["form_code_incorrect"]
    body = await browser.post(f"{path}/attempt_first_factor", strategy="email_code", code=code)
    assert body["response"]["status"] == "complete"
    assert body["response"]["first_factor_verification"]["status"] == "verified"


async def test_a_used_code_does_not_sign_in_again(world: World):
    await world.signed_up(ADA)
    browser = world.browser()
    path = f"{SIGN_INS}/{(await browser.post(SIGN_INS, identifier=ADA, strategy='email_code'))['response']['id']}"
    code = await world.code_for(ADA)
    await browser.post(f"{path}/attempt_first_factor", strategy="email_code", code=code)
    body = await browser.post(f"{path}/attempt_first_factor", 400, strategy="email_code", code=code)
    assert error_codes(body) == ["client_state_invalid"]


@pytest.mark.conformance("clerk-frontend", 78)
async def test_someone_signed_in_is_told_so(world: World):
    browser = await world.signed_up(ADA)
    assert error_codes(await browser.post(SIGN_INS, 400, identifier=ADA)) == ["session_exists"]


@pytest.mark.conformance("clerk-frontend", 79)
async def test_a_reset_code_leads_to_a_new_password_which_ends_every_other_session(world: World):
    elsewhere = await world.signed_up(ADA)
    browser = world.browser()
    path = f"{SIGN_INS}/{(await browser.post(SIGN_INS, identifier=ADA))['response']['id']}"
    await browser.post(f"{path}/prepare_first_factor", strategy="reset_password_email_code")
    code = await world.code_for(ADA)
    body = await browser.post(f"{path}/attempt_first_factor", strategy="reset_password_email_code", code=code)
    assert (body["response"]["status"], body["client"]["sessions"]) == ("needs_new_password", [])
    refused = await browser.post(f"{path}/reset_password", 422, password="12345678")
    assert error_codes(refused) == ["form_password_not_strong_enough"]
    body = await browser.post(f"{path}/reset_password", password="another harbour, at dawn")
    assert body["response"]["status"] == "complete"
    assert (await elsewhere.get("/v1/client"))["response"]["sessions"] == []
    await world.browser().post(SIGN_INS, 422, identifier=ADA, password=PASSWORD)
    await world.browser().sign_in(ADA, "another harbour, at dawn")
    assert "password_changed" in await world.kinds_mailed_to(ADA)


async def test_a_new_password_cannot_be_chosen_ten_minutes_after_the_reset_code(world: World):
    await world.signed_up(ADA)
    browser = world.browser()
    path = f"{SIGN_INS}/{(await browser.post(SIGN_INS, identifier=ADA))['response']['id']}"
    await browser.post(f"{path}/prepare_first_factor", strategy="reset_password_email_code")
    code = await world.code_for(ADA)
    await browser.post(f"{path}/attempt_first_factor", strategy="reset_password_email_code", code=code)
    world.clock.advance(600_000)
    body = await browser.post(f"{path}/reset_password", 400, password="another harbour, at dawn")
    assert error_codes(body) == ["client_state_invalid"]


@pytest.mark.conformance("clerk-frontend", 84)
async def test_an_empty_create_waits_for_an_identifier(world: World):
    body = await world.browser().post(SIGN_INS)
    assert body["response"]["status"] == "needs_identifier"
    assert body["response"]["supported_first_factors"] is None


@pytest.mark.conformance("clerk-frontend", 82)
@pytest.mark.parametrize("identifier", [ADA, "nobody@example.com"])
async def test_a_hundred_wrong_passwords_lock_the_identifier_for_an_hour_known_or_not(
    world: World, identifier: str
):
    await world.signed_up(ADA)

    def fail_often(tx: Tx) -> None:
        for _ in range(99):
            world.identity.restrictions.count_failure(tx, identifier, world.clock.now)

    await world.database.write(fail_often)
    world.clock.advance(61_000)
    await world.browser().post(SIGN_INS, 422, identifier=identifier, password="wrong password")
    body = await world.browser().post(SIGN_INS, 403, identifier=identifier, password=PASSWORD)
    assert error_codes(body) == ["user_locked"]
    assert body["errors"][0]["meta"]["lockout_expires_in_seconds"] == 3600
    world.clock.advance(3_600_000)
    status = 200 if identifier == ADA else 422
    await world.browser().post(SIGN_INS, status, identifier=identifier, password=PASSWORD)


async def test_repeated_wrong_passwords_are_slowed_down_and_a_right_one_resets_the_count(world: World):
    await world.signed_up(ADA)
    for _ in range(5):
        await world.browser().post(SIGN_INS, 422, identifier=ADA, password="wrong password")
    response = await world.browser().http.post(SIGN_INS, data={"identifier": ADA, "password": PASSWORD})
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    world.clock.advance(1_000)
    await world.browser().sign_in(ADA)
    await world.browser().post(SIGN_INS, 422, identifier=ADA, password="wrong password")
    await world.browser().sign_in(ADA)


@pytest.mark.conformance("clerk-frontend", 83)
async def test_a_banned_person_is_refused_and_their_sessions_are_over(world: World):
    browser = await world.signed_up(ADA)
    session = await browser.session()
    await world.identity.accounts.ban(session["user"]["id"], actor=None)
    body = await browser.post(f"/v1/client/sessions/{session['id']}/tokens", 401)
    assert error_codes(body) == ["authentication_invalid"]
    assert (await browser.get("/v1/client"))["response"]["sessions"] == []
    body = await world.browser().post(SIGN_INS, 403, identifier=ADA, password=PASSWORD)
    assert error_codes(body) == ["user_banned"]
    wrong = await world.browser().post(SIGN_INS, 422, identifier=ADA, password="wrong password")
    assert error_codes(wrong) == ["form_password_or_identifier_incorrect"]
    await world.identity.accounts.unban(session["user"]["id"], actor=None)
    await world.browser().sign_in(ADA)


async def test_a_locked_account_gets_no_new_session_until_its_time_is_over(world: World):
    browser = await world.signed_up(ADA)
    await world.identity.accounts.lock(await browser.user_id(), until=world.clock.now + 60_000, actor=None)
    body = await world.browser().post(SIGN_INS, 403, identifier=ADA, password=PASSWORD)
    assert error_codes(body) == ["user_locked"]
    world.clock.advance(60_000)
    await world.browser().sign_in(ADA)


async def test_a_password_hashed_with_weaker_parameters_is_hashed_anew_at_sign_in(world: World):
    await world.signed_up(ADA)
    world.identity.sign_in._hasher = stronger = PasswordHasher(workers=1, time_cost=2, memory_kib=128)
    await world.browser().sign_in(ADA)
    account = await world.database.read(lambda tx: find_by_verified_email(tx, ADA))
    assert account is not None
    assert account.user.password_hash is not None
    assert "m=128,t=2,p=1" in account.user.password_hash
    await world.browser().sign_in(ADA)
    stronger.close()


async def test_the_sixth_sign_in_in_ten_seconds_from_one_address_has_to_wait(make_world: MakeWorld):
    world = await make_world(limits=RateLimits())
    browser = world.browser()
    for _ in range(5):
        await browser.post(SIGN_INS)
    response = await browser.http.post(SIGN_INS)
    assert (response.status_code, response.headers["retry-after"]) == (429, "2")


@pytest.mark.conformance("clerk-frontend", 168)
async def test_no_code_is_special_for_test_addresses(world: World):
    browser = world.browser()
    body = await browser.post(
        "/v1/client/sign_ups", email_address="x+clerk_test@example.com", password=PASSWORD
    )
    path = f"/v1/client/sign_ups/{body['response']['id']}"
    await browser.post(f"{path}/prepare_verification", strategy="email_code")
    if await world.code_for("x+clerk_test@example.com") != "424242":
        await browser.post(f"{path}/attempt_verification", 422, strategy="email_code", code="424242")
