"""Linking: which proofs make a link, and what is written."""

import asyncio
import json
import re
from typing import Any

import pytest

from doorward.jose import b64url_decode, generate_key, peek_claims
from doorward.t3_connect import public_key_to_pem
from tests.relay.conftest import OpenWorld
from tests.relay.world import ALL, PUBLISH_ONLY, World

pytestmark = pytest.mark.anyio


async def refused(world: World, proof: str, user_id: str = "user_alice", **flags: bool) -> tuple[int, str]:
    answer = await world.post_link(proof, user_id, **flags)
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    return answer.status_code, body.get("reason", body["_tag"])


async def links(world: World) -> list[tuple[Any, ...]]:
    return await world.rows("SELECT user_id, environment_id, revoked_at FROM relay_environment_links")


async def test_a_challenge_lasts_five_minutes_and_says_what_was_asked(wire: World) -> None:
    answer = await wire.http.post(
        "/v1/client/environment-link-challenges", json=PUBLISH_ONLY, headers=wire.bearer()
    )
    body = answer.json()
    assert body["expiresAt"] == "2027-01-15T08:05:00.000Z"
    claims = peek_claims(body["challenge"], dict)
    assert (claims["kind"], claims["sub"]) == ("environment_link_challenge", "user_alice")
    assert claims["exp"] - claims["iat"] == 300
    assert (claims["notificationsEnabled"], claims["managedTunnelsEnabled"]) == (True, False)


@pytest.mark.conformance("connect-relay", 55, 69, 71)
async def test_a_proof_is_answered_with_everything_the_machine_needs(world: World) -> None:
    answer = await world.post_link(world.environment.link_proof(await world.challenge()))
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    body = answer.json()
    assert list(body) == [
        "ok",
        "cloudUserId",
        "environmentId",
        "endpoint",
        "endpointRuntime",
        "relayIssuer",
        "environmentCredential",
        "cloudMintPublicKey",
    ]
    assert body["relayIssuer"] == world.relay.settings.origin
    assert body["cloudMintPublicKey"].startswith("-----BEGIN PUBLIC KEY-----\n")
    assert re.fullmatch(r"t3env_[0-9a-f]{64}_[0-9a-f]{96}", body["environmentCredential"])
    assert await links(world) == [("user_alice", "env-1", None)]
    [(stored,)] = await world.rows("SELECT credential_hash FROM relay_environment_credentials")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", stored)
    assert body["environmentCredential"] not in stored


@pytest.mark.conformance("connect-relay", 53, 58)
async def test_a_challenge_is_for_one_account_and_one_link(world: World) -> None:
    challenge = await world.challenge("user_alice")
    for_another = await refused(world, world.environment.link_proof(challenge), "user_bob")
    assert for_another == (400, "challenge_invalid")
    assert (await world.post_link(world.environment.link_proof(challenge))).status_code == 200
    assert await refused(world, world.environment.link_proof(challenge)) == (400, "challenge_invalid")


@pytest.mark.conformance("connect-relay", 54)
@pytest.mark.parametrize("flag", ALL)
async def test_a_link_may_ask_for_less_than_its_challenge_and_not_for_more(wire: World, flag: str) -> None:
    less = await wire.challenge(**{flag: False})
    assert await refused(wire, wire.environment.link_proof(less)) == (400, "challenge_invalid")
    more = wire.environment.link_proof(await wire.challenge())
    assert (await wire.post_link(more, **{flag: False})).status_code == 200


