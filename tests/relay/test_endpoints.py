"""Endpoint names, and what the edge is told about tunnels."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from doorward.jose import generate_key, sign_jwt
from doorward.relay import RelaySettings, TunnelAuthorized, TunnelRefused
from doorward.relay.endpoints.rules import endpoint_names, endpoint_urls, is_valid_hostname, slug
from doorward.tunnel import ConnectorToken, proof
from tests.relay.world import World


@pytest.mark.conformance("connect-relay", 104)
def test_names_are_derived_from_stage_account_and_machine() -> None:
    names = endpoint_names(
        stage="dev_julius", user_id="user_ABC", environment_id="env_ABC", zone=" .Tunnels.Example.test. "
    )
    assert names.hostname == "dev-julius-d101ac68108a423e.tunnels.example.test"
    assert names.tunnel_name == "t3coderelay-managedendpoint-dev-julius-d101ac68108a423e"
    production = endpoint_names(stage="prod", user_id="user_ABC", environment_id="env_ABC", zone="z.test")
    assert production.hostname.startswith("prod-")
    assert endpoint_urls("a.z.test", scheme="https", port=None).http == "https://a.z.test/"
    assert endpoint_urls("a.z.test", scheme="https", port=None).ws == "wss://a.z.test/ws"
    assert endpoint_urls("a.env.localhost", scheme="http", port=8080).ws == "ws://a.env.localhost:8080/ws"


@pytest.mark.conformance("connect-relay", 104)
@given(st.text(max_size=100), st.text(max_size=50), st.text(max_size=50))
def test_no_name_ever_holds_what_somebody_typed(stage: str, user_id: str, environment_id: str) -> None:
    names = endpoint_names(stage=stage, user_id=user_id, environment_id=environment_id, zone="z.test")
    label = names.hostname.removesuffix(".z.test")
    assert len(label) <= 63
    assert is_valid_hostname(names.hostname, "z.test")
    assert label.removesuffix(label[-16:]) in ("", slug(stage)[:46].rstrip("-") + "-")


@pytest.mark.conformance("connect-relay", 116)
@pytest.mark.parametrize(
    ("hostname", "valid"),
    [
        ("a.z.test", True),
        ("a-1.z.test", True),
        ("z.test", False),
        ("a.other.test", False),
        ("az.test", False),
        ("a.z.test.evil.com", False),
        ("a.z.test.", False),
        ("A.z.test", False),
        ("-a.z.test", False),
        ("a_b.z.test", False),
        (" a.z.test", False),
        ("a..z.test", False),
        ("a" * 64 + ".z.test", False),
        ("a@b.z.test", False),
        (".".join(["a" * 60] * 5) + ".z.test", False),
    ],
)
def test_a_hostname_is_a_canonical_name_below_the_zone(hostname: str, valid: bool) -> None:
    assert is_valid_hostname(hostname, "z.test") is valid


@pytest.mark.parametrize(
    "change",
    [{"origin": "https://relay.example/path"}, {"origin": "relay"}, {"environment_timeout": 9.0}],
)
def test_settings_that_cannot_work_are_refused_at_once(change: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "origin": "https://relay.example",
        "zone": "z.test",
        "edge_url": "https://edge.example",
        "accounts_issuer": "https://accounts.example",
        "jwks_url": "https://accounts.example/jwks",
    }
    assert RelaySettings(**good).issuer == "https://relay.example"
    with pytest.raises(ValueError):
        RelaySettings(**{**good, **change})


def connector(linked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The connector token's content, and a tunnel token signed with its seed."""
    text = linked["endpointRuntime"]["connectorToken"]
    token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    seed = base64.urlsafe_b64decode(token["seed"] + "=")
    return token, tunnel_token(Ed25519PrivateKey.from_private_bytes(seed))


def tunnel_token(key: Ed25519PrivateKey, typ: str = "doorward-tunnel+jwt") -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    signed = f"{part({'alg': 'EdDSA', 'typ': typ})}.{part({'nonce': 'n', 'exp': 1})}"
    return f"{signed}.{base64.urlsafe_b64encode(key.sign(signed.encode())).rstrip(b'=').decode()}"


