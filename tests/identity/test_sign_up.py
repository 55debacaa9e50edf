"""Signing up, as Clerk's SDK does it."""

from __future__ import annotations

import pytest

from doorward.identity.accounts.store import find_by_verified_email
from doorward.identity.invitations.service import InvitationWish
from tests.identity.conftest import ORIGIN, PASSWORD, MakeWorld, World, error_codes

pytestmark = pytest.mark.anyio

SIGN_UPS = "/v1/client/sign_ups"


async def start(world: World, address: str = "ada@example.com", **fields: str):
    browser = world.browser()
    body = await browser.post(SIGN_UPS, email_address=address, **{"password": PASSWORD, **fields})
    return browser, body, f"{SIGN_UPS}/{body['response']['id']}"


async def invited(world: World, address: str) -> str:
    """The link that was mailed."""
    (made,) = await world.identity.invitations.create([InvitationWish(address)], actor="sk_x")
    return made.url


@pytest.mark.conformance("clerk-frontend", 51, 52)
async def test_a_new_sign_up_waits_for_its_address_to_be_proved_and_asks_for_a_code_first(world: World):
    _, body, _ = await start(world)
    sign_up = body["response"]
    assert sign_up["object"] == "sign_up_attempt"
    assert sign_up["status"] == "missing_requirements"
    assert sign_up["missing_fields"] == []
    assert sign_up["unverified_fields"] == ["email_address"]
    assert sign_up["verifications"]["email_address"] == {
        "next_action": "needs_prepare",
        "supported_strategies": ["email_code"],
    }
    assert body["client"]["sign_up"]["id"] == sign_up["id"]
    assert body["client"]["sessions"] == []


@pytest.mark.conformance("clerk-frontend", 54)
async def test_preparing_mails_a_code_that_lasts_ten_minutes(world: World):
    browser, _, path = await start(world)
    body = await browser.post(f"{path}/prepare_verification", strategy="email_code")
    assert body["response"]["verifications"]["email_address"] == {
        "next_action": "needs_attempt",
        "supported_strategies": ["email_code"],
        "object": "verification_otp",
        "status": "unverified",
        "strategy": "email_code",
        "attempts": 0,
        "expire_at": world.clock.now + 600_000,
    }
    assert len(await world.code_for("ada@example.com")) == 6


@pytest.mark.conformance("clerk-frontend", 37, 38)
async def test_the_right_code_makes_the_account_and_signs_in(world: World):
    browser = world.browser()
    done = await browser.sign_up("ada@example.com", first_name="Ada", last_name="Lovelace")
    sign_up, client = done["response"], done["client"]
    session = client["sessions"][0]
    assert sign_up["created_user_id"] == session["user"]["id"]
    assert sign_up["created_session_id"] == session["id"] == client["last_active_session_id"]
    assert session["user"]["first_name"] == "Ada"
    assert session["user"]["email_addresses"][0]["verification"]["status"] == "verified"
    assert int(browser.http.cookies["__client_uat"]) == client["updated_at"] // 1000
    from tests.identity.conftest import claims_of

    assert claims_of(session["last_active_token"]["jwt"])["iat"] >= client["updated_at"] // 1000


@pytest.mark.conformance("clerk-frontend", 56, 57)
async def test_wrong_codes_are_counted_and_the_sixth_attempt_is_refused_even_with_the_right_code(
    world: World,
):
    browser, _, path = await start(world)
    await browser.post(f"{path}/prepare_verification", strategy="email_code")
    code = await world.code_for("ada@example.com")
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for _ in range(5):
        body = await browser.post(f"{path}/attempt_verification", 422, strategy="email_code", code=wrong)
        assert error_codes(body) == ["form_code_incorrect"]
        assert body["errors"][0]["meta"]["param_name"] == "code"
    body = await browser.post(f"{path}/attempt_verification", 400, strategy="email_code", code=code)
    assert error_codes(body) == ["verification_failed"]


