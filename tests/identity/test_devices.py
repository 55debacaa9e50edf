"""The device authorization grant (RFC 8628): a machine asks, a person elsewhere answers."""

from __future__ import annotations

import re

import pytest

from doorward.identity import RateLimits
from doorward.identity.errors import Refused
from doorward.identity.visits import Visit
from tests.identity.conftest import ORIGIN, MakeWorld, World, claims_of

pytestmark = pytest.mark.anyio

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
ELSEWHERE = Visit(ip="198.51.100.1", user_agent="phone", origin=None, client=None)


async def start(world: World, **form: str):
    machine = world.browser(ip="192.0.2.44", origin=None)
    body = await machine.post(
        "/oauth/device_authorization", client_id="doorward-cli", scope="openid profile email", **form
    )
    return machine, body


async def poll(machine, device_code: str, client_id: str = "doorward-cli"):
    return await machine.http.post(
        "/oauth/token", data={"grant_type": DEVICE_CODE, "device_code": device_code, "client_id": client_id}
    )


async def person(world: World):
    browser = await world.signed_up()
    client = (await browser.get("/v1/client"))["response"]
    return (await world.identity.sessions.of_client(client["id"]))[0]


async def test_a_machine_gets_two_codes_and_where_to_go(world: World):
    _, body = await start(world)
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", body["user_code"])
    assert len(body["device_code"]) == 43
    assert body["verification_uri"] == f"{ORIGIN}/device"
    assert body["verification_uri_complete"] == f"{ORIGIN}/device?user_code={body['user_code']}"
    assert (body["expires_in"], body["interval"]) == (600, 5)


async def test_approval_gives_the_machine_its_tokens_once(world: World):
    machine, body = await start(world)
    assert (await poll(machine, body["device_code"])).json()["error"] == "authorization_pending"
    signed_in = await person(world)
    shown = await world.identity.devices.find(
        signed_in, ELSEWHERE, body["user_code"].lower().replace("-", " ")
    )
    assert (shown.client_name, shown.ip, shown.requested_at) == (
        "Doorward command line",
        "192.0.2.44",
        world.clock.now,
    )
    await world.identity.devices.decide(signed_in, ELSEWHERE, body["user_code"], approve=True)
    world.clock.advance(5_000)
    tokens = (await poll(machine, body["device_code"])).json()
    assert claims_of(tokens["access_token"])["sub"] == signed_in.user_id
    assert tokens["refresh_token"]
    assert (await machine.refresh(tokens["refresh_token"])).status_code == 200
    assert (await poll(machine, body["device_code"])).json()["error"] == "invalid_grant"


async def test_denial_is_told_to_the_machine(world: World):
    machine, body = await start(world)
    await world.identity.devices.decide(await person(world), ELSEWHERE, body["user_code"], approve=False)
    assert (await poll(machine, body["device_code"])).json()["error"] == "access_denied"


async def test_an_answer_is_final(world: World):
    _, body = await start(world)
    signed_in = await person(world)
    await world.identity.devices.decide(signed_in, ELSEWHERE, body["user_code"], approve=False)
    with pytest.raises(Refused) as refused:
        await world.identity.devices.decide(signed_in, ELSEWHERE, body["user_code"], approve=True)
    assert refused.value.status == 404


async def test_polling_too_often_slows_the_machine_down_by_five_seconds_each_time(world: World):
    machine, body = await start(world)
    code = body["device_code"]
    assert (await poll(machine, code)).json()["error"] == "authorization_pending"
    world.clock.advance(4_999)
    assert (await poll(machine, code)).json()["error"] == "slow_down"
    world.clock.advance(9_999)
    assert (await poll(machine, code)).json()["error"] == "slow_down"
    world.clock.advance(15_000)
    assert (await poll(machine, code)).json()["error"] == "authorization_pending"


async def test_after_ten_minutes_the_codes_are_expired_for_both_sides(world: World):
    machine, body = await start(world)
    signed_in = await person(world)
    world.clock.advance(600_000)
    assert (await poll(machine, body["device_code"])).json()["error"] == "expired_token"
    with pytest.raises(Refused) as refused:
        await world.identity.devices.find(signed_in, ELSEWHERE, body["user_code"])
    assert refused.value.errors[0].code == "resource_not_found"


async def test_a_banned_persons_approval_reaches_nobody(world: World):
    machine, body = await start(world)
    signed_in = await person(world)
    await world.identity.devices.decide(signed_in, ELSEWHERE, body["user_code"], approve=True)
    await world.identity.accounts.ban(signed_in.user_id, actor=None)
    assert (await poll(machine, body["device_code"])).json()["error"] == "invalid_grant"


async def test_a_device_code_belongs_to_its_client_and_the_gate_may_not_ask(world: World):
    machine, body = await start(world)
    assert (await poll(machine, body["device_code"], "doorward-gate")).json()[
        "error"
    ] == "unauthorized_client"
    refused = await machine.http.post("/oauth/device_authorization", data={"client_id": "doorward-gate"})
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    bad_scope = await machine.http.post(
        "/oauth/device_authorization", data={"client_id": "doorward-cli", "scope": "admin"}
    )
    assert bad_scope.json()["error"] == "invalid_scope"


async def test_guessing_user_codes_is_limited(make_world: MakeWorld):
    world = await make_world(limits=RateLimits())
    signed_in = await person(world)
    statuses = []
    for _ in range(7):
        with pytest.raises(Refused) as refused:
            await world.identity.devices.find(signed_in, ELSEWHERE, "BBBB-BBBB")
        statuses.append(refused.value.status)
    assert statuses == [404] * 5 + [429] * 2


async def test_asking_for_devices_is_limited_with_a_time_to_come_back(make_world: MakeWorld):
    world = await make_world(limits=RateLimits())
    for _ in range(10):
        await start(world)
    machine = world.browser(ip="192.0.2.44", origin=None)
    response = await machine.http.post("/oauth/device_authorization", data={"client_id": "doorward-cli"})
    assert response.status_code == 429
    assert response.json()["error"] == "temporarily_unavailable"
    assert int(response.headers["retry-after"]) == 6
