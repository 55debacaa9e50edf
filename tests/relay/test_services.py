"""Service names: who may claim which, and for how long a freed one is kept."""

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.relay.services.rules import (
    HOLD_MS,
    MOST_NAMES,
    RESERVED_NAMES,
    ServiceNameRow,
    check_name,
    may_claim,
)
from doorward.relay.settings import CustomHost, check_custom_hosts
from tests.relay.foreign import Environment
from tests.relay.world import World


def path(name: str = "", environment_id: str = "env-1") -> str:
    return f"/v1/environments/{environment_id}/services" + (f"/{name}" if name else "")


def credential(linked: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {linked['environmentCredential']}"}


async def second_machine(world: World, user_id: str = "user_bob") -> dict[str, str]:
    other = Environment(world.origin, world.clock, "env-2")
    return credential(await world.link(user_id, environment=other))


@pytest.mark.anyio
async def test_a_machine_claims_lists_and_frees_its_names(world: World) -> None:
    linked = await world.link()
    mine = credential(linked)
    port = world.relay.settings.endpoint_port
    notes = {"name": "notes", "hostname": "notes.env.localhost", "url": f"http://notes.env.localhost:{port}/"}
    for _ in range(2):
        claimed = await world.http.put(path("notes"), headers=mine)
        assert (claimed.status_code, claimed.json()) == (200, notes)
    assert (await world.http.get(path(), headers=mine)).json() == {"services": [notes]}
    owner = await world.relay.resolve_host("NOTES.env.localhost:8080")
    assert owner is not None
    assert (owner.environment_id, owner.account) == (linked["endpointRuntime"]["tunnelId"], "user_alice")
    assert (await world.http.delete(path("notes"), headers=mine)).json() == {"ok": True}
    assert (await world.http.delete(path("notes"), headers=mine)).json() == {"ok": False}
    assert (await world.http.get(path(), headers=mine)).json() == {"services": []}
    assert await world.relay.resolve_host("notes.env.localhost") is None


CUSTOM = (CustomHost(host="notes.ada.example", service="notes", account="user_alice"),)


@pytest.mark.anyio
async def test_a_service_may_have_a_host_of_its_owners_own_and_no_other(world: World) -> None:
    await world.restart(custom_hosts=CUSTOM)
    linked = await world.link()
    tunnel_id = linked["endpointRuntime"]["tunnelId"]
    claimed = await world.http.put(path("notes"), headers=credential(linked))
    assert claimed.json()["hostname"] == "notes.ada.example"
    assert "notes.ada.example" in await world.relay.hostnames(tunnel_id)
    owner = await world.relay.resolve_host("notes.ada.example:443")
    assert owner is not None
    assert (owner.environment_id, owner.account) == (tunnel_id, "user_alice")
    assert await world.relay.resolve_host("notes.env.localhost") is None
    entries = (await world.http.get("/v1/environments", headers=world.bearer())).json()["environments"]
    assert entries[0]["services"][0]["url"].startswith("http://notes.ada.example")


@pytest.mark.anyio
async def test_whoever_claims_the_name_first_does_not_get_anothers_host(world: World) -> None:
    await world.restart(custom_hosts=CUSTOM)
    strangers = await second_machine(world)
    claimed = await world.http.put(path("notes", "env-2"), headers=strangers)
    assert claimed.json()["hostname"] == "notes.env.localhost"
    assert await world.relay.resolve_host("notes.ada.example") is None
    owner = await world.relay.resolve_host("notes.env.localhost")
    assert owner is not None
    assert owner.account == "user_bob"


@pytest.mark.parametrize(
    "hosts",
    [
        ["Notes.ada.example"],
        ["notes"],
        ["notes.ada.example."],
        ["-notes.ada.example"],
        ["x" * 64 + ".example"],
        [".".join(["a" * 60] * 5)],
        ["env.localhost"],
        ["notes.env.localhost"],
        ["relay.localhost"],
        ["one.example", "one.example"],
    ],
)
def test_a_custom_host_that_is_none_or_not_free_is_a_configuration_error(hosts: list[str]) -> None:
    custom = [CustomHost(host=host, service=f"s{n}", account="user_alice") for n, host in enumerate(hosts)]
    with pytest.raises(ValueError, match=r"custom host"):
        check_custom_hosts(custom, zone="env.localhost", own_host="relay.localhost")


def test_a_service_has_one_custom_host() -> None:
    custom = [CustomHost(host=f"{n}.example", service="notes", account="user_alice") for n in ("a", "b")]
    with pytest.raises(ValueError, match="two custom hosts"):
        check_custom_hosts(custom, zone="env.localhost", own_host="relay.localhost")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "spelling", ["notes.env.localhost.", "notes.env.localhost...", " notes.env.localhost"]
)
async def test_a_name_has_one_spelling_because_the_edge_keeps_what_it_is_told(
    world: World, spelling: str
) -> None:
    linked = await world.link()
    await world.http.put(path("notes"), headers=credential(linked))
    api_host = (await world.relay.hostnames(linked["endpointRuntime"]["tunnelId"]))[0]
    assert await world.relay.resolve_host(spelling) is None
    assert await world.relay.resolve_host(spelling.replace("notes.env.localhost", api_host)) is None