@pytest.mark.conformance("clerk-frontend", 58)
async def test_an_expired_code_is_refused(world: World):
    browser, _, path = await start(world)
    await browser.post(f"{path}/prepare_verification", strategy="email_code")
    code = await world.code_for("ada@example.com")
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    world.clock.advance(599_999)
    body = await browser.post(f"{path}/attempt_verification", 422, strategy="email_code", code=wrong)
    assert error_codes(body) == ["form_code_incorrect"]
    world.clock.advance(1)
    body = await browser.post(f"{path}/attempt_verification", 400, strategy="email_code", code=code)
    assert error_codes(body) == ["verification_expired"]


@pytest.mark.conformance("clerk-frontend", 59)
async def test_an_attempt_before_a_code_was_asked_for_is_refused(world: World):
    browser, _, path = await start(world)
    body = await browser.post(f"{path}/attempt_verification", 400, strategy="email_code", code="123456")
    assert error_codes(body) == ["verification_missing"]


@pytest.mark.conformance("clerk-frontend", 60)
async def test_asking_again_within_thirty_seconds_is_too_soon_and_says_when(world: World):
    browser, _, path = await start(world)
    await browser.post(f"{path}/prepare_verification", strategy="email_code")
    world.clock.advance(10_000)
    response = await browser.http.post(f"{path}/prepare_verification", data={"strategy": "email_code"})
    assert response.status_code == 429
    assert error_codes(response.json()) == ["verification_code_too_many_requests"]
    assert response.headers["retry-after"] == "20"


async def test_asking_again_voids_the_earlier_code(world: World):
    browser, _, path = await start(world)
    await browser.post(f"{path}/prepare_verification", strategy="email_code")
    first = await world.code_for("ada@example.com")
    second = first
    while second == first:
        world.clock.advance(30_000)
        await browser.post(f"{path}/prepare_verification", strategy="email_code")
        second = await world.code_for("ada@example.com")
    body = await browser.post(f"{path}/attempt_verification", 422, strategy="email_code", code=first)
    assert error_codes(body) == ["form_code_incorrect"]
    await browser.post(f"{path}/attempt_verification", strategy="email_code", code=second)


async def test_a_code_of_one_attempt_is_worth_nothing_in_another(world: World):
    first, _, first_path = await start(world, "ada@example.com")
    second, _, second_path = await start(world, "eve@example.com")
    await first.post(f"{first_path}/prepare_verification", strategy="email_code")
    await second.post(f"{second_path}/prepare_verification", strategy="email_code")
    code = await world.code_for("eve@example.com")
    if code != await world.code_for("ada@example.com"):
        await first.post(f"{first_path}/attempt_verification", 422, strategy="email_code", code=code)


async def test_a_taken_address_is_not_told_and_its_owner_gets_a_mail_instead_of_a_code(world: World):
    await world.signed_up("ada@example.com")
    browser, body, path = await start(world, "ada@example.com")
    free_browser, free, free_path = await start(world, "free@example.com")
    for key in ("status", "missing_fields", "unverified_fields", "verifications"):
        assert body["response"][key] == free["response"][key]
    prepared = await browser.post(f"{path}/prepare_verification", strategy="email_code")
    free_prepared = await free_browser.post(f"{free_path}/prepare_verification", strategy="email_code")
    assert prepared["response"]["verifications"] == free_prepared["response"]["verifications"]
    mailed = await world.kinds_mailed_to("ada@example.com")
    assert sorted(mailed) == ["account_exists", "verification_code"]  # the code is of ada's own sign-up
    refused = await browser.post(f"{path}/attempt_verification", 422, strategy="email_code", code="000000")
    assert error_codes(refused) == ["form_code_incorrect"]


@pytest.mark.conformance("clerk-frontend", 61)
async def test_where_accounts_are_not_hidden_a_taken_address_is_told(make_world: MakeWorld):
    world = await make_world(hide_accounts=False)
    await world.signed_up("ada@example.com")
    body = await world.browser().post(SIGN_UPS, 422, email_address="Ada@Example.com", password=PASSWORD)
    assert error_codes(body) == ["form_identifier_exists"]
    assert body["errors"][0]["meta"]["param_name"] == "email_address"


