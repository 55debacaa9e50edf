"""Tunnels that are released, told of and brought back, over the embedded provider."""

import asyncio
from typing import Any

import httpx
import pytest

from doorward.jose import generate_key
from doorward.relay import TunnelAuthorized, TunnelRefused
from tests.relay.test_endpoints import connector
from tests.relay.world import World

pytestmark = pytest.mark.anyio

RELEASE = "/v1/client/environment-links/env-1/tunnel"
RECOVER = "/v1/environments/env-1/tunnel"
REGISTER = RECOVER + "/recovery"


async def post(world: World, path: str, linked: dict[str, Any], body: dict[str, Any]) -> httpx.Response:
    credential = {"authorization": f"Bearer {linked['environmentCredential']}"}
    return await world.http.post(path, json=body, headers=credential)


async def register(world: World, linked: dict[str, Any], **changes: Any) -> httpx.Response:
    changes.setdefault("tunnel_id", linked["endpointRuntime"]["tunnelId"])
    return await world.recover(linked, **changes)


async def authorize(world: World, runtime: dict[str, Any]) -> TunnelAuthorized | TunnelRefused:
    token, signed = connector({"endpointRuntime": runtime})
    return await world.relay.authorize_tunnel(
        environment_id=token["environmentId"], generation=token["generation"], token=signed
    )


async def test_a_released_tunnel_is_closed_while_its_link_and_names_stay(world: World) -> None:
    linked = await world.link()
    listed = (await world.http.get("/v1/environments", headers=world.bearer())).json()
    async with world.database.subscribe("relay.tunnel") as closings:
        released = await world.release()
        assert (released.status_code, released.json()) == (200, {"ok": True})
        assert '"generation":2' in await anext(closings)
    refused = await authorize(world, linked["endpointRuntime"])
    assert isinstance(refused, TunnelRefused)
    assert refused.reason == "generation_superseded"
    assert (await world.http.get("/v1/environments", headers=world.bearer())).json() == listed
    host = linked["endpoint"]["httpBaseUrl"].split("/")[2]
    assert await world.relay.resolve_host(host) is not None
    assert (await world.release()).json() == {"ok": True}
    assert await world.rows("SELECT action FROM relay_audit WHERE action = 'tunnel.released'")


async def test_a_release_is_of_the_callers_tunnel_only(world: World) -> None:
    linked = await world.link("user_alice")
    other = await world.release("user_bob")
    assert other.json() == {"ok": True}
    assert isinstance(await authorize(world, linked["endpointRuntime"]), TunnelAuthorized)
    assert (await world.http.delete(RELEASE)).status_code == 401


@pytest.mark.conformance("connect-relay", 120)
async def test_a_tunnel_that_is_not_the_recorded_one_must_be_recovered_and_keeps_its_urls(
    world: World,
) -> None:
    linked = await world.link()
    assert (await register(world, linked)).json() == {"status": "ready"}
    stale = await register(world, linked, tunnel_id="11111111-1111-1111-1111-111111111111")
    assert (stale.status_code, stale.json()) == (200, {"status": "recovery_required"})
    assert stale.headers["cache-control"] == "no-store"

    await world.release()
    assert (await register(world, linked)).json() == {"status": "recovery_required"}
    recovered = await world.recover(linked)
    assert recovered.status_code == 200, recovered.text
    assert recovered.headers["cache-control"] == "no-store"
    assert recovered.json()["endpoint"] == linked["endpoint"]
    runtime = recovered.json()["endpointRuntime"]
    assert runtime["providerKind"] == "cloudflare_tunnel"
    assert runtime["connectorToken"] != linked["endpointRuntime"]["connectorToken"]
    assert isinstance(await authorize(world, runtime), TunnelAuthorized)
    assert (await register(world, {**linked, "endpointRuntime": runtime})).json() == {"status": "ready"}


async def test_a_tunnel_to_another_local_port_is_recovered_with_a_token_that_says_so(world: World) -> None:
    linked = await world.link()
    assert (await register(world, linked, port=4000)).json() == {"status": "recovery_required"}
    recovered = (await world.recover(linked, port=4000)).json()
    token, _ = connector(recovered)
    assert token["origin"] == "http://127.0.0.1:4000"
    assert (await register(world, recovered | linked, port=4000)).json() == {"status": "ready"}
    stored = await world.rows(
        "SELECT recovery_environment_public_key FROM relay_managed_endpoint_allocations"
    )
    assert stored == [(world.environment.public_key_pem,)]


