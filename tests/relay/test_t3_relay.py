"""Giving T3 Code's own experimental connector: only where the operator does, to hosts that run it."""

from typing import Any

import pytest

from doorward.relay.settings import RelaySettings
from doorward.tunnel import ConnectorToken
from tests.relay.conftest import OpenWorld
from tests.relay.world import ALL, PUBLISH_ONLY, World

pytestmark = pytest.mark.anyio

BOTH = ["cloudflare_tunnel", "t3_relay"]
ENDPOINT = {
    "httpBaseUrl": "https://mine.example.test/",
    "wsBaseUrl": "wss://mine.example.test/ws",
    "providerKind": "t3_relay",
}


@pytest.fixture
async def giving(open_wire: OpenWorld) -> World:
    return await open_wire(t3_relay=True, endpoint_scheme="https", endpoint_port=8445)


async def challenge(world: World, supported: list[str] | None, **flags: bool) -> dict[str, Any]:
    said = {} if supported is None else {"supportedManagedEndpointProviders": supported}
    response = await world.http.post(
        "/v1/client/environment-link-challenges", json={**ALL, **flags, **said}, headers=world.bearer()
    )
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


async def test_a_host_that_runs_it_gets_what_it_takes(giving: World) -> None:
    asked = await challenge(giving, [*BOTH, "something_newer"])
    assert asked["managedEndpointProvider"] == "t3_relay"
    proof = giving.environment.link_proof(asked["challenge"], endpoint=ENDPOINT)
    answer = (await giving.post_link(proof, managedEndpointProvider="t3_relay")).json()
    host = answer["endpoint"]["httpBaseUrl"].removeprefix("https://").removesuffix("/")
    runtime = answer["endpointRuntime"]
    assert answer["endpoint"]["providerKind"] == runtime["providerKind"] == "t3_relay"
    assert runtime["connectorUrl"] == f"wss://{host}/.well-known/t3-relay/connect"
    assert runtime["originUrl"] == "http://127.0.0.1:3773"
    assert [ConnectorToken.decode(runtime["connectorToken"]).hostnames[0]] == [host.partition(":")[0]]
    [(kind,)] = await giving.rows("SELECT endpoint_provider_kind FROM relay_environment_links")
    assert kind == "t3_relay"


@pytest.mark.parametrize("supported", [None, [], ["cloudflare_tunnel"], ["something_newer"]])
async def test_any_other_host_gets_what_every_host_gets(giving: World, supported: list[str] | None) -> None:
    asked = await challenge(giving, supported)
    assert "managedEndpointProvider" not in asked
    answer = (await giving.post_link(giving.environment.link_proof(asked["challenge"]))).json()
    assert answer["endpoint"]["providerKind"] == "cloudflare_tunnel"
    assert not {"connectorUrl", "originUrl"} & set(answer["endpointRuntime"])


async def test_a_relay_gives_it_nowhere_by_default(wire: World) -> None:
    assert "managedEndpointProvider" not in await challenge(wire, BOTH)


async def test_a_link_without_tunnel_chooses_none(giving: World) -> None:
    assert "managedEndpointProvider" not in await challenge(giving, BOTH, **PUBLISH_ONLY)


@pytest.mark.parametrize(
    ("endpoint", "named", "reason"),
    [
        (ENDPOINT, None, "challenge_invalid"),
        (ENDPOINT, "cloudflare_tunnel", "challenge_invalid"),
        ({**ENDPOINT, "providerKind": "cloudflare_tunnel"}, "t3_relay", "invalid_signature_or_scope"),
    ],
)
async def test_account_environment_and_relay_have_to_agree(
    giving: World, endpoint: dict[str, str], named: str | None, reason: str
) -> None:
    asked = await challenge(giving, BOTH)
    proof = giving.environment.link_proof(asked["challenge"], endpoint=endpoint)
    said = {} if named is None else {"managedEndpointProvider": named}
    answer = await giving.post_link(proof, **said)
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)
    assert await giving.rows("SELECT 1 FROM relay_environment_links") == []


def test_it_needs_an_edge_of_our_own() -> None:
    with pytest.raises(ValueError, match="embedded"):
        RelaySettings(
            origin="https://relay.example.test",
            zone="m.example.test",
            edge_url="",
            accounts_issuer="https://a.example.test",
            jwks_url="https://a.example.test/jwks",
            provider="manual",
            t3_relay=True,
        )
