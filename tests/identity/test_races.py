"""What must happen once happens once, however many ask at the same moment."""

from __future__ import annotations

import asyncio

import pytest

from tests.identity.conftest import PASSWORD, World
from tests.identity.test_devices import DEVICE_CODE, ELSEWHERE, person, start

pytestmark = pytest.mark.anyio

MANY = 8


async def test_one_of_many_redemptions_of_a_code_gets_tokens_and_the_others_revoke_them(world: World):
    browser = await world.signed_up()
    code = await browser.authorization_code()
    responses = await asyncio.gather(*(browser.redeem(code) for _ in range(MANY)))
    winners = [response for response in responses if response.status_code == 200]
    assert len(winners) == 1
    assert all(r.json()["error"] == "invalid_grant" for r in responses if r.status_code != 200)
    assert (await browser.refresh(winners[0].json()["refresh_token"])).json()["error"] == "invalid_grant"


async def test_refreshing_at_once_gives_every_caller_a_token_of_one_family(world: World):
    browser = await world.signed_up()
    token = (await browser.tokens())["refresh_token"]
    responses = await asyncio.gather(*(browser.refresh(token) for _ in range(MANY)))
    assert {response.status_code for response in responses} == {200}
    successors = [response.json()["refresh_token"] for response in responses]
    assert len(set(successors)) == MANY
    world.clock.advance(60_001)
    assert (await browser.refresh(token)).status_code == 400
    assert {(await browser.refresh(successor)).status_code for successor in successors} == {400}


async def test_an_administrators_link_makes_one_administrator(world: World):
    url = await world.identity.administrator_invitation()
    assert url is not None
    ticket = url.rpartition("=")[2]
    finishes = []
    for number in range(4):
        browser, address = world.browser(), f"root{number}@example.com"
        body = await browser.post(
            "/v1/client/sign_ups", strategy="ticket", ticket=ticket, email_address=address, password=PASSWORD
        )
        path = f"/v1/client/sign_ups/{body['response']['id']}"
        await browser.post(f"{path}/prepare_verification", strategy="email_code")
        form = {"strategy": "email_code", "code": await world.code_for(address)}
        finishes.append(browser.http.post(f"{path}/attempt_verification", data=form))
    responses = await asyncio.gather(*finishes)
    assert sorted(response.status_code for response in responses) == [200, 400, 400, 400]
    count = await world.database.read(
        lambda tx: tx.fetch_one("SELECT COUNT(*) FROM identity_users WHERE is_administrator = ?", (True,))
    )
    assert count == (1,)


async def test_parallel_guesses_at_a_code_get_no_more_attempts_than_one_after_another(world: World):
    browser = world.browser()
    body = await browser.post("/v1/client/sign_ups", email_address="ada@example.com", password=PASSWORD)
    path = f"/v1/client/sign_ups/{body['response']['id']}"
    await browser.post(f"{path}/prepare_verification", strategy="email_code")
    code = int(await world.code_for("ada@example.com"))
    guesses = [f"{(code + step) % 1_000_000:06d}" for step in range(1, 13)]
    responses = await asyncio.gather(
        *(
            browser.http.post(f"{path}/attempt_verification", data={"strategy": "email_code", "code": guess})
            for guess in guesses
        )
    )
    codes = [response.json()["errors"][0]["code"] for response in responses]
    assert codes.count("form_code_incorrect") == 5
    assert codes.count("verification_failed") == 7


async def test_a_right_code_sent_twice_at_once_makes_one_account(world: World):
    browser = world.browser()
    body = await browser.post("/v1/client/sign_ups", email_address="ada@example.com", password=PASSWORD)
    path = f"/v1/client/sign_ups/{body['response']['id']}"
    await browser.post(f"{path}/prepare_verification", strategy="email_code")
    form = {"strategy": "email_code", "code": await world.code_for("ada@example.com")}
    responses = await asyncio.gather(
        *(browser.http.post(f"{path}/attempt_verification", data=form) for _ in range(4))
    )
    assert [response.status_code for response in responses].count(200) == 1
    assert await world.database.read(lambda tx: tx.fetch_one("SELECT COUNT(*) FROM identity_users")) == (1,)


async def test_two_browsers_proving_one_address_at_once_make_one_account(world: World):
    finishes = []
    for _ in range(3):
        browser = world.browser()
        body = await browser.post("/v1/client/sign_ups", email_address="ada@example.com", password=PASSWORD)
        path = f"/v1/client/sign_ups/{body['response']['id']}"
        await browser.post(f"{path}/prepare_verification", strategy="email_code")
        form = {"strategy": "email_code", "code": await world.code_for("ada@example.com")}
        finishes.append(browser.http.post(f"{path}/attempt_verification", data=form))
    responses = await asyncio.gather(*finishes)
    assert sorted(response.status_code for response in responses) == [200, 400, 400]
    assert await world.database.read(lambda tx: tx.fetch_one("SELECT COUNT(*) FROM identity_users")) == (1,)


async def test_an_approved_device_is_collected_once(world: World):
    machine, body = await start(world)
    await world.identity.devices.decide(await person(world), ELSEWHERE, body["user_code"], approve=True)
    form = {"grant_type": DEVICE_CODE, "device_code": body["device_code"], "client_id": "doorward-cli"}
    responses = await asyncio.gather(*(machine.http.post("/oauth/token", data=form) for _ in range(MANY)))
    assert [response.status_code for response in responses].count(200) == 1


async def test_parallel_requests_share_one_limit(world: World):
    from doorward.identity import RateLimit
    from doorward.identity.errors import Refused

    limit = RateLimit(5, 10_000)

    async def spend() -> bool:
        try:
            await world.identity.restrictions.spend("race", "203.0.113.7", limit)
        except Refused:
            return False
        return True

    assert sum(await asyncio.gather(*(spend() for _ in range(20)))) == 5


async def test_rotating_keys_on_two_nodes_at_once_leaves_one_active_and_one_next(world: World):
    keys = world.identity.signing_keys
    await keys.prepare_next()
    world.clock.advance(600_000)
    await asyncio.gather(*(keys.rotate(force=True) for _ in range(2)), return_exceptions=True)
    await asyncio.gather(keys.prepare_next(), keys.prepare_next())
    rows = await world.database.read(
        lambda tx: tx.fetch_all("SELECT state, COUNT(*) FROM identity_signing_keys GROUP BY state")
    )
    states = dict(rows)
    assert (states["active"], states["next"]) == (1, 1)
