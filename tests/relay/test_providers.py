"""What every provider of endpoints owes: one list of cases, over all of them and both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from doorward.relay import SCHEMA
from tests.conftest import ClockForTests, OpenTestDatabase
from tests.relay.world import World, open_world

pytestmark = pytest.mark.anyio

GIVING = ("embedded", "cloudflare")


@pytest.fixture(params=GIVING)
async def giving(
    request: pytest.FixtureRequest,
    open_test_database: OpenTestDatabase,
    clock: ClockForTests,
    tmp_path: Path,
) -> AsyncIterator[World]:
    """A relay whose provider gives endpoints."""
    database = await open_test_database(SCHEMA)
    async with open_world(database, clock, tmp_path, provider=request.param) as running:
        yield running


@pytest.fixture(params=("manual", *GIVING))
async def every(
    request: pytest.FixtureRequest,
    open_test_database: OpenTestDatabase,
    clock: ClockForTests,
    tmp_path: Path,
) -> AsyncIterator[World]:
    """A relay with any provider."""
    database = await open_test_database(SCHEMA)
    async with open_world(database, clock, tmp_path, provider=request.param) as running:
        yield running


async def test_a_link_with_tunnel_gets_an_endpoint_or_a_plain_refusal(every: World) -> None:
    answer = await every.post_link(every.environment.link_proof(await every.challenge()))
    if every.relay.settings.provider == "manual":
        assert (answer.status_code, answer.json()["reason"]) == (503, "managed_endpoint_not_configured")
        return
    linked = answer.json()
    host = linked["endpoint"]["httpBaseUrl"].split("/")[2].split(":")[0]
    assert host.endswith(".env.localhost")
    assert (
        linked["endpoint"]["providerKind"] == linked["endpointRuntime"]["providerKind"] == "cloudflare_tunnel"
    )
    label = host.removesuffix(".env.localhost")
    assert linked["endpointRuntime"]["tunnelName"] == f"t3coderelay-managedendpoint-{label}"
    assert linked["endpointRuntime"]["connectorToken"]
    assert (await every.connect()).json()["credential"] == "ABCDEFGHJKLM"
    assert (await every.status()).json()["status"] == "online"


async def test_a_link_without_tunnel_brings_its_own_endpoint(every: World) -> None:
    linked = await every.link(managedTunnelsEnabled=False)
    assert linked["endpointRuntime"] is None
    assert linked["endpoint"]["httpBaseUrl"] == "https://mine.example.test/"
    assert (await every.unlink()).json() == {"ok": True}
    assert (await every.release()).json() == {"ok": True}
    assert every.cloudflare.calls == []


async def test_a_local_origin_elsewhere_is_refused_before_anything_is_made(every: World) -> None:
    proof = every.environment.link_proof(
        await every.challenge(), origin={"localHttpHost": "10.0.0.5", "localHttpPort": 80}
    )
    answer = await every.post_link(proof)
    assert (answer.status_code, answer.json()["reason"]) == (400, "origin_not_allowed")
    assert await every.rows("SELECT 1 FROM relay_managed_endpoint_allocations") == []
    assert every.cloudflare.calls == []


async def test_a_second_link_keeps_the_names_and_gives_the_connector_its_secret_again(giving: World) -> None:
    first, second = await giving.link(), await giving.link()
    assert second["endpoint"] == first["endpoint"]
    for name in ("tunnelId", "tunnelName"):
        assert second["endpointRuntime"][name] == first["endpointRuntime"][name]
    assert second["endpointRuntime"]["connectorToken"]
    assert second["environmentCredential"] != first["environmentCredential"]


@pytest.mark.conformance("connect-relay", 115)
async def test_two_accounts_of_one_machine_have_endpoints_of_their_own(giving: World) -> None:
    mine, theirs = await giving.link("user_alice"), await giving.link("user_bob")
    assert mine["endpoint"] != theirs["endpoint"]
    for name in ("tunnelId", "tunnelName", "connectorToken"):
        assert mine["endpointRuntime"][name] != theirs["endpointRuntime"][name]
    assert (await giving.unlink("user_bob")).json() == {"ok": True}
    assert (await giving.connect()).status_code == 200


async def test_an_ended_link_leaves_nothing_behind_and_can_be_made_again(giving: World) -> None:
    linked = await giving.link()
    assert (await giving.unlink()).json() == {"ok": True}
    assert giving.cloudflare.tunnels == giving.cloudflare.records == {}
    refused = await giving.connect()
    assert (refused.status_code, refused.json()["reason"]) == (403, "environment_link_not_found")
    assert (await giving.unlink()).json() == {"ok": False}
    assert (await giving.link())["endpoint"] == linked["endpoint"]
    assert (await giving.connect()).status_code == 200


async def test_a_link_without_tunnel_ends_the_endpoint_of_the_one_before(giving: World) -> None:
    await giving.link()
    await giving.link(managedTunnelsEnabled=False)
    assert giving.cloudflare.tunnels == giving.cloudflare.records == {}
    assert await giving.rows("SELECT ready_at FROM relay_managed_endpoint_allocations") == [(None,)]


@pytest.mark.conformance("connect-relay", 120)
async def test_a_released_tunnel_is_offline_not_unknown_and_comes_back_under_its_urls(giving: World) -> None:
    linked = await giving.link()
    tunnel_id = linked["endpointRuntime"]["tunnelId"]
    assert (await giving.recover(linked, tunnel_id=tunnel_id)).json() == {"status": "ready"}
    assert (await giving.release()).json() == {"ok": True}
    assert (await giving.release()).json() == {"ok": True}
    # Its environment still answers in this test; what matters is that the relay still asks it.
    assert (await giving.status()).json()["status"] == "online"
    assert (await giving.recover(linked, tunnel_id=tunnel_id)).json() == {"status": "recovery_required"}
    recovered = (await giving.recover(linked)).json()
    assert recovered["endpoint"] == linked["endpoint"]
    runtime = recovered["endpointRuntime"]
    assert runtime["tunnelName"] == linked["endpointRuntime"]["tunnelName"]
    assert (await giving.recover(linked, tunnel_id=runtime["tunnelId"])).json() == {"status": "ready"}
    actions = await giving.rows(
        "SELECT action FROM relay_audit WHERE action LIKE 'tunnel.%' ORDER BY at, action"
    )
    assert ("tunnel.recovered",) in actions


@pytest.mark.conformance("connect-relay", 118)
async def test_the_limit_of_tunnels_holds_and_leaves_nothing_of_the_refused_one(giving: World) -> None:
    await giving.execute(
        "INSERT INTO relay_managed_tunnel_limits (user_id, max_tunnels, created_at, updated_at)"
        " VALUES ('user_alice', 1, 0, 0)"
    )
    await giving.link()
    other = giving.environment.twin("env-2")
    refused = await giving.post_link(other.link_proof(await giving.challenge()))
    assert (refused.status_code, refused.json()["maxTunnels"]) == (403, 1)
    assert len(await giving.rows("SELECT 1 FROM relay_managed_endpoint_allocations")) == 1
    assert len(giving.cloudflare.tunnels) <= 1
    await giving.link()