@pytest.mark.anyio
async def test_a_claim_tells_the_edge_at_once(world: World) -> None:
    linked = await world.link()
    tunnel_id = linked["endpointRuntime"]["tunnelId"]
    async with world.database.subscribe("relay.hostnames") as names:
        await world.http.put(path("notes"), headers=credential(linked))
        assert await anext(names) == tunnel_id
    assert (await world.relay.hostnames(tunnel_id))[1:] == ("notes.env.localhost",)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("admin", "name_reserved"),
        ("accounts", "name_reserved"),
        ("Notes", "name_invalid"),
        ("a.b", "name_invalid"),
        ("-a", "name_invalid"),
        ("a" * 64, "name_invalid"),
        ("xn--80ak6aa92e", "name_invalid"),
        ("local-d101ac68108a423e", "name_invalid"),
        ("d101ac68108a423e", "name_invalid"),
    ],
)
async def test_a_name_that_could_mislead_is_refused(wire: World, name: str, code: str) -> None:
    linked = await wire.link()
    answer = await wire.http.put(path(name), headers=credential(linked))
    assert answer.status_code == 422
    assert list(answer.json()) == ["_tag", "code", "traceId"]
    assert (answer.json()["_tag"], answer.json()["code"]) == ("RelayServiceNameRefusedError", code)


@pytest.mark.anyio
async def test_a_name_in_use_is_taken_even_for_the_same_accounts_other_machine(world: World) -> None:
    first = credential(await world.link())
    await world.http.put(path("notes"), headers=first)
    for user_id in ("user_bob", "user_alice"):
        other = await second_machine(world, user_id)
        answer = await world.http.put(path("notes", "env-2"), headers=other)
        assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
        assert (await world.http.delete(path("notes", "env-2"), headers=other)).json() == {"ok": False}


@pytest.mark.anyio
async def test_a_freed_name_stays_with_its_account_for_ninety_days(world: World) -> None:
    first = credential(await world.link())
    await world.http.put(path("notes"), headers=first)
    await world.http.delete(path("notes"), headers=first)
    stranger = await second_machine(world)

    async def strangers_claim() -> int:
        return (await world.http.put(path("notes", "env-2"), headers=stranger)).status_code

    assert await strangers_claim() == 409
    world.clock.advance(HOLD_MS - 1)
    assert await strangers_claim() == 409
    assert (await world.http.put(path("notes"), headers=first)).status_code == 200
    await world.http.delete(path("notes"), headers=first)
    world.clock.advance(HOLD_MS)
    assert await strangers_claim() == 200
    assert (await world.http.put(path("notes"), headers=first)).status_code == 409


