"""What the tables themselves refuse, what the audit trail holds, and what no row or log ever holds."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

import doorward.relay.relay as relay_module
from doorward.relay import SCHEMA
from doorward.relay.connect.store import stored_target, stored_target_of
from doorward.relay.credentials.rules import new_credential
from doorward.relay.endpoints.store import find
from doorward.relay.tokens.mint_key import load_mint_key
from doorward.store import ConstraintViolated, SealBroken, Sealer
from tests.conftest import ClockForTests, OpenTestDatabase
from tests.relay.world import World

pytestmark = pytest.mark.anyio


@pytest.mark.conformance("connect-relay", 143)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE relay_environment_links SET endpoint_provider_kind = 'unknown'",
        "UPDATE relay_managed_endpoint_allocations SET generation = -1",
        "INSERT INTO relay_mobile_devices (user_id, device_id, platform, preferences_json, created_at, updated_at)"
        " VALUES ('u', 'd', 'windows', '{}', 0, 0)",
        "INSERT INTO relay_mobile_devices (user_id, device_id, platform, aps_environment, preferences_json,"
        " created_at, updated_at) VALUES ('u', 'd', 'ios', 'staging', '{}', 0, 0)",
        "INSERT INTO relay_managed_tunnel_limits (user_id, max_tunnels, created_at, updated_at)"
        " VALUES ('u', -1, 0, 0)",
        "INSERT INTO relay_deliveries (id, user_id, device_id, kind, job, token_suffix, not_before, created_at)"
        " VALUES ('i', 'u', 'd', 'carrier_pigeon', '', '', 0, 0)",
    ],
)
async def test_a_value_outside_the_known_ones_cannot_be_stored(world: World, statement: str) -> None:
    await world.link()
    with pytest.raises(ConstraintViolated) as refused:
        await world.execute(statement)
    assert refused.value.kind == "check"


@pytest.mark.parametrize("absent", ["", "ready_at", "tunnel_id", "dns_record_id"])
async def test_the_database_and_the_program_agree_on_what_is_ready(world: World, absent: str) -> None:
    await world.link()
    if absent:
        await world.execute(f"UPDATE relay_managed_endpoint_allocations SET {absent} = NULL")
    [(user_id, environment_id)] = await world.rows(
        "SELECT user_id, environment_id FROM relay_environment_links"
    )
    row = await world.database.read(lambda tx: find(tx, user_id=user_id, environment_id=environment_id))
    stored = stored_target_of(
        *await world.database.ask(stored_target(user_id=user_id, environment_id=environment_id))
    )
    assert row is not None
    assert stored is not None
    assert row.is_ready == stored.is_ready == (not absent)


async def test_every_change_of_state_is_in_the_audit_trail_with_who_what_where(world: World) -> None:
    linked = await world.link()
    credential = {"authorization": f"Bearer {linked['environmentCredential']}"}
    await world.http.put("/v1/environments/env-1/services/notes", headers=credential)
    await world.http.delete("/v1/environments/env-1/services/notes", headers=credential)
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    await world.http.delete("/v1/client/environment-links/env-1", headers={**world.bearer(), **trace})
    rows = await world.rows("SELECT actor, action, object, source, trace_id, at FROM relay_audit")
    assert sorted(row[:4] for row in rows) == [
        ("relay", "delivery_secret.created", "delivery-jobs", "relay"),
        ("relay", "mint_key.created", "cloud-mint", "relay"),
        ("relay", "vapid_key.created", "web-push-vapid", "relay"),
        ("t3-env:env-1", "service_name.claimed", "notes", "127.0.0.1"),
        ("t3-env:env-1", "service_name.released", "notes", "127.0.0.1"),
        ("user_alice", "link.made", "env-1", "127.0.0.1"),
        ("user_alice", "link.revoked", "env-1", "127.0.0.1"),
    ]
    [revoked] = [row for row in rows if row[1] == "link.revoked"]
    assert revoked[4:] == ("4bf92f3577b34da6a3ce929d0e0e4736", world.clock())


async def test_no_secret_is_written_to_rows_or_logs(
    world: World, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    linked = await world.link()
    token = await world.token()
    await world.connect(token)
    await world.connect("spoilt." + token)
    session = world.accounts.session()
    await world.exchange(subject_token=session)
    secrets = [
        linked["environmentCredential"].split("_")[2],
        linked["endpointRuntime"]["connectorToken"],
        token.split(".")[2],
        session.split(".")[2],
        "ABCDEFGHJKLM",
        "PRIVATE KEY",
    ]
    written = caplog.text
    for table in ("links", "credentials"):
        written += str(await world.rows(f"SELECT * FROM relay_environment_{table}"))
    for table in ("managed_endpoint_allocations", "dpop_proofs", "audit", "signing_keys", "rate_windows"):
        written += str(await world.rows(f"SELECT * FROM relay_{table}"))
    assert [secret for secret in secrets if secret in written] == []
    assert "user_alice" in written


def test_secrets_are_not_in_representations() -> None:
    credential = new_credential()
    assert credential.token.split("_")[2] not in repr(credential)


async def test_an_unexpected_failure_is_an_empty_500_with_its_trace_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.execute(
        "INSERT INTO relay_mobile_devices (user_id, device_id, platform, preferences_json, created_at, updated_at)"
        " VALUES ('user_alice', 'd', 'ios', '{\"notificationsEnabled\":\"maybe\"}', 0, 0)"
    )
    answer = await world.http.get("/v1/client/devices", headers=world.bearer())
    assert (answer.status_code, answer.content) == (500, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["traceparent"].split("-")[1] in caplog.text


async def test_rate_windows_are_pruned_with_the_proofs(world: World) -> None:
    await world.token()
    before: list[tuple[Any, ...]] = await world.rows("SELECT bucket, requests FROM relay_rate_windows")
    assert before == [("token_exchanges", 1)]
    world.clock.advance(10 * 60_000)
    await world.relay.prune()
    assert await world.rows("SELECT bucket FROM relay_rate_windows") == []
    assert await world.rows("SELECT jti FROM relay_dpop_proofs") == []


async def test_an_unknown_value_that_got_into_a_row_is_a_failure_and_never_a_guess(world: World) -> None:
    """As after an edit by hand, or by a newer program: the copied table has no CHECK."""
    await world.link()
    await world.execute("ALTER TABLE relay_environment_links RENAME TO checked")
    await world.execute("CREATE TABLE relay_environment_links AS SELECT * FROM checked")
    await world.execute("UPDATE relay_environment_links SET endpoint_provider_kind = 'teleport'")
    listed = await world.http.get("/v1/environments", headers=world.bearer())
    assert (listed.status_code, listed.content) == (500, b"")
    for call in (world.connect, world.status):
        assert (await call()).status_code == 500
    assert world.environment.received == []


async def test_the_background_job_prunes_until_it_is_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "PRUNE_INTERVAL_S", 0.01)
    await world.token()
    world.clock.advance(10 * 60_000)
    await world.relay.start()
    async with asyncio.timeout(60):
        while await world.rows("SELECT jti FROM relay_dpop_proofs"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await world.relay.stop()
    await world.token()
    world.clock.advance(10 * 60_000)
    await asyncio.sleep(0.05)
    assert len(await world.rows("SELECT jti FROM relay_dpop_proofs")) == 1


async def test_nodes_that_start_together_agree_on_one_signing_key(
    open_test_database: OpenTestDatabase, clock: ClockForTests, tmp_path: Path
) -> None:
    database = await open_test_database(SCHEMA)
    sealer = Sealer.from_file(tmp_path / "kek")
    keys = await asyncio.gather(*(load_mint_key(database, sealer, clock) for _ in range(5)))
    assert len({key.thumbprint for key in keys}) == 1
    created = await database.read(lambda tx: tx.fetch_all("SELECT action FROM relay_audit"))
    assert created == [("mint_key.created",)]


async def test_a_wrong_key_file_is_noticed_at_the_start(world: World, tmp_path: Path) -> None:
    with pytest.raises(SealBroken):
        await load_mint_key(world.database, Sealer.from_file(tmp_path / "another"), world.clock)
