"""Endpoints by Cloudflare: what is called, in which order, and what a failure leaves behind."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from doorward.outbound import Outbound
from doorward.relay import RelaySettings
from doorward.relay.endpoints.cloudflare.api import CloudflareApi, CloudflareError
from doorward.relay.endpoints.leases import LEASE_MS
from doorward.relay.settings import CloudflareSettings
from tests.relay.cloudflare import NO_RECORD, NO_TUNNEL, Answer, FakeCloudflare, refusal, success
from tests.relay.conftest import OpenWorld
from tests.relay.world import PATIENT, World

pytestmark = pytest.mark.anyio

FRESH = [
    "list_tunnels",
    "create_tunnel",
    "put_configuration",
    "list_records",
    "create_record",
    "get_token",
]
BROKEN = refusal(500, 10001, "Internal server error")
ROW = "SELECT tunnel_id, dns_record_id, ready_at, leased_until FROM relay_managed_endpoint_allocations"


@pytest.fixture
async def wired(open_wire: OpenWorld) -> World:
    """For what depends on the calls alone; SQLite."""
    return await open_wire(provider="cloudflare")


def the_tunnel(cloudflare: FakeCloudflare) -> dict[str, Any]:
    (tunnel,) = cloudflare.tunnels.values()
    return tunnel


def the_record(cloudflare: FakeCloudflare) -> dict[str, Any]:
    (record,) = cloudflare.records.values()
    return record


async def linking(world: World) -> tuple[int, dict[str, Any]]:
    answer = await world.post_link(world.environment.link_proof(await world.challenge()))
    return answer.status_code, answer.json()


@pytest.mark.conformance("connect-relay", 103)
async def test_a_fresh_endpoint_takes_each_call_once_and_its_row_says_what_was_made(cloud: World) -> None:
    linked = await cloud.link()
    fake = cloud.cloudflare
    assert fake.calls == FRESH
    tunnel, record = the_tunnel(fake), the_record(fake)
    host = linked["endpoint"]["httpBaseUrl"].split("/")[2].split(":")[0]
    assert fake.ingress[tunnel["id"]] == [
        {"hostname": host, "service": "http://127.0.0.1:3773"},
        {"service": "http_status:404"},
    ]
    assert (record["type"], record["name"], record["proxied"], record["ttl"]) == ("CNAME", host, True, 1)
    assert record["content"] == f"{tunnel['id']}.cfargotunnel.com"
    assert linked["endpointRuntime"]["tunnelId"] == tunnel["id"]
    assert await cloud.rows(ROW) == [(tunnel["id"], record["id"], cloud.clock(), None)]
    stored = str(await cloud.rows("SELECT * FROM relay_managed_endpoint_allocations"))
    assert linked["endpointRuntime"]["connectorToken"] not in stored


@pytest.mark.conformance("connect-relay", 103)
@pytest.mark.parametrize(
    ("call", "written"),
    [
        ("list_tunnels", (False, False)),
        ("create_tunnel", (False, False)),
        ("put_configuration", (True, False)),
        ("create_record", (True, False)),
        ("get_token", (True, True)),
    ],
)
async def test_each_step_is_written_down_before_the_next_begins(
    wired: World, call: str, written: tuple[bool, bool]
) -> None:
    """The name is reserved before all of them; ready it is only after the last."""
    found = []

    async def look() -> None:
        [(tunnel_id, record_id, ready_at, _)] = await wired.rows(ROW)
        found.append((tunnel_id is not None, record_id is not None, ready_at))

    wired.cloudflare.on(call, look)
    await wired.link()
    assert found == [(*written, None)]


@pytest.mark.conformance("connect-relay", 105)
@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_an_ipv6_origin_is_bracketed(wired: World, host: str) -> None:
    origin = {"localHttpHost": host, "localHttpPort": 3773}
    answer = await wired.post_link(wired.environment.link_proof(await wired.challenge(), origin=origin))
    assert answer.status_code == 200
    (rules,) = wired.cloudflare.ingress.values()
    assert rules[0]["service"] == "http://[::1]:3773"


@pytest.mark.conformance("connect-relay", 107)
async def test_records_of_the_name_are_updated_and_only_one_is_kept(wired: World) -> None:
    fake = wired.cloudflare
    await wired.link()
    host = the_record(fake)["name"]
    await wired.unlink()
    old, twin = fake.add_record(host, "elsewhere.test"), fake.add_record(host, "nowhere.test")
    stranger = fake.add_record(f"x{host}", "other.test")
    fake.calls.clear()
    await wired.link()
    assert "create_record" not in fake.calls
    assert set(fake.records) == {old["id"], stranger["id"]}
    assert fake.records[old["id"]]["content"] == f"{the_tunnel(fake)['id']}.cfargotunnel.com"
    assert twin["id"] not in fake.records


@pytest.mark.conformance("connect-relay", 108)
async def test_a_second_provision_makes_nothing_new(cloud: World) -> None:
    await cloud.link()
    fake = cloud.cloudflare
    before = (the_tunnel(fake)["id"], the_record(fake)["id"])
    fake.calls.clear()
    await cloud.link()
    assert fake.calls == ["list_tunnels", "put_configuration", "update_record", "get_token"]
    assert (the_tunnel(fake)["id"], the_record(fake)["id"]) == before


@pytest.mark.conformance("connect-relay", 109)
async def test_a_remembered_record_that_is_gone_is_made_again(wired: World) -> None:
    await wired.link()
    fake = wired.cloudflare
    fake.records.clear()
    fake.calls.clear()
    await wired.link()
    assert fake.calls[2:5] == ["update_record", "list_records", "create_record"]
    assert await wired.rows("SELECT dns_record_id FROM relay_managed_endpoint_allocations") == [
        (the_record(fake)["id"],)
    ]


@pytest.mark.conformance("connect-relay", 111)
async def test_a_record_whose_creation_was_told_as_failed_is_adopted_once_visible(wired: World) -> None:
    fake = wired.cloudflare
    looks = 0

    async def created_but_told_as_failed() -> Answer:
        fake.add_record(names[0], "half.made")
        return BROKEN

    async def not_yet() -> Answer:
        nonlocal looks
        looks += 1
        return success([])

    await wired.link()
    names = [the_record(fake)["name"]]
    await wired.unlink()
    fake.on("create_record", created_but_told_as_failed)
    for _ in range(3):
        fake.on("list_records", not_yet)
    linked = await wired.link()
    assert looks == 3
    assert the_record(fake)["content"] == f"{linked['endpointRuntime']['tunnelId']}.cfargotunnel.com"


async def test_a_tunnel_that_somebody_else_made_just_now_is_taken(wired: World) -> None:
    fake = wired.cloudflare

    async def made_meanwhile() -> Answer | None:
        (name,) = (await wired.rows("SELECT tunnel_name FROM relay_managed_endpoint_allocations"))[0]
        fake.add_tunnel(name)
        return None

    fake.on("create_tunnel", made_meanwhile)
    linked = await wired.link()
    assert linked["endpointRuntime"]["tunnelId"] == the_tunnel(fake)["id"]


@pytest.mark.conformance("connect-relay", 66, 110, 112)
@pytest.mark.parametrize(
    ("call", "answer", "stage"),
    [
        ("list_tunnels", BROKEN, "ensure-tunnel"),
        ("create_tunnel", BROKEN, "ensure-tunnel"),
        ("create_tunnel", success({"id": "t-1", "name": "another"}), "validate-tunnel-response"),
        ("create_tunnel", success({"id": "", "name": "another"}), "validate-tunnel-response"),
        ("put_configuration", BROKEN, "configure-tunnel"),
        ("list_records", BROKEN, "ensure-dns-record"),
        ("update_record", refusal(400, 9005, "Content is invalid"), "ensure-dns-record"),
        ("get_token", BROKEN, "get-tunnel-token"),
        ("get_token", success({"not": "a token"}), "get-tunnel-token"),
        ("get_token", (200, ["not an envelope"]), "get-tunnel-token"),
    ],
)
async def test_a_failing_call_fails_its_stage_and_the_next_attempt_goes_on_from_there(
    wired: World, caplog: pytest.LogCaptureFixture, call: str, answer: Answer, stage: str
) -> None:
    fake = wired.cloudflare
    if call == "update_record":
        await wired.link()
    fake.fail(call, answer)
    status, body = await linking(wired)
    assert (status, body["reason"]) == (503, "managed_endpoint_provisioning_failed")
    assert f"{stage}: " in caplog.text
    assert fake.token not in caplog.text
    assert await wired.rows("SELECT leased_until FROM relay_managed_endpoint_allocations") == [(None,)]
    assert (await linking(wired))[0] == 200
    assert len(fake.tunnels) == len(fake.records) == 1


async def test_a_creation_that_failed_for_good_is_told_after_looking_again(wired: World) -> None:
    wired.cloudflare.fail("create_record", refusal(400, 9999, "Zone is locked"))
    status, body = await linking(wired)
    assert (status, body["reason"]) == (503, "managed_endpoint_provisioning_failed")
    assert wired.cloudflare.calls.count("list_records") == 6


@pytest.mark.conformance("connect-relay", 113)
async def test_ending_an_endpoint_removes_record_then_tunnel_then_what_the_row_remembers(
    cloud: World,
) -> None:
    fake = cloud.cloudflare
    assert (await cloud.unlink()).json() == {"ok": False}
    assert fake.calls == []
    await cloud.link()
    fake.connect(the_tunnel(fake)["id"])
    fake.calls.clear()
    assert (await cloud.unlink()).json() == {"ok": True}
    assert fake.calls == ["delete_record", "delete_tunnel", "clean_connections", "delete_tunnel"]
    assert fake.tunnels == fake.records == {}
    assert await cloud.rows(ROW) == [(None, None, None, None)]


@pytest.mark.conformance("connect-relay", 75, 114)
@pytest.mark.parametrize("call", ["delete_record", "delete_tunnel"])
async def test_a_failed_removal_ends_the_link_keeps_the_row_and_is_finished_by_a_retry(
    cloud: World, call: str
) -> None:
    fake = cloud.cloudflare
    await cloud.link()
    fake.fail(call, BROKEN)
    answer = await cloud.unlink()
    assert (answer.status_code, answer.json()["reason"]) == (500, "upstream_unavailable")
    assert (await cloud.http.get("/v1/environments", headers=cloud.bearer())).json() == {"environments": []}
    assert await cloud.rows("SELECT 1 FROM relay_environment_credentials WHERE revoked_at IS NULL") == []
    tunnel_id = the_tunnel(fake)["id"]
    assert (await cloud.rows(ROW))[0][0] == tunnel_id
    assert (await cloud.unlink()).json() == {"ok": False}
    assert fake.tunnels == fake.records == {}
    assert await cloud.rows(ROW) == [(None, None, None, None)]


@pytest.mark.conformance("connect-relay", 114)
async def test_what_is_already_gone_counts_as_removed(wired: World) -> None:
    await wired.link()
    wired.cloudflare.fail("delete_record", NO_RECORD)
    wired.cloudflare.fail("delete_tunnel", NO_TUNNEL)
    assert (await wired.unlink()).json() == {"ok": True}


Gate = tuple[asyncio.Event, asyncio.Event]


def hold(fake: FakeCloudflare, call: str) -> Gate:
    """(somebody is there, they may go on)."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def before() -> None:
        reached.set()
        await go_on.wait()

    fake.on(call, before)
    return reached, go_on