@pytest.mark.anyio
async def test_an_account_holds_a_hundred_names_and_no_more_whatever_it_frees(world: World) -> None:
    mine = credential(await world.link())
    for number in range(MOST_NAMES):
        assert (await world.http.put(path(f"n{number}"), headers=mine)).status_code == 200
    await world.http.delete(path("n0"), headers=mine)
    answer = await world.http.put(path("one-more"), headers=mine)
    assert (answer.status_code, answer.json()["_tag"]) == (409, "RelayServiceNameLimitError")
    assert answer.json()["code"] == "too_many_names"
    assert (await world.http.put(path("n0"), headers=mine)).status_code == 200
    assert (await world.http.put(path("n1"), headers=mine)).status_code == 200
    assert (
        await world.http.put(path("one-more", "env-2"), headers=await second_machine(world))
    ).status_code == 200
    await world.http.delete(path("n0"), headers=mine)
    world.clock.advance(HOLD_MS)
    assert (await world.http.put(path("one-more-still"), headers=mine)).status_code == 200


@pytest.mark.anyio
async def test_of_two_machines_claiming_one_name_at_once_one_gets_it(world: World) -> None:
    first, second = credential(await world.link()), await second_machine(world)

    async def claim(headers: dict[str, str], environment_id: str, name: str) -> httpx.Response:
        return await world.http.put(path(name, environment_id), headers=headers)

    for round_number in range(5):
        name = f"race{round_number}"
        answers = await asyncio.gather(claim(first, "env-1", name), claim(second, "env-2", name))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(await world.rows("SELECT name FROM relay_service_names")) == 5


@pytest.mark.anyio
@pytest.mark.conformance("connect-relay", 26, 27, 28)
async def test_only_an_active_credential_of_this_very_machine_is_accepted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    linked = await world.link()
    mine = credential(linked)
    elsewhere = await world.http.get(path("", "env-2"), headers=mine)
    assert (elsewhere.status_code, elsewhere.json()["reason"]) == (401, "not_authorized")
    for headers in ({}, {"authorization": "Bearer t3env_x_y"}, world.bearer()):
        answer = await world.http.get(path(), headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (401, "not_authorized")
        assert "www-authenticate" not in answer.headers
    await world.execute("UPDATE relay_environment_credentials SET revoked_at = 1")
    assert (await world.http.get(path(), headers=mine)).json()["reason"] == "not_authorized"
    await world.execute("ALTER TABLE relay_environment_credentials RENAME TO gone")
    failed = await world.http.get(path(), headers=mine)
    assert (failed.status_code, failed.json()["reason"]) == (500, "persistence_failed")
    assert linked["environmentCredential"] not in failed.text + caplog.text


@pytest.mark.anyio
async def test_a_credential_kept_alive_by_another_accounts_link_does_nothing_for_the_first(
    world: World,
) -> None:
    await world.link("user_bob")
    alice = credential(await world.link("user_alice"))
    await world.http.delete("/v1/client/environment-links/env-1", headers=world.bearer("user_alice"))
    still_stored = await world.rows("SELECT 1 FROM relay_environment_credentials WHERE revoked_at IS NULL")
    assert len(still_stored) == 1
    assert (await world.http.get(path(), headers=alice)).status_code == 401


@given(st.text(max_size=70))
def test_whatever_passes_is_one_plain_dns_label(name: str) -> None:
    if check_name(name) is None:
        assert name.isascii()
        assert name == name.lower().strip("-.")
        assert 1 <= len(name) <= 63
        assert name not in RESERVED_NAMES
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@given(st.integers(0, 2 * HOLD_MS), st.booleans())
def test_a_stranger_never_gets_a_name_in_use_or_on_hold(waited: int, is_released: bool) -> None:
    row = ServiceNameRow("notes", "user_alice", "env-1", 0 if is_released else None)
    allowed = may_claim(row, user_id="user_bob", environment_id="env-2", now=waited)
    assert allowed == (is_released and waited >= HOLD_MS)


def test_reserved_names_are_labels_that_would_otherwise_pass() -> None:
    assert {name for name in RESERVED_NAMES if check_name(name) != "name_reserved"} == set()
