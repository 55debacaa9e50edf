"""Challenge, link, token, list, status, connect: one account, one machine, one device."""

import pytest

from doorward.t3_connect import iso
from tests.relay.world import World

pytestmark = pytest.mark.anyio


@pytest.mark.conformance("connect-relay", 55, 78, 88, 89)
async def test_a_linked_machine_can_be_listed_probed_and_connected_to(world: World) -> None:
    linked = await world.link()
    assert linked["environmentId"] == "env-1"
    assert linked["cloudUserId"] == "user_alice"
    assert linked["endpointRuntime"]["providerKind"] == "cloudflare_tunnel"

    listed = (await world.http.get("/v1/environments", headers=world.bearer())).json()["environments"]
    assert [entry["endpoint"] for entry in listed] == [linked["endpoint"]]

    status = (await world.status()).json()
    assert status["status"] == "online"
    assert status["endpoint"] == linked["endpoint"]
    assert status["descriptor"] == world.environment.descriptor()

    connected = await world.connect(body={
        "clientProofKeyThumbprint": world.device.public.thumbprint,
        "deviceId": "device-1",
        "client": {"label": "Phone", "deviceType": "mobile"},
    })  # fmt: skip
    assert connected.status_code == 200
    assert connected.json() == {
        "environmentId": "env-1",
        "endpoint": linked["endpoint"],
        "credential": "ABCDEFGHJKLM",
        "expiresAt": iso(world.clock() + 120_000),
    }

    (health_path, health, health_headers), (mint_path, mint, mint_headers) = world.environment.received
    host = linked["endpoint"]["httpBaseUrl"].split("/")[2]
    assert health_headers[b"host"] == mint_headers[b"host"] == host.encode()
    assert health_path == "/api/t3-connect/health"
    assert health["iss"] == world.origin
    assert (health["aud"], health["sub"]) == ("t3-env:env-1", "user_alice")
    assert health["scope"] == ["environment:status"]
    assert health["exp"] - health["iat"] == 120
    assert mint_path == "/api/t3-connect/mint-credential"
    assert mint["clientProofKeyThumbprint"] == mint["cnf"]["jkt"] == world.device.public.thumbprint
    assert (mint["deviceId"], mint["client"]) == ("device-1", {"label": "Phone", "deviceType": "mobile"})
    assert mint["scope"] == ["environment:connect"]
    assert mint["exp"] - mint["iat"] == 120