async def unlinking(world: World) -> "asyncio.Task[httpx.Response]":
    """An unlink that has ended the link and goes on to remove its endpoint."""
    async with world.database.subscribe("relay.hostnames") as names:
        unlink = asyncio.create_task(world.unlink())
        await anext(names)
    return unlink


@pytest.mark.conformance("connect-relay", 119)
@pytest.mark.parametrize("call", ["put_configuration", "get_token"])
async def test_a_release_during_a_provision_loses_and_keeps_the_tunnel(cloud: World, call: str) -> None:
    await cloud.link()
    reached, go_on = hold(cloud.cloudflare, call)
    provision = asyncio.create_task(linking(cloud))
    await reached.wait()
    assert (await cloud.release()).json() == {"ok": False}
    go_on.set()
    status, linked = await provision
    assert status == 200
    assert linked["endpointRuntime"]["tunnelId"] == the_tunnel(cloud.cloudflare)["id"]
    assert (await cloud.connect()).status_code == 200


async def test_an_unlink_during_a_provision_waits_and_keeps_what_was_linked_last(cloud: World) -> None:
    await cloud.link()
    reached, go_on = hold(cloud.cloudflare, "get_token")
    provision = asyncio.create_task(linking(cloud))
    await reached.wait()
    unlink = await unlinking(cloud)
    go_on.set()
    assert (await provision)[0] == 200
    assert (await unlink).json() == {"ok": True}
    assert len(cloud.cloudflare.tunnels) == len(cloud.cloudflare.records) == 1
    assert (await cloud.connect()).status_code == 200