@pytest.mark.conformance("clerk-frontend", 62, 63, 164, 165)
async def test_every_wrong_field_is_named_in_one_answer_of_clerks_shape(world: World):
    response = await world.browser().http.post(
        SIGN_UPS, data={"email_address": "not an address", "password": "short"}
    )
    assert response.status_code == 422
    body = response.json()
    assert error_codes(body) == ["form_param_format_invalid", "form_password_length_too_short"]
    assert [error["meta"]["param_name"] for error in body["errors"]] == ["email_address", "password"]
    assert all({"message", "long_message", "code", "meta"} == set(error) for error in body["errors"])
    assert body["errors"][0]["long_message"] == "email_address must be a valid email address."
    assert len(body["clerk_trace_id"]) == 32
    assert response.headers["x-clerk-trace-id"] == body["clerk_trace_id"]


@pytest.mark.conformance("clerk-frontend", 15, 64)
async def test_empty_names_and_unknown_parameters_are_no_errors(world: World):
    browser, body, _ = await start(
        world, first_name="", last_name="", timezone="UTC", locale="en-US", captcha_token="x"
    )
    assert (body["response"]["first_name"], body["response"]["last_name"]) == (None, None)
    assert browser.http.cookies.get("__client")


@pytest.mark.conformance("clerk-frontend", 65, 66)
async def test_a_blank_attempt_is_completed_step_by_step(world: World):
    browser = world.browser()
    body = await browser.post(SIGN_UPS)
    assert body["response"]["missing_fields"] == ["email_address", "password"]
    path = f"{SIGN_UPS}/{body['response']['id']}"
    body = await browser.post(f"{path}?_method=PATCH", email_address="ada@example.com")
    assert body["response"]["missing_fields"] == ["password"]
    await browser.post(f"{path}/prepare_verification", strategy="email_code")
    code = await world.code_for("ada@example.com")
    body = await browser.post(f"{path}/attempt_verification", strategy="email_code", code=code)
    assert (body["response"]["status"], body["response"]["unverified_fields"]) == ("missing_requirements", [])
    body = await browser.post(f"{path}?_method=PATCH", password=PASSWORD)
    assert body["response"]["status"] == "complete"


async def test_changing_the_address_makes_it_unproved_again_and_voids_the_code(world: World):
    browser = world.browser()
    path = f"{SIGN_UPS}/{(await browser.post(SIGN_UPS, email_address='mine@example.com'))['response']['id']}"
    await browser.post(f"{path}/prepare_verification", strategy="email_code")
    code = await world.code_for("mine@example.com")
    await browser.post(f"{path}/attempt_verification", strategy="email_code", code=code)
    body = await browser.post(f"{path}?_method=PATCH", email_address="victim@example.com", password=PASSWORD)
    assert body["response"]["unverified_fields"] == ["email_address"]
    assert body["response"]["verifications"]["email_address"]["next_action"] == "needs_prepare"


@pytest.mark.conformance("clerk-frontend", 67)
async def test_another_browsers_attempt_is_not_found(world: World):
    _, _, path = await start(world)
    stranger, _, _ = await start(world, "eve@example.com")
    assert error_codes(await stranger.get(path, 404)) == ["resource_not_found"]
    await stranger.post(f"{path}/attempt_verification", 404, strategy="email_code", code="123456")


@pytest.mark.conformance("clerk-frontend", 70)
async def test_unsafe_metadata_given_as_json_text_ends_up_on_the_user(world: World):
    browser = world.browser()
    done = await browser.sign_up("ada@example.com", unsafe_metadata='{"plan": {"size": 3}}')
    assert done["client"]["sessions"][0]["user"]["unsafe_metadata"] == {"plan": {"size": 3}}
    body = await world.browser().post(SIGN_UPS, 422, unsafe_metadata="[1]")
    assert error_codes(body) == ["form_param_format_invalid"]
    nested = '{"a":' * 3_000 + "1" + "}" * 3_000
    body = await world.browser().post(SIGN_UPS, 422, unsafe_metadata=nested)
    assert body["errors"][0]["meta"]["param_name"] == "unsafe_metadata"


async def test_someone_signed_in_cannot_start_a_sign_up(world: World):
    browser = await world.signed_up()
    assert error_codes(await browser.post(SIGN_UPS, 400)) == ["session_exists"]


