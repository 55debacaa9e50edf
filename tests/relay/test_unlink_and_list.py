"""Ending links, and what the list tells."""

import json

import pytest

from doorward.jose import generate_key
from tests.relay.world import World

pytestmark = pytest.mark.anyio

UNLINK = "/v1/client/environment-links/env-1"


async def unlink(world: World, user_id: str = "user_alice") -> dict[str, bool]:
    answer = await world.http.delete(UNLINK, headers=world.bearer(user_id))
    assert answer.status_code == 200
    body: dict[str, bool] = answer.json()
    return body


@pytest.mark.conformance("connect-relay", 72, 74, 115)
async def test_unlinking_ends_only_the_callers_link(world: World) -> None:
    mine, theirs = await world.link("user_alice"), await world.link("user_bob")
    assert mine["endpoint"] != theirs["endpoint"]
    assert mine["endpointRuntime"]["tunnelId"] != theirs["endpointRuntime"]["tunnelId"]
    assert await unlink(world, "user_carol") == {"ok": False}
    assert await unlink(world, "user_alice") == {"ok": True}
    assert await unlink(world, "user_alice") == {"ok": False}
    active = await world.rows("SELECT user_id FROM relay_environment_links WHERE revoked_at IS NULL")
    assert active == [("user_bob",)]


@pytest.mark.conformance("connect-relay", 73)
async def test_credentials_of_a_key_end_with_its_last_link(world: World) -> None:
    async def active() -> int:
        rows = await world.rows("SELECT 1 FROM relay_environment_credentials WHERE revoked_at IS NULL")
        return len(rows)

    await world.link("user_alice")
    await world.link("user_bob")
    assert await active() == 1
    await unlink(world, "user_alice")
    assert await active() == 1
    await unlink(world, "user_bob")
    assert await active() == 0


async def test_a_key_of_another_account_is_left_alone(world: World) -> None:
    await world.link("user_alice")
    world.environment.key = generate_key("EdDSA")
    await world.link("user_bob")
    await unlink(world, "user_alice")
    rows = await world.rows("SELECT user_id FROM relay_environment_credentials WHERE revoked_at IS NULL")
    assert rows == [("user_bob",)]


async def test_unlinking_closes_the_tunnel_and_frees_the_names_in_the_same_moment(world: World) -> None:
    linked = await world.link()
    tunnel_id = linked["endpointRuntime"]["tunnelId"]
    credential = {"authorization": f"Bearer {linked['environmentCredential']}"}
    await world.http.put("/v1/environments/env-1/services/notes", headers=credential)
    assert await world.relay.resolve_host("notes.env.localhost:8080") is not None
    async with (
        world.database.subscribe("relay.tunnel") as closings,
        world.database.subscribe("relay.hostnames") as names,
    ):
        await unlink(world)
        assert json.loads(await anext(closings)) == {"environmentId": tunnel_id, "generation": 2}
        assert await anext(names) == tunnel_id
    assert await world.relay.resolve_host("notes.env.localhost:8080") is None
    assert await world.relay.hostnames(tunnel_id) == ()
    assert (await world.http.get("/v1/environments/env-1/services", headers=credential)).status_code == 401


async def test_an_unlink_that_cannot_be_written_is_an_internal_error_and_changes_nothing(
    world: World,
) -> None:
    await world.link()
    await world.execute("ALTER TABLE relay_service_names RENAME TO gone")
    answer = await world.http.delete(UNLINK, headers=world.bearer())
    assert (answer.status_code, answer.json()["reason"]) == (500, "internal_error")
    await world.execute("ALTER TABLE gone RENAME TO relay_service_names")
    assert await unlink(world) == {"ok": True}


async def test_a_link_without_tunnel_closes_the_tunnel_of_the_one_before(world: World) -> None:
    linked = await world.link()
    async with world.database.subscribe("relay.tunnel") as closings:
        await world.link(managedTunnelsEnabled=False)
        assert json.loads(await anext(closings))["generation"] == 2
    assert await world.relay.hostnames(linked["endpointRuntime"]["tunnelId"]) == ()
    answer = await world.connect()
    assert answer.status_code == 403


@pytest.mark.conformance("connect-relay", 76)
async def test_the_list_shows_active_links_with_a_label_always(world: World) -> None:
    await world.link()
    world.environment.environment_id = "env-2"
    await world.link()
    await unlink(world)
    await world.execute("UPDATE relay_environment_links SET environment_label = '  '")
    listed = (await world.http.get("/v1/environments", headers=world.bearer())).json()["environments"]
    assert [(entry["environmentId"], entry["label"]) for entry in listed] == [("env-2", "env-2")]


async def test_the_list_tells_services_and_whether_the_tunnel_is_open_once_an_edge_says_so(
    world: World,
) -> None:
    linked = await world.link()
    credential = {"authorization": f"Bearer {linked['environmentCredential']}"}
    await world.http.put("/v1/environments/env-1/services/notes", headers=credential)

    async def entry() -> dict[str, object]:
        listed = await world.http.get("/v1/environments", headers=world.bearer())
        only: dict[str, object] = listed.json()["environments"][0]
        return only

    port = world.relay.settings.endpoint_port
    silent = await entry()
    assert "connected" not in silent
    assert silent["services"] == [{"name": "notes", "url": f"http://notes.env.localhost:{port}/"}]
    asked: list[str] = []
    world.relay.is_connected = lambda tunnel_id: bool(asked.append(tunnel_id)) or True
    assert (await entry())["connected"] is True
    assert asked == [linked["endpointRuntime"]["tunnelId"]]
    world.relay.is_connected = lambda _: False
    assert (await entry())["connected"] is False


@pytest.mark.conformance("connect-relay", 122)
async def test_the_device_list_holds_no_push_token(world: World) -> None:
    preferences = {
        "liveActivitiesEnabled": True,
        "notificationsEnabled": False,
        "notifyOnApproval": True,
        "notifyOnInput": True,
        "notifyOnCompletion": False,
        "notifyOnFailure": True,
    }
    for device, platform in (("phone", "ios"), ("tablet", "android")):
        await world.execute(
            "INSERT INTO relay_mobile_devices (user_id, device_id, label, platform, ios_major_version,"
            " app_version, push_token, push_to_start_token, preferences_json, created_at, updated_at)"
            " VALUES ('user_alice', ?, 'My phone', ?, 18, NULL, ?, ?, ?, 0, 1800000000000)",
            device,
            platform,
            f"push-secret-{device}",
            f"start-secret-{device}",
            json.dumps(preferences),
        )
    answer = await world.http.get("/v1/client/devices", headers=world.bearer())
    assert "secret" not in answer.text
    assert answer.json() == {
        "devices": [
            {
                "deviceId": "phone",
                "label": "My phone",
                "platform": "ios",
                "iosMajorVersion": 18,
                "appVersion": None,
                "notifications": {
                    "enabled": False,
                    "notifyOnApproval": True,
                    "notifyOnInput": True,
                    "notifyOnCompletion": False,
                    "notifyOnFailure": True,
                },
                "liveActivities": {"enabled": True},
                "updatedAt": "2027-01-15T08:00:00.000Z",
            }
        ]
    }
    assert (await world.http.get("/v1/client/devices", headers=world.bearer("user_bob"))).json() == {
        "devices": []
    }