async def test_a_provision_that_fails_while_an_unlink_waits_leaves_nothing(cloud: World) -> None:
    await cloud.link()
    fake = cloud.cloudflare
    reached, go_on = hold(fake, "put_configuration")
    fake.fail("get_token", BROKEN)
    provision = asyncio.create_task(linking(cloud))
    await reached.wait()
    unlink = await unlinking(cloud)
    go_on.set()
    assert (await provision)[0] == 503
    assert (await unlink).status_code == 200
    assert fake.tunnels == fake.records == {}


async def test_links_at_the_same_moment_make_one_tunnel(cloud: World) -> None:
    answers = await asyncio.gather(*(linking(cloud) for _ in range(4)))
    assert [status for status, _ in answers] == [200] * 4
    assert len(cloud.cloudflare.tunnels) == len(cloud.cloudflare.records) == 1
    assert cloud.cloudflare.calls.count("create_tunnel") == 1
    assert await cloud.rows("SELECT leased_until FROM relay_managed_endpoint_allocations") == [(None,)]


async def test_a_process_that_lost_its_row_while_it_stood_still_records_nothing(cloud: World) -> None:
    reached, go_on = hold(cloud.cloudflare, "get_token")
    stalled = asyncio.create_task(linking(cloud))
    await reached.wait()
    cloud.clock.advance(LEASE_MS)
    status, linked = await linking(cloud)
    assert status == 200
    row = await cloud.rows(ROW)
    go_on.set()
    assert (await stalled)[0] == 503
    assert await cloud.rows(ROW) == row
    assert (await cloud.connect()).status_code == 200
    assert linked["endpointRuntime"]["tunnelId"] == row[0][0]