@pytest.mark.anyio
async def test_the_connector_with_the_registered_key_opens_the_tunnel(world: World) -> None:
    linked = await world.link()
    token, signed = connector(linked)
    answer = await world.relay.authorize_tunnel(
        environment_id=token["environmentId"], generation=1, token=signed
    )
    assert isinstance(answer, TunnelAuthorized)
    assert (answer.account, answer.generation) == ("user_alice", 1)
    assert list(answer.hostnames) == token["hostnames"]
    assert await world.relay.resolve_host(answer.hostnames[0] + ":8080") is not None


@pytest.mark.anyio
async def test_the_tunnel_rooms_own_connector_reads_our_token_and_convinces_us(world: World) -> None:
    linked = await world.link()
    token = ConnectorToken.decode(linked["endpointRuntime"]["connectorToken"])
    assert token.edge_url == world.relay.settings.edge_url
    signed = proof.sign(token, audience=token.edge_url, nonce="n", now=world.clock() // 1000)
    claimed, _ = proof.read_claims(signed, audience=token.edge_url, nonce="n", now=world.clock() // 1000)
    answer = await world.relay.authorize_tunnel(
        environment_id=claimed, generation=token.generation, token=signed
    )
    assert isinstance(answer, TunnelAuthorized)
    assert list(answer.hostnames) == token.hostnames
    proof.check_signature(signed, answer.public_key)


@pytest.mark.anyio
async def test_every_other_connector_is_refused_with_its_reason(world: World) -> None:
    first = await world.link()
    token, signed = connector(first)
    stranger = Ed25519PrivateKey.generate()
    tunnel_id = token["environmentId"]

    async def refusal(token: str, *, tunnel: str = tunnel_id, generation: int = 1) -> str:
        answer = await world.relay.authorize_tunnel(environment_id=tunnel, generation=generation, token=token)
        assert isinstance(answer, TunnelRefused)
        assert answer.message.endswith(".")
        return answer.reason

    seed = base64.urlsafe_b64decode(token["seed"] + "=")
    own_key = Ed25519PrivateKey.from_private_bytes(seed)
    assert await refusal(tunnel_token(stranger)) == "invalid_signature"
    assert await refusal(tunnel_token(own_key, typ="JWT")) == "invalid_signature"
    assert await refusal("nonsense") == "invalid_signature"
    assert (
        await refusal(sign_jwt({"exp": 1}, generate_key("ES256"), typ="doorward-tunnel+jwt"))
        == "invalid_signature"
    )
    assert await refusal(signed, tunnel="another") == "unlinked"
    assert await refusal(signed, tunnel="env-1") == "unlinked"
    assert await refusal(signed, generation=2) == "generation_superseded"

    second_token, second_signed = connector(await world.link())
    assert second_token["environmentId"] == tunnel_id
    assert await refusal(signed) == "generation_superseded"
    assert await refusal(signed, generation=2) == "invalid_signature"
    await world.http.delete("/v1/client/environment-links/env-1", headers=world.bearer())
    assert await refusal(second_signed, generation=2) == "unlinked"
    assert await refusal(second_signed, generation=3) == "unlinked"


@pytest.mark.anyio
async def test_two_accounts_of_one_machine_have_tunnels_that_cannot_replace_each_other(world: World) -> None:
    mine, _ = connector(await world.link("user_alice"))
    theirs, signed_by_them = connector(await world.link("user_bob"))
    assert mine["environmentId"] != theirs["environmentId"]
    crossed = await world.relay.authorize_tunnel(
        environment_id=mine["environmentId"], generation=1, token=signed_by_them
    )
    assert isinstance(crossed, TunnelRefused)
    owner = await world.relay.resolve_host(mine["hostnames"][0])
    assert owner is not None
    assert owner.account == "user_alice"


@pytest.mark.anyio
@pytest.mark.conformance("connect-relay", 113)
async def test_unlinking_a_machine_that_never_had_a_tunnel_touches_nothing(world: World) -> None:
    async with world.database.subscribe("relay.tunnel") as closings:
        await world.http.delete("/v1/client/environment-links/env-1", headers=world.bearer())
        await world.database.write(lambda tx: tx.notify("relay.tunnel", "marker"))
        assert await anext(closings) == "marker"
    assert await world.rows("SELECT 1 FROM relay_audit WHERE action = 'link.revoked'") == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    "host", ["", "env.localhost", "unknown.env.localhost", "evil.example", "a.b.env.localhost"]
)
async def test_a_host_nobody_holds_has_no_owner(wire: World, host: str) -> None:
    await wire.link()
    assert await wire.relay.resolve_host(host) is None