@pytest.mark.conformance("connect-relay", 56, 60)
@pytest.mark.parametrize(
    "spoil", ["signature", "nonsense", "another_key", "typ", "audience", "issuer", "subject"]
)
async def test_a_proof_that_is_not_the_machines_own_is_refused(wire: World, spoil: str) -> None:
    challenge = await wire.challenge()
    environment = wire.environment
    honest = environment.link_proof(challenge)
    signature = honest.rpartition(".")[2]
    proofs = {
        "signature": honest.removesuffix(signature) + ("B" if signature[0] == "A" else "A") + signature[1:],
        "nonsense": "this is not a token",
        "another_key": environment.link_proof(challenge, key=generate_key("EdDSA")),
        "typ": environment.sign(peek_claims(honest, dict), "t3-env-mint+jwt"),
        "audience": environment.link_proof(challenge, aud="https://elsewhere.example"),
        "issuer": environment.link_proof(challenge, iss="t3-env:env-2"),
        "subject": environment.link_proof(challenge, sub="env-2"),
    }
    assert await refused(wire, proofs[spoil]) == (400, "invalid_signature_or_scope")
    assert await links(wire) == []
    assert await wire.rows("SELECT jti FROM relay_dpop_proofs") == []


@pytest.mark.parametrize("change", [
    {"environmentPublicKey": "not a PEM"},
    {"environmentPublicKey": public_key_to_pem(generate_key("ES256").public)},
    {"exp": None},
    {"exp": 1_800_000_300.5},
    {"exp": 9_000_000_000_000_000},
    {"iat": 1_800_000_000 - 361},
    {"iat": 1_800_000_000 + 61},
    {"scopes": ["everything"]},
    {"jti": "x" * 256},
    {"jti": "a\0b"},
    {"endpoint": {"httpBaseUrl": "https://a/", "wsBaseUrl": "wss://a/", "providerKind": "other"}},
])  # fmt: skip
async def test_a_proof_outside_its_schema_or_time_is_refused(wire: World, change: dict[str, Any]) -> None:
    proof = wire.environment.link_proof(await wire.challenge(), **change)
    assert await refused(wire, proof) == (400, "invalid_signature_or_scope")


@pytest.mark.parametrize("environment_id", ["x" * 192, "nul\0nul"])
async def test_an_id_that_not_every_database_could_keep_is_refused(world: World, environment_id: str) -> None:
    world.environment.environment_id = environment_id
    proof = world.environment.link_proof(await world.challenge())
    assert await refused(world, proof) == (400, "invalid_signature_or_scope")
    world.environment.environment_id = "x" * 191
    assert (await world.link())["environmentId"] == "x" * 191


async def test_a_nul_in_a_body_is_outside_the_schema(world: World) -> None:
    proof = world.environment.link_proof(await world.challenge())
    answer = await world.post_link(proof, deviceId="a\0b")
    assert (answer.status_code, answer.content) == (400, b"")


async def test_a_proof_that_expires_in_a_century_is_remembered_for_minutes(world: World) -> None:
    proof = world.environment.link_proof(await world.challenge(), exp=4_900_000_000)
    assert (await world.post_link(proof)).status_code == 200
    world.clock.advance(361_000)
    assert (await world.post_link(proof)).json()["reason"] == "invalid_signature_or_scope"
    await world.relay.prune()
    assert len(await world.rows("SELECT jti FROM relay_dpop_proofs")) == 2
    world.clock.advance(1)
    await world.relay.prune()
    assert await world.rows("SELECT jti FROM relay_dpop_proofs") == []


@pytest.mark.conformance("connect-relay", 57)
async def test_a_used_proof_id_is_refused_even_over_a_fresh_challenge(world: World) -> None:
    first = world.environment.link_proof(await world.challenge(), jti="the-same")
    assert (await world.post_link(first)).status_code == 200
    second = world.environment.link_proof(await world.challenge(), jti="the-same")
    assert await refused(world, second) == (400, "replayed_nonce")