async def test_a_link_cut_by_the_deadline_gives_its_row_back(wired: World) -> None:
    _, go_on = hold(wired.cloudflare, "get_token")
    proof = wired.environment.link_proof(await wired.challenge())
    await wired.restart(request_deadline=2.0, environment_timeout=0.5)
    answer = await wired.post_link(proof)
    go_on.set()
    assert (answer.status_code, answer.json()) == (504, {"error": "relay_request_deadline_exceeded"})
    # Cut at that call, or before on a very busy machine: the row is free in any case.
    rows = await wired.rows("SELECT leased_until FROM relay_managed_endpoint_allocations")
    assert set(rows) <= {(None,)}
    await wired.restart(**PATIENT)
    assert (await linking(wired))[0] == 200


async def test_rows_that_cannot_be_written_after_the_calls_give_the_row_back(cloud: World) -> None:
    await cloud.execute("ALTER TABLE relay_environment_credentials RENAME TO gone")
    status, body = await linking(cloud)
    assert (status, body["reason"]) == (500, "credential_persistence_failed")
    await cloud.execute("ALTER TABLE gone RENAME TO relay_environment_credentials")
    assert await cloud.rows("SELECT ready_at, leased_until FROM relay_managed_endpoint_allocations") == [
        (None, None)
    ]
    assert (await linking(cloud))[0] == 200
    assert len(cloud.cloudflare.tunnels) == 1


async def test_a_new_local_port_is_told_to_cloudflare_and_the_tunnel_stays(cloud: World) -> None:
    linked = await cloud.link()
    tunnel_id = linked["endpointRuntime"]["tunnelId"]
    assert (await cloud.recover(linked, tunnel_id=tunnel_id, port=4000)).json() == {"status": "ready"}
    assert cloud.cloudflare.ingress[tunnel_id][0]["service"] == "http://127.0.0.1:4000"
    assert await cloud.rows("SELECT origin, leased_until FROM relay_managed_endpoint_allocations") == [
        ("127.0.0.1 4000", None)
    ]


@pytest.mark.parametrize("port", [3773, 4000])
async def test_a_tunnel_that_cloudflare_no_longer_has_must_be_recovered(wired: World, port: int) -> None:
    linked = await wired.link()
    tunnel_id = linked["endpointRuntime"]["tunnelId"]
    wired.cloudflare.tunnels.clear()
    answer = await wired.recover(linked, tunnel_id=tunnel_id, port=port)
    assert (answer.status_code, answer.json()) == (200, {"status": "recovery_required"})
    recovered = (await wired.recover(linked, port=port)).json()
    assert recovered["endpoint"] == linked["endpoint"]
    assert recovered["endpointRuntime"]["tunnelId"] != tunnel_id