STRANGER = generate_key("EdDSA")
FORGERIES = {
    "another key": {"key": STRANGER},
    "another typ": {"typ": "t3-env-activity+jwt"},
    "another issuer": {"iss": "t3-env:other"},
    "another audience": {"aud": "https://other.example"},
    "another environment": {"environmentId": "env-2"},
    "another subject": {"sub": "env-2"},
    "another account": {"cloudUserId": "user_bob"},
    "another host": {"origin": {"localHttpHost": "localhost", "localHttpPort": 3773}},
    "another port": {"origin": {"localHttpHost": "127.0.0.1", "localHttpPort": 22}},
    "an unknown action": {"action": "delete"},
    "too old": {"iat": 0},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
async def test_a_proof_that_does_not_say_exactly_this_changes_nothing(
    wire: World, forgery: dict[str, Any]
) -> None:
    linked = await wire.link()
    before = await wire.rows("SELECT * FROM relay_managed_endpoint_allocations")
    for answer in (await register(wire, linked, **forgery), await wire.recover(linked, **forgery)):
        assert (answer.status_code, answer.json()["reason"]) == (401, "not_authorized")
        assert "dpopFailureReason" not in answer.json()
    assert await wire.rows("SELECT * FROM relay_managed_endpoint_allocations") == before


async def test_the_two_actions_are_not_each_other(wire: World) -> None:
    linked = await wire.link()
    tunnel_id = linked["endpointRuntime"]["tunnelId"]
    registration = wire.environment.recovery_body(tunnel_id=tunnel_id)
    assert (await post(wire, RECOVER, linked, registration)).status_code == 401
    crossed = {**wire.environment.recovery_body(), "tunnelId": tunnel_id}
    assert (await post(wire, REGISTER, linked, crossed)).status_code == 401
    other = wire.environment.recovery_body(tunnel_id=tunnel_id) | {"tunnelId": "another"}
    assert (await post(wire, REGISTER, linked, other)).status_code == 401


async def test_what_is_no_longer_linked_with_a_tunnel_is_not_recovered(world: World) -> None:
    linked = await world.link()
    other_path = await post(world, "/v1/environments/env-2/tunnel", linked, world.environment.recovery_body())
    assert other_path.status_code == 401
    without_tunnel = await world.link(managedTunnelsEnabled=False)
    await world.execute("UPDATE relay_environment_links SET endpoint_provider_kind = 'manual'")
    assert (await world.recover(without_tunnel)).json()["reason"] == "not_authorized"
    assert (await world.recover(linked)).status_code == 401
    again = await world.link()
    await world.unlink()
    assert (await world.recover(again)).status_code == 401


async def test_a_stored_endpoint_that_is_not_the_links_is_not_recovered(wire: World) -> None:
    linked = await wire.link()
    await wire.execute("UPDATE relay_managed_endpoint_allocations SET hostname = 'elsewhere.env.localhost'")
    told = await register(wire, linked)
    assert (told.status_code, told.json()["reason"]) == (500, "upstream_unavailable")
    assert (await wire.recover(linked)).json()["reason"] == "not_authorized"


async def test_an_origin_that_is_not_this_machine_is_refused(wire: World) -> None:
    linked = await wire.link()
    body = wire.environment.recovery_body(origin={"localHttpHost": "192.168.1.10", "localHttpPort": 3773}) | {
        "origin": {"localHttpHost": "192.168.1.10", "localHttpPort": 3773}
    }
    answer = await post(wire, RECOVER, linked, body)
    assert (answer.status_code, answer.json()["reason"]) == (500, "upstream_unavailable")


@pytest.mark.conformance("connect-relay", 118)
async def test_one_tunnel_more_than_allowed_is_refused_and_an_owned_one_passes(world: World) -> None:
    await world.execute(
        "INSERT INTO relay_managed_tunnel_limits (user_id, max_tunnels, created_at, updated_at)"
        " VALUES ('user_alice', 3, 0, 0)"
    )
    machines = [world.environment.twin(f"env-{number}") for number in range(1, 5)]
    linked = [await world.link(environment=machine) for machine in machines[:3]]
    refused = await world.post_link(machines[3].link_proof(await world.challenge()))
    assert refused.status_code == 403
    assert {k: v for k, v in refused.json().items() if k != "traceId"} == {
        "_tag": "RelayEnvironmentLinkLimitExceededError",
        "code": "environment_link_limit_exceeded",
        "maxTunnels": 3,
    }
    assert refused.headers["access-control-allow-origin"] == "*"
    again = await world.link(environment=machines[0])
    assert again["endpoint"] == linked[0]["endpoint"]
    await world.link("user_bob", environment=machines[3])
    publishing = await world.link(environment=machines[3], managedTunnelsEnabled=False)
    assert publishing["endpointRuntime"] is None
    await world.unlink(environment_id="env-2")
    await world.link(environment=machines[3])


async def test_the_operators_own_number_limits_every_account(open_wire: Any) -> None:
    wire = await open_wire(max_tunnels=1)
    await wire.link()
    proof = wire.environment.twin("env-2").link_proof(await wire.challenge())
    refused = await wire.post_link(proof)
    assert (refused.status_code, refused.json()["maxTunnels"]) == (403, 1)
    assert len(await wire.rows("SELECT 1 FROM relay_managed_endpoint_allocations")) == 1


async def test_links_at_the_same_moment_do_not_share_the_last_place(world: World) -> None:
    await world.execute(
        "INSERT INTO relay_managed_tunnel_limits (user_id, max_tunnels, created_at, updated_at)"
        " VALUES ('user_alice', 2, 0, 0)"
    )
    proofs = [
        world.environment.twin(f"env-{number}").link_proof(await world.challenge()) for number in range(5)
    ]
    answers = await asyncio.gather(*(world.post_link(proof) for proof in proofs))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 403, 403, 403]
    assert len(await world.rows("SELECT 1 FROM relay_environment_links WHERE revoked_at IS NULL")) == 2