@pytest.mark.conformance("clerk-frontend", 106, 107)
async def test_invite_only_turns_strangers_away_and_lets_known_people_sign_in(make_world: MakeWorld):
    world = await make_world(sign_up="invite-only")
    url = await world.identity.administrator_invitation()
    assert url is not None
    ticket = url.removeprefix(f"{ORIGIN}/sign-up?__clerk_ticket=")
    await world.browser().sign_up("ada@example.com", strategy="ticket", ticket=ticket)
    stranger = world.browser()
    body = await stranger.post(SIGN_UPS, 403, email_address="eve@example.com", password=PASSWORD)
    assert error_codes(body) == ["sign_up_mode_restricted"]
    await stranger.post(SIGN_UPS)
    assert (await world.browser().sign_in("ada@example.com"))["response"]["status"] == "complete"


@pytest.mark.conformance("clerk-frontend", 68, 108)
async def test_a_mailed_invitation_lets_its_address_in_without_a_code(make_world: MakeWorld):
    world = await make_world(sign_up="invite-only")
    url = await invited(world, "bob@example.com")
    ticket = url.rpartition("=")[2]
    browser = world.browser()
    body = await browser.post(
        SIGN_UPS, strategy="ticket", ticket=ticket, email_address="other@example.com", password=PASSWORD
    )
    assert body["response"]["status"] == "complete"
    assert body["client"]["sessions"][0]["user"]["email_addresses"][0]["email_address"] == "bob@example.com"
    again = await world.browser().post(SIGN_UPS, 400, strategy="ticket", ticket=ticket, password=PASSWORD)
    assert error_codes(again) == ["invitation_already_accepted"]


@pytest.mark.conformance("clerk-frontend", 69)
async def test_a_made_up_a_revoked_and_an_expired_ticket_are_refused_by_their_own_codes(world: World):
    body = await world.browser().post(SIGN_UPS, 400, strategy="ticket", ticket="made-up")
    assert error_codes(body) == ["ticket_invalid_code"]
    (gone,) = await world.identity.invitations.create([InvitationWish("eve@example.com")], actor="sk_x")
    await world.identity.invitations.revoke(gone.invitation.id, actor="sk_x")
    body = await world.browser().post(SIGN_UPS, 400, strategy="ticket", ticket=gone.ticket)
    assert error_codes(body) == ["revoked_invitation"]
    url = await invited(world, "bob@example.com")
    world.clock.advance(30 * 86_400_000)
    body = await world.browser().post(SIGN_UPS, 400, strategy="ticket", ticket=url.rpartition("=")[2])
    assert error_codes(body) == ["ticket_expired_code"]


async def test_the_first_administrator_is_made_by_the_newest_link_alone_and_then_there_is_no_link(
    world: World,
):
    first = await world.identity.administrator_invitation()
    second = await world.identity.administrator_invitation()
    assert first is not None
    assert second is not None
    body = await world.browser().post(SIGN_UPS, 400, strategy="ticket", ticket=first.rpartition("=")[2])
    assert error_codes(body) == ["ticket_invalid_code"]
    async with world.database.subscribe("identity.administrator_created") as events:
        done = await world.browser().sign_up(
            "root@example.com", strategy="ticket", ticket=second.rpartition("=")[2]
        )
        assert await anext(events) == done["response"]["created_user_id"]
    assert await world.identity.administrator_invitation() is None
    account = await world.database.read(lambda tx: find_by_verified_email(tx, "root@example.com"))
    assert account is not None
    assert account.user.is_administrator


async def test_an_ordinary_sign_up_makes_no_administrator(world: World):
    await world.signed_up()
    account = await world.database.read(lambda tx: find_by_verified_email(tx, "ada@example.com"))
    assert account is not None
    assert not account.user.is_administrator
    assert await world.identity.administrator_invitation() is not None


@pytest.mark.conformance("clerk-frontend", 166)
async def test_the_sixth_sign_up_in_ten_seconds_from_one_address_has_to_wait(make_world: MakeWorld):
    from doorward.identity import RateLimits

    world = await make_world(limits=RateLimits())
    browser = world.browser()
    for _ in range(5):
        await browser.post(SIGN_UPS)
    response = await browser.http.post(SIGN_UPS)
    assert response.status_code == 429
    assert error_codes(response.json()) == ["too_many_requests"]
    assert int(response.headers["retry-after"]) == 2
    await world.browser(ip="198.51.100.1").post(SIGN_UPS)
    world.clock.advance(2_000)
    await browser.post(SIGN_UPS)