@pytest.mark.parametrize(
    ("call", "attempt"),
    [
        (
            "get_tunnel",
            lambda world, linked: world.recover(linked, tunnel_id=linked["endpointRuntime"]["tunnelId"]),
        ),
        ("put_configuration", lambda world, linked: world.recover(linked)),
        ("delete_tunnel", lambda world, linked: world.release()),
    ],
)
async def test_a_failing_call_of_a_recovery_is_upstreams(
    wired: World, call: str, attempt: Callable[[World, dict[str, Any]], Awaitable[Any]]
) -> None:
    linked = await wired.link()
    wired.cloudflare.fail(call, BROKEN)
    answer = await attempt(wired, linked)
    assert (answer.status_code, answer.json()["reason"]) == (500, "upstream_unavailable")
    assert await wired.rows("SELECT leased_until FROM relay_managed_endpoint_allocations") == [(None,)]
    assert (await attempt(wired, linked)).status_code == 200


async def test_a_link_that_ends_during_its_recovery_leaves_nothing(cloud: World) -> None:
    linked = await cloud.link()
    reached, go_on = hold(cloud.cloudflare, "get_token")
    recovery = asyncio.create_task(cloud.recover(linked))
    await reached.wait()
    unlink = await unlinking(cloud)
    go_on.set()
    refused = await recovery
    assert (refused.status_code, refused.json()["reason"]) == (401, "not_authorized")
    assert (await unlink).json() == {"ok": True}
    assert cloud.cloudflare.tunnels == cloud.cloudflare.records == {}


async def test_a_tunnel_made_for_another_name_than_the_links_is_removed_again(wired: World) -> None:
    linked = await wired.link()
    await wired.execute(
        "UPDATE relay_environment_links SET endpoint_http_base_url = 'https://old.env.localhost/'"
    )
    answer = await wired.recover(linked)
    assert (answer.status_code, answer.json()["reason"]) == (401, "not_authorized")
    assert wired.cloudflare.tunnels == {}
    assert await wired.rows("SELECT leased_until FROM relay_managed_endpoint_allocations") == [(None,)]


async def test_machines_of_an_earlier_embedded_provider_move_over(cloud: World) -> None:
    """Their rows name a tunnel and record of ours, of which Cloudflare knows nothing."""
    await cloud.link()
    hostname = the_record(cloud.cloudflare)["name"]
    await cloud.unlink()
    await cloud.execute(
        "UPDATE relay_managed_endpoint_allocations SET tunnel_id = 'ours', dns_record_id = hostname,"
        " tunnel_public_key = 'key', ready_at = 1"
    )
    cloud.cloudflare.calls.clear()
    assert (await cloud.unlink()).json() == {"ok": False}
    assert (await cloud.release()).json() == {"ok": True}
    assert cloud.cloudflare.calls == []
    await cloud.link()
    assert cloud.cloudflare.calls == FRESH
    assert the_record(cloud.cloudflare)["name"] == hostname
    assert await cloud.rows("SELECT tunnel_public_key FROM relay_managed_endpoint_allocations") == [(None,)]


async def test_names_that_would_lead_nowhere_are_not_offered(wired: World) -> None:
    linked = await wired.link()
    credential = {"authorization": f"Bearer {linked['environmentCredential']}"}
    for method in ("PUT", "DELETE"):
        answer = await wired.http.request(method, "/v1/environments/env-1/services/notes", headers=credential)
        assert (answer.status_code, answer.content) == (404, b"")


async def test_the_token_is_in_no_error_and_no_repr() -> None:
    settings = CloudflareSettings(
        account_id="acc-1", zone_id="zone-1", api_token="s3cret", api_url="http://127.0.0.1:9/client/v4"
    )
    assert "s3cret" not in repr(settings)
    outbound = Outbound()
    with pytest.raises(CloudflareError) as raised:
        await CloudflareApi(settings, outbound).find_tunnel("name")
    await outbound.close()
    assert raised.value.status == 0
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("change", [{"provider": "cloudflare"}, {"cloudflare": "settings"}])
def test_the_provider_and_its_account_go_together(change: dict[str, Any]) -> None:
    if "cloudflare" in change:
        change = {"cloudflare": CloudflareSettings(account_id="a", zone_id="z", api_token="t")}
    with pytest.raises(ValueError, match="Cloudflare's account"):
        RelaySettings(
            origin="https://relay.example",
            zone="z.test",
            edge_url="https://edge.example",
            accounts_issuer="https://accounts.example",
            jwks_url="https://accounts.example/jwks",
            **change,
        )