async def test_of_one_proof_posted_many_times_at_once_exactly_one_links(world: World) -> None:
    proof = world.environment.link_proof(await world.challenge())
    answers = await asyncio.gather(*(world.post_link(proof) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert len(await world.rows("SELECT credential_id FROM relay_environment_credentials")) == 1


async def test_a_proof_is_remembered_past_its_expiry_by_the_tolerance(world: World) -> None:
    proof = world.environment.link_proof(await world.challenge())
    assert (await world.post_link(proof)).status_code == 200
    world.clock.advance(355_000)
    await world.relay.prune()
    kept = await world.rows("SELECT jti FROM relay_dpop_proofs")
    assert len(kept) == 2


@pytest.mark.conformance("connect-relay", 59)
async def test_a_proof_that_expires_now_has_expired(wire: World) -> None:
    now = wire.clock() // 1000
    proof = wire.environment.link_proof(await wire.challenge(), exp=now)
    assert await refused(wire, proof) == (401, "RelayEnvironmentLinkProofExpiredError")
    a_second_left = wire.environment.link_proof(await wire.challenge(), exp=now + 1)
    assert (await wire.post_link(a_second_left)).status_code == 200


async def test_the_last_moment_of_a_date_is_the_last_at_which_a_proof_may_expire(wire: World) -> None:
    last = 8_640_000_000_000
    late = wire.environment.link_proof(await wire.challenge(), exp=last + 1)
    assert await refused(wire, late) == (400, "invalid_signature_or_scope")
    assert await wire.rows("SELECT jti FROM relay_dpop_proofs") == []
    assert (
        await wire.post_link(wire.environment.link_proof(await wire.challenge(), exp=last))
    ).status_code == 200


@pytest.mark.conformance("connect-relay", 61)
@pytest.mark.parametrize(
    ("scopes", "flags"),
    [
        (["agent_activity_notifications"], {}),
        (["managed_tunnels"], {"managedTunnelsEnabled": False}),
        (["managed_tunnels"], {"notificationsEnabled": False}),
        (["managed_tunnels"], {"liveActivitiesEnabled": False}),
        ([], {}),
    ],
)
async def test_the_machine_must_have_agreed_to_what_the_account_asks(
    wire: World, scopes: list[str], flags: dict[str, bool]
) -> None:
    proof = wire.environment.link_proof(await wire.challenge(), scopes=scopes)
    assert await refused(wire, proof, **flags) == (400, "invalid_signature_or_scope")


@pytest.mark.conformance("connect-relay", 61)
@pytest.mark.parametrize(
    ("scopes", "flags"),
    [
        (["managed_tunnels"], {"notificationsEnabled": False, "liveActivitiesEnabled": False}),
        (["agent_activity_notifications"], {"managedTunnelsEnabled": False}),
        ([], dict.fromkeys(ALL, False)),
    ],
)
async def test_what_the_account_does_not_ask_the_machine_need_not_agree_to(
    wire: World, scopes: list[str], flags: dict[str, bool]
) -> None:
    proof = wire.environment.link_proof(await wire.challenge(), scopes=scopes)
    assert (await wire.post_link(proof, **flags)).status_code == 200


@pytest.mark.conformance("connect-relay", 62)
async def test_a_descriptor_of_another_machine_is_refused(wire: World) -> None:
    descriptor = {**wire.environment.descriptor(), "environmentId": "env-2"}
    proof = wire.environment.link_proof(await wire.challenge(), descriptor=descriptor)
    assert await refused(wire, proof) == (400, "descriptor_mismatch")


@pytest.mark.conformance("connect-relay", 63, 106)
@pytest.mark.parametrize("host", ["192.168.1.10", "0.0.0.0", "example.com", "localhost.example.com"])
async def test_a_tunnel_to_another_machine_is_refused_before_anything_is_reserved(
    wire: World, host: str
) -> None:
    origin = {"localHttpHost": host, "localHttpPort": 3773}
    proof = wire.environment.link_proof(await wire.challenge(), origin=origin)
    assert await refused(wire, proof) == (400, "origin_not_allowed")
    assert await wire.rows("SELECT hostname FROM relay_managed_endpoint_allocations") == []


@pytest.mark.conformance("connect-relay", 106)
async def test_a_port_beyond_65535_is_outside_the_schema(wire: World) -> None:
    origin = {"localHttpHost": "127.0.0.1", "localHttpPort": 65536}
    proof = wire.environment.link_proof(await wire.challenge(), origin=origin)
    assert await refused(wire, proof) == (400, "invalid_signature_or_scope")


@pytest.mark.parametrize("host", [" LOCALHOST ", "[::1]", "::1"])
async def test_every_spelling_of_this_machine_is_allowed(wire: World, host: str) -> None:
    origin = {"localHttpHost": host, "localHttpPort": 3773}
    proof = wire.environment.link_proof(await wire.challenge(), origin=origin)
    assert (await wire.post_link(proof)).status_code == 200


@pytest.mark.conformance("connect-relay", 64, 67)
@pytest.mark.parametrize(("strict_base", "status"), [(False, 200), (True, 400)])
async def test_a_link_without_tunnel_keeps_its_own_endpoint(
    open_wire: OpenWorld, strict_base: bool, status: int
) -> None:
    world = await open_wire(strict_base=strict_base)
    plain = {"httpBaseUrl": "http://10.0.0.7/", "wsBaseUrl": "ws://10.0.0.7/", "providerKind": "manual"}
    proof = world.environment.link_proof(await world.challenge(), endpoint=plain)
    answer = await world.post_link(proof, managedTunnelsEnabled=False)
    assert answer.status_code == status
    if strict_base:
        assert answer.json()["reason"] == "endpoint_not_secure"
    else:
        assert (answer.json()["endpoint"], answer.json()["endpointRuntime"]) == (plain, None)


@pytest.mark.conformance("connect-relay", 65)
@pytest.mark.parametrize("settings", [{"zone": " . "}, {"provider": "manual"}])
async def test_a_relay_without_endpoints_says_so_and_has_burnt_the_challenge(
    open_wire: OpenWorld, settings: dict[str, Any]
) -> None:
    world = await open_wire(**settings)
    challenge = await world.challenge()
    answer = await refused(world, world.environment.link_proof(challenge))
    assert answer == (503, "managed_endpoint_not_configured")
    assert await refused(world, world.environment.link_proof(challenge)) == (400, "challenge_invalid")
    without = await world.link(managedTunnelsEnabled=False)
    assert without["endpointRuntime"] is None


@pytest.mark.conformance("connect-relay", 66, 70)
@pytest.mark.parametrize(
    ("table", "status", "reason"),
    [
        ("relay_managed_endpoint_allocations", 503, "managed_endpoint_provisioning_failed"),
        ("relay_environment_links", 500, "link_persistence_failed"),
        ("relay_environment_credentials", 500, "credential_persistence_failed"),
        ("relay_dpop_proofs", 500, "replay_persistence_failed"),
    ],
)
async def test_a_table_that_refuses_is_named_by_its_stage_and_leaves_nothing_half_written(
    world: World, table: str, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    challenge = await world.challenge()
    await world.execute(f"ALTER TABLE {table} RENAME TO gone")
    answer = await world.post_link(world.environment.link_proof(challenge))
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    key_text = world.environment.public_key_pem.split("\n")[1]
    assert key_text not in answer.text + caplog.text
    await world.execute(f"ALTER TABLE gone RENAME TO {table}")
    assert await links(world) == []
    assert await world.rows("SELECT hostname FROM relay_managed_endpoint_allocations") == []
    retried = await world.post_link(world.environment.link_proof(challenge))
    if table == "relay_dpop_proofs":  # the one table without which nothing is used up
        assert retried.status_code == 200
    else:
        assert (retried.status_code, retried.json()["reason"]) == (400, "challenge_invalid")
    assert (await world.link())["ok"] is True


@pytest.mark.conformance("connect-relay", 70)
async def test_a_credential_whose_predecessors_cannot_be_revoked_is_not_given_out(
    wire: World, caplog: pytest.LogCaptureFixture
) -> None:
    await wire.link()
    stored = "SELECT credential_hash, revoked_at FROM relay_environment_credentials"
    before = await wire.rows(stored)
    await wire.execute(
        "CREATE TRIGGER no_change BEFORE UPDATE ON relay_environment_credentials"
        " BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    answer = await wire.post_link(wire.environment.link_proof(await wire.challenge()))
    assert (answer.status_code, answer.json()["_tag"]) == (500, "RelayEnvironmentLinkFailedError")
    assert answer.json()["reason"] == "credential_persistence_failed"
    assert wire.environment.public_key_pem.split("\n")[1] not in answer.text + caplog.text
    assert await wire.rows(stored) == before


@pytest.mark.conformance("connect-relay", 68)
async def test_a_relink_revives_the_row_with_its_first_time_and_new_facts(world: World) -> None:
    await world.link()
    [before] = (await world.http.get("/v1/environments", headers=world.bearer())).json()["environments"]
    world.clock.advance(60_000)
    await world.http.delete("/v1/client/environment-links/env-1", headers=world.bearer())
    world.environment.key = generate_key("EdDSA")
    descriptor = {**world.environment.descriptor(), "label": "New name"}
    proof = world.environment.link_proof(await world.challenge(), descriptor=descriptor)
    assert (await world.post_link(proof)).status_code == 200
    [after] = (await world.http.get("/v1/environments", headers=world.bearer())).json()["environments"]
    assert after["linkedAt"] == before["linkedAt"] == "2027-01-15T08:00:00.000Z"
    assert after["label"] == "New name"
    assert after["endpoint"] == before["endpoint"]
    [(key,)] = await world.rows("SELECT environment_public_key FROM relay_environment_links")
    assert key == world.environment.public_key_pem


@pytest.mark.conformance("connect-relay", 69)
async def test_a_new_credential_replaces_those_of_the_same_key_only(world: World) -> None:
    first = await world.link()
    first_key = world.environment.key
    world.environment.key = generate_key("EdDSA")
    await world.link("user_bob")
    world.environment.key = first_key
    second = await world.link()
    active = await world.rows(
        "SELECT environment_public_key FROM relay_environment_credentials WHERE revoked_at IS NULL"
    )
    assert len(active) == 2
    assert first["environmentCredential"] != second["environmentCredential"]
    for linked, status in ((first, 401), (second, 200)):
        headers = {"authorization": f"Bearer {linked['environmentCredential']}"}
        answer = await world.http.get("/v1/environments/env-1/services", headers=headers)
        assert answer.status_code == status


async def test_the_connector_token_is_complete_and_its_key_is_not_kept(world: World) -> None:
    linked = await world.link()
    runtime = linked["endpointRuntime"]
    token = json.loads(b64url_decode(runtime["connectorToken"]))
    host = linked["endpoint"]["httpBaseUrl"].split("/")[2].split(":")[0]
    assert set(token) == {"edgeUrl", "hostnames", "environmentId", "generation", "seed", "origin"}
    assert token["origin"] == "http://127.0.0.1:3773"  # what the link proof named
    assert (token["edgeUrl"], token["hostnames"]) == (world.relay.settings.edge_url, [host])
    assert (token["environmentId"], token["generation"]) == (runtime["tunnelId"], 1)
    assert len(b64url_decode(token["seed"])) == 32
    stored = str(await world.rows("SELECT * FROM relay_managed_endpoint_allocations"))
    assert token["seed"] not in stored


async def test_two_links_at_once_leave_one_key_at_the_highest_generation(world: World) -> None:
    proofs = [world.environment.link_proof(await world.challenge()) for _ in range(4)]
    answers = await asyncio.gather(*(world.post_link(proof) for proof in proofs))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert await world.rows("SELECT generation FROM relay_managed_endpoint_allocations") == [(4,)]
    active = await world.rows("SELECT 1 FROM relay_environment_credentials WHERE revoked_at IS NULL")
    assert len(active) == 1
