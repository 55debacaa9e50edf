"""Registering phones and browsers, and what is listed of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from doorward.relay.devices import store
from tests.push.services import Browser
from tests.relay.conftest import OpenWorld
from tests.relay.notified import ALL_ON, ANDROID, Notified, notifying
from tests.relay.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def notified(world: World, tmp_path: Path) -> AsyncIterator[Notified]:
    async with notifying(world, tmp_path) as running:
        yield running


async def tokens(notified: Notified) -> dict[tuple[str, str], tuple[Any, Any]]:
    rows = await notified.world.rows(
        "SELECT user_id, device_id, push_token, push_to_start_token FROM relay_mobile_devices"
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


@pytest.mark.conformance("connect-relay", 121)
async def test_a_push_token_belongs_to_the_device_that_registered_it_last(notified: Notified) -> None:
    await notified.phone("old", "user_alice", pushToken="p", pushToStartToken="s")
    await notified.phone("new", "user_bob", pushToken="p", pushToStartToken="s")
    assert await tokens(notified) == {("user_alice", "old"): (None, None), ("user_bob", "new"): ("p", "s")}
    await notified.begin_activity("old", "live", "user_alice")
    notified.world.clock.advance(1)
    await notified.begin_activity("new", "live", "user_bob")
    rows = await notified.world.rows(
        "SELECT user_id, activity_push_token, remote_started_at IS NULL, ended_at FROM relay_live_activities"
        " ORDER BY user_id"
    )
    now = notified.world.clock()
    assert [(row[0], row[1], bool(row[2]), row[3]) for row in rows] == [
        ("user_alice", None, True, now),
        ("user_bob", "live", False, None),
    ]


async def test_a_registration_without_tokens_keeps_them_and_changes_the_rest(notified: Notified) -> None:
    await notified.phone(pushToken="p", pushToStartToken="s", appVersion="1")
    await notified.register(label="Renamed", pushToken=None, preferences={"notifyOnInput": False})
    assert await tokens(notified) == {("user_alice", "phone"): ("p", "s")}
    [listed] = (await notified.world.http.get("/v1/client/devices", headers=notified.world.bearer())).json()[
        "devices"
    ]
    assert (listed["label"], listed["appVersion"]) == ("Renamed", None)
    assert listed["notifications"]["notifyOnInput"] is False


@pytest.mark.conformance("connect-relay", 122)
async def test_no_list_shows_a_push_token(notified: Notified) -> None:
    await notified.phone("ios-1", pushToken="secret-push", pushToStartToken="secret-start", appVersion="2.1")
    await notified.register(
        "droid", **{**ANDROID, "iosMajorVersion": None}, pushToken="secret-droid", label="Droid"
    )
    browser = await notified.browser()
    bearer = notified.world.bearer()
    first = await notified.world.http.get("/v1/client/devices", headers=bearer)
    notifications = {
        "enabled": True,
        "notifyOnApproval": True,
        "notifyOnInput": True,
        "notifyOnCompletion": True,
        "notifyOnFailure": True,
    }
    ios = {
        "deviceId": "ios-1",
        "label": "Phone",
        "platform": "ios",
        "iosMajorVersion": 18,
        "appVersion": "2.1",
        "notifications": notifications,
        "liveActivities": {"enabled": True},
        "updatedAt": "2027-01-15T08:00:00.000Z",
    }
    assert first.json() == {"devices": [ios]}
    second = await notified.world.http.get("/v2/client/devices", headers=bearer)
    droid = {
        **ios,
        "deviceId": "droid",
        "label": "Droid",
        "platform": "android",
        "iosMajorVersion": None,
        "androidApiLevel": 34,
        "appVersion": None,
    }
    found = sorted(second.json()["devices"], key=lambda device: device["deviceId"])
    assert found == [droid, {**ios, "androidApiLevel": None}]
    third = await notified.world.http.get("/v1/client/browsers", headers=bearer)
    assert [entry["deviceId"] for entry in third.json()["browsers"]] == ["laptop"]
    assert len(third.json()["applicationServerKey"]) == 87
    for answer in (first, second, third):
        assert answer.headers["cache-control"] == "no-store"
        for secret in ("secret", browser.endpoint, browser.subscription["keys"]["auth"]):
            assert secret not in answer.text


@pytest.mark.conformance("connect-relay", 123)
async def test_unregistering_forgets_the_callers_device_and_activity_alone(notified: Notified) -> None:
    for user_id in ("user_alice", "user_bob"):
        await notified.phone("phone", user_id, pushToken=f"p-{user_id}", pushToStartToken=None)
        await notified.begin_activity("phone", f"live-{user_id}", user_id)
    for _ in range(2):  # the second time nothing is left, which is as good
        answer = await notified.mobile("DELETE", "/v1/mobile/devices/phone")
        assert (answer.status_code, answer.json()) == (200, {"ok": True})
    for table in ("relay_mobile_devices", "relay_live_activities"):
        assert await notified.world.rows(f"SELECT user_id FROM {table}") == [("user_bob",)]


@pytest.mark.conformance("connect-relay", 124)
async def test_a_registration_stands_although_nothing_can_be_replayed(notified: Notified) -> None:
    await notified.link()
    await notified.publish("running")
    await notified.world.execute("ALTER TABLE relay_deliveries RENAME TO out_of_reach")
    await notified.phone()
    await notified.begin_activity()
    assert await tokens(notified) == {("user_alice", "phone"): ("push-phone", "start-phone")}


async def test_a_device_is_shown_at_once_what_goes_on(notified: Notified) -> None:
    await notified.link()
    await notified.publish("waiting_for_approval", threadTitle="Approve me")
    await notified.phone()
    await notified.deliver()
    [(token, payload)] = notified.apple()
    assert (token, payload["aps"]["event"]) == ("start-phone", "start")
    await notified.begin_activity()
    await notified.deliver()
    [_, (token, payload)] = notified.apple()
    assert (token, payload["aps"]["event"]) == ("live", "update")
    assert "Approve me" in payload["aps"]["content-state"]["props"]


@pytest.mark.conformance("connect-relay", 125)
@pytest.mark.parametrize(
    "changes",
    [
        {"iosMajorVersion": 17},
        {"iosMajorVersion": None},
        {"platform": "watch"},
        {"platform": "web"},
        {"label": "  "},
        {"apsEnvironment": "staging"},
        {**ANDROID},  # with iosMajorVersion of the default
        {**ANDROID, "iosMajorVersion": None, "androidApiLevel": 23},
        {**ANDROID, "iosMajorVersion": None, "androidApiLevel": None},
        {**ANDROID, "iosMajorVersion": None, "pushToStartToken": "s"},
        {**ANDROID, "iosMajorVersion": None, "apsEnvironment": "sandbox"},
        {"pushToken": 5},
    ],
)
async def test_what_is_no_device_is_outside_the_schema(
    open_wire: OpenWorld, tmp_path: Path, changes: dict[str, Any]
) -> None:
    async with notifying(await open_wire(), tmp_path) as notified:
        answer = await notified.register(**changes)
        assert (answer.status_code, answer.content) == (400, b"")


async def test_every_preference_has_to_be_said(open_wire: OpenWorld, tmp_path: Path) -> None:
    async with notifying(await open_wire(), tmp_path) as notified:
        for name in ALL_ON:
            answer = await notified.register(preferences={name: None})
            assert answer.status_code == 400


async def test_a_token_without_the_scope_registers_nothing(open_wire: OpenWorld, tmp_path: Path) -> None:
    async with notifying(await open_wire(), tmp_path) as notified:
        world = notified.world
        token = await world.token(scope="environment:connect")
        path = "/v1/mobile/devices"
        body = {
            "deviceId": "d",
            "label": "l",
            "platform": "ios",
            "iosMajorVersion": 18,
            "preferences": ALL_ON,
        }
        answer = await world.http.post(path, json=body, headers=world.dpop_headers(token, path))
        assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_dpop")
        assert answer.headers["www-authenticate"] == "DPoP"


async def test_a_proof_registers_once(open_wire: OpenWorld, tmp_path: Path) -> None:
    async with notifying(await open_wire(), tmp_path) as notified:
        world = notified.world
        token = await world.token(client_id="t3-mobile", scope="mobile:registration")
        path = "/v1/mobile/devices/phone"
        headers = world.dpop_headers(token, path)
        headers["dpop"] = world.proof("DELETE", path, token=token)
        assert (await world.http.delete(path, headers=headers)).status_code == 200
        again = await world.http.delete(path, headers=headers)
        assert again.json()["dpopFailureReason"] == "replay"


async def test_a_browser_is_registered_by_its_account_and_forgotten_by_it_alone(notified: Notified) -> None:
    await notified.phone()
    await notified.browser("user_alice")
    await notified.browser("user_bob")
    world = notified.world
    for path in ("laptop", "phone"):  # the second is a phone, and not to be forgotten this way
        answer = await world.http.delete(f"/v1/client/browsers/{path}", headers=world.bearer())
        assert answer.json() == {"ok": True}
    assert sorted(await tokens(notified)) == [("user_alice", "phone"), ("user_bob", "laptop")]


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "http://push.localhost/1"},
        {"endpoint": "https://push.localhost/1", "keys": {"p256dh": "AAAA", "auth": "AAAA"}},
        {"keys": None},
    ],
)
async def test_a_subscription_that_is_none_is_outside_the_schema(
    open_wire: OpenWorld, changes: dict[str, Any]
) -> None:
    world = await open_wire()
    subscription = {**Browser("https://push.example/1").subscription, **changes}
    body = {"deviceId": "d", "label": "l", "subscription": subscription, "preferences": ALL_ON}
    answer = await world.http.post("/v1/client/browsers", json=body, headers=world.bearer())
    assert (answer.status_code, answer.content) == (400, b"")


async def test_registrations_of_an_account_are_counted(open_wire: OpenWorld) -> None:
    from doorward.relay import RateLimits

    world = await open_wire(rate_limits=RateLimits(registrations=1))
    body = {
        "deviceId": "d",
        "label": "l",
        "subscription": Browser("https://push.example/1").subscription,
        "preferences": ALL_ON,
    }
    statuses = [
        (await world.http.post("/v1/client/browsers", json=body, headers=world.bearer())).status_code
        for _ in range(2)
    ]
    assert statuses == [200, 429]


async def test_the_oldest_of_too_many_devices_gives_way(
    notified: Notified, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_DEVICES", 2)
    for device_id in ("a", "b", "c"):
        notified.world.clock.advance(1)
        await notified.phone(device_id)
    assert sorted(await tokens(notified)) == [("user_alice", "b"), ("user_alice", "c")]


async def test_registrations_are_in_the_audit_trail_without_tokens(notified: Notified) -> None:
    await notified.phone(pushToken="secret-push")
    await notified.mobile("DELETE", "/v1/mobile/devices/phone")
    rows = await notified.world.rows(
        "SELECT actor, action, object, detail FROM relay_audit WHERE actor = 'user_alice' ORDER BY action"
    )
    assert rows == [
        ("user_alice", "device.registered", "phone", '{"platform":"ios"}'),
        ("user_alice", "device.unregistered", "phone", "{}"),
    ]
