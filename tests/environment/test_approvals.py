"""The security mode and the state of a device's key (checklist 124-142)."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.environment.access import MACHINE, Actor, NotAllowed
from doorward.environment.approvals import rules
from doorward.environment.approvals.mode import SecurityModes, SecurityModeUnreadable
from doorward.environment.approvals.rules import Client, Knock
from doorward.environment.keys import SecretStore, names
from doorward.environment.stream import CHANNEL, Event, announce, read_event
from doorward.environment.stream.events import ClientChanged, ClientRemoved, ModeChanged, SessionRemoved
from doorward.store import ConstraintViolated
from tests.environment.conftest import OUTSIDER, Machine, MakeMachine
from tests.environment.engines import engine as engine

KNOCK = Knock(thumbprint="thumb", cloud_user_id="user_owner", label="Phone")


# --- the state machine, without a database -------------------------------------------------------------


@pytest.mark.conformance("connect-environment", 127)
def test_a_first_request_waits() -> None:
    client = rules.requested(None, KNOCK, 1)
    assert (client.status, client.role, client.requested_at, client.updated_at) == (
        "pending",
        "standard",
        1,
        1,
    )
    assert (client.approved_at, client.rejected_at, client.revoked_at, client.last_seen_at) == (None,) * 4


@pytest.mark.conformance("connect-environment", 128)
def test_another_request_of_the_same_account_keeps_the_decision() -> None:
    waiting = rules.requested(None, KNOCK, 1)
    let_in = rules.seen(_some(rules.approved(waiting, 2, "administrator")), 3)
    refused = _some(rules.rejected(waiting, 2))
    for before in (waiting, let_in, refused):
        after = rules.requested(before, KNOCK, 9)
        assert (after.requested_at, after.updated_at) == (9, 9)
        kept = ("status", "role", "approved_at", "rejected_at", "last_seen_at")
        assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]


@pytest.mark.conformance("connect-environment", 129)
def test_a_request_of_another_account_starts_over() -> None:
    let_in = rules.seen(_some(rules.approved(rules.requested(None, KNOCK, 1), 2, "administrator")), 3)
    after = rules.requested(let_in, msgspec.structs.replace(KNOCK, cloud_user_id="user_other"), 9)
    assert (after.status, after.role, after.cloud_user_id) == ("pending", "standard", "user_other")
    assert (after.approved_at, after.rejected_at, after.last_seen_at) == (None, None, None)


@pytest.mark.conformance("connect-environment", 130)
def test_a_revoked_key_that_asks_again_starts_over() -> None:
    let_in = rules.seen(_some(rules.approved(rules.requested(None, KNOCK, 1), 2, "administrator")), 3)
    gone = _some(rules.revoked(let_in, 4))
    assert (gone.revoked_at, gone.status, gone.approved_at) == (4, "approved", 2)
    after = rules.requested(gone, KNOCK, 9)
    assert (after.status, after.role) == ("pending", "standard")
    assert (after.approved_at, after.revoked_at, after.last_seen_at) == (None, None, None)


@pytest.mark.conformance("connect-environment", 131, 132)
def test_decisions_replace_one_another_with_their_times() -> None:
    waiting = rules.requested(None, KNOCK, 1)
    let_in = rules.seen(_some(rules.approved(waiting, 2)), 3)
    again = _some(rules.approved(let_in, 4))
    assert (again.approved_at, again.last_seen_at) == (4, 3)
    refused = _some(rules.rejected(again, 5))
    assert (refused.approved_at, refused.rejected_at, refused.last_seen_at) == (None, 5, None)
    back = _some(rules.approved(refused, 6))
    assert (back.approved_at, back.rejected_at, back.last_seen_at) == (6, None, None)
    assert rules.seen(refused, 7) == refused


def test_a_role_is_granted_kept_while_approved_and_lost_with_the_approval() -> None:
    chief = _some(rules.approved(rules.requested(None, KNOCK, 1), 2, "administrator"))
    assert _some(rules.approved(chief, 3)).role == "administrator"
    assert _some(rules.approved(chief, 3, "standard")).role == "standard"
    refused = _some(rules.rejected(chief, 4))
    assert refused.role == "standard"
    assert _some(rules.approved(refused, 5)).role == "standard"


STEPS = st.lists(
    st.sampled_from(["ask", "ask as other", "approve", "promote", "reject", "revoke", "see"]), max_size=25
)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_the_rows_obey_the_tables_rules(steps: list[str]) -> None:
    row: Client | None = None
    for now, step in enumerate(steps, start=1):
        before = row
        if step == "ask":
            row = rules.requested(row, KNOCK, now)
        elif step == "ask as other":
            row = rules.requested(row, msgspec.structs.replace(KNOCK, cloud_user_id="user_other"), now)
        elif step == "approve":
            row = rules.approved(row, now) or row
        elif step == "promote":
            row = rules.approved(row, now, "administrator") or row
        elif step == "reject":
            row = rules.rejected(row, now) or row
        elif step == "revoke":
            row = rules.revoked(row, now) or row
        elif row is not None:
            row = rules.seen(row, now)
        if row is None:
            continue
        assert (row.status == "approved") == (row.approved_at is not None)
        assert (row.status == "rejected") == (row.rejected_at is not None)
        assert row.status == "approved" or row.last_seen_at is None
        assert row.status == "approved" or row.role == "standard"
        if row.role == "administrator" and (before is None or before.role == "standard"):
            assert step == "promote"
        if rules.is_let_in(row) and not rules.is_let_in(before):
            assert step in ("approve", "promote")


def _some(client: Client | None) -> Client:
    assert client is not None
    return client


# --- the stored mode -----------------------------------------------------------------------------------


@pytest.mark.conformance("connect-environment", 124, 125)
def test_only_the_two_words_are_modes(tmp_path: Path) -> None:
    secrets = SecretStore(tmp_path / "secrets")
    modes = SecurityModes(secrets)
    assert modes.read() == "account"
    secrets.set(names.SECURITY_MODE, b" client-approval\n")
    assert modes.read() == "client-approval"
    for stored, shown in (
        (b"CLIENT-APPROVAL", "CLIENT-APPROVAL"),
        (b"", ""),
        (b"x", "x"),
        (b"account x", "account x"),
    ):
        secrets.set(names.SECURITY_MODE, stored)
        with pytest.raises(SecurityModeUnreadable) as refused:
            modes.read()
        assert str(refused.value) == f"Invalid Connect security mode: {shown}"
    modes.write("account")
    assert modes.read() == "account"
    (tmp_path / "secrets" / "connect-security-mode.bin").unlink()
    (tmp_path / "secrets" / "connect-security-mode.bin").mkdir()
    with pytest.raises(SecurityModeUnreadable, match=r"^Failed to load Connect security mode\.$"):
        modes.read()


def test_the_first_mode_is_stored_once_and_never_guessed_again(tmp_path: Path) -> None:
    secrets = SecretStore(tmp_path / "secrets")
    modes = SecurityModes(secrets)
    modes.initialise("client-approval")
    modes.write("account")
    modes.initialise("client-approval")
    assert modes.read() == "account"
    secrets.remove(names.SECURITY_MODE)
    modes.initialise("client-approval")
    with pytest.raises(SecurityModeUnreadable):
        modes.read()
    modes.write("client-approval")
    assert modes.read() == "client-approval"


# --- the service ---------------------------------------------------------------------------------------

pytestmark = pytest.mark.anyio


async def events_of(machine: Machine, act: Awaitable[object]) -> list[Event]:
    """What `act` announces: between two marks, for PostgreSQL may still deliver what came before."""
    database = machine.environment.database

    async def mark(name: str) -> None:
        await database.write(lambda tx: announce(tx, SessionRemoved(name)))

    seen: list[Event] = []
    async with database.subscribe(CHANNEL) as payloads:
        await mark("begin")
        await act
        await mark("end")
        async for payload in payloads:
            event = read_event(payload)
            if event == SessionRemoved("begin"):
                seen.clear()
            elif event == SessionRemoved("end"):
                break
            elif isinstance(event, ClientChanged | ClientRemoved | ModeChanged):
                seen.append(event)
    return seen


async def rows_of(machine: Machine) -> list[tuple[object, ...]]:
    """The table of devices as it is, revoked ones too."""
    return await machine.environment.database.read(
        lambda tx: tx.fetch_all("SELECT * FROM auth_connect_clients ORDER BY client_proof_key_thumbprint")
    )


@pytest.mark.conformance("connect-environment", 126, 146)
async def test_a_broken_mode_is_repaired_by_storing_one_and_everybody_hears_of_it(machine: Machine) -> None:
    machine.environment.secrets.set(names.SECURITY_MODE, b"broken")
    for _ in range(2):
        machine.clock.advance(1)
        [event] = await events_of(machine, machine.environment.approvals.set_mode(MACHINE, "client-approval"))
        assert isinstance(event, ModeChanged)
        assert event.mode == "client-approval"


@pytest.mark.conformance("connect-environment", 133, 142)
async def test_nothing_is_decided_about_a_key_that_is_not_there(machine: Machine) -> None:
    approvals = machine.environment.approvals
    device = machine.device()
    await machine.ask_mint(device)
    await approvals.revoke(MACHINE, device.thumbprint)
    before = await rows_of(machine)
    machine.clock.advance(10)
    owner = await machine.bearer()
    for thumbprint in ("unknown", device.thumbprint):
        for decide in (approvals.approve, approvals.reject, approvals.revoke):
            assert await events_of(machine, decide(MACHINE, thumbprint)) == []
            assert not await decide(MACHINE, thumbprint)
        for verb, said in (
            ("approve", {"client": None}),
            ("reject", {"client": None}),
            ("revoke", {"revoked": False}),
        ):
            answer = await machine.local.post(
                f"/api/auth/connect-clients/{verb}",
                json={"clientProofKeyThumbprint": thumbprint},
                headers=owner,
            )
            assert (answer.status_code, answer.json()) == (200, said)
    assert await rows_of(machine) == before


@pytest.mark.conformance("connect-environment", 134, 148)
async def test_a_key_is_revoked_once(machine: Machine) -> None:
    approvals = machine.environment.approvals
    device = machine.device()
    await machine.ask_mint(device)
    assert await events_of(machine, approvals.revoke(MACHINE, device.thumbprint)) == [
        ClientRemoved(device.thumbprint)
    ]
    assert await events_of(machine, approvals.revoke(MACHINE, device.thumbprint)) == []
    assert await approvals.revoke(MACHINE, device.thumbprint) is False


@pytest.mark.conformance("connect-environment", 135, 136, 147)
async def test_a_mint_and_a_decision_never_cross(machine: Machine) -> None:
    """Request, decision and last-seen are one transaction: whatever comes between came before or after."""
    approvals = machine.environment.approvals
    for verdict in (approvals.reject, approvals.revoke):
        device = machine.device()
        await machine.ask_mint(device)
        await approvals.approve(MACHINE, device.thumbprint)
        answers = await asyncio.gather(
            machine.ask_mint(device), verdict(MACHINE, device.thumbprint), machine.ask_mint(device)
        )
        assert all(answer.status_code == 200 for answer in (answers[0], answers[2]))
        status = await approvals.status(device.thumbprint)
        assert status in (("rejected",) if verdict == approvals.reject else ("pending", "unknown"))
        listed = [client.thumbprint for client in await approvals.list(MACHINE)]
        assert (device.thumbprint in listed) == (status != "unknown")
        for answer in (answers[0], answers[2]):
            if "credential" in answer.json():
                assert (await machine.exchange(answer.json()["credential"], device)).status_code == 401
    device = machine.device()
    await machine.ask_mint(device)
    await approvals.approve(MACHINE, device.thumbprint)
    machine.clock.advance(10)
    upsert, seen = await events_of(machine, machine.ask_mint(device))
    assert isinstance(upsert, ClientChanged)
    assert isinstance(seen, ClientChanged)
    assert (upsert.client.last_seen_at, seen.client.last_seen_at) == (None, machine.clock())


@pytest.mark.conformance("connect-environment", 138)
async def test_the_list_puts_who_waits_first_and_then_the_latest(machine: Machine) -> None:
    approvals = machine.environment.approvals
    devices = sorted((machine.device() for _ in range(8)), key=lambda device: device.thumbprint)
    for index in (0, 1, 2, 4, 3, 5, 6, 7):
        # 4 and 3 ask in the same millisecond.
        machine.clock.advance(0 if index == 3 else 10)
        await machine.ask_mint(devices[index])
    for index, verdict in (
        (2, approvals.approve),
        (0, approvals.approve),
        (7, approvals.reject),
        (1, approvals.reject),
        (6, approvals.revoke),
    ):
        machine.clock.advance(10)
        await verdict(MACHINE, devices[index].thumbprint)
    listed = [client.thumbprint for client in await approvals.list(MACHINE)]
    assert listed == [devices[index].thumbprint for index in (5, 4, 3, 0, 2, 1, 7)]
    owner = await machine.bearer()
    told = await machine.local.get("/api/auth/connect-clients", headers=owner)
    assert [client["clientProofKeyThumbprint"] for client in told.json()] == listed


@pytest.mark.conformance("connect-environment", 139, 140)
@pytest.mark.parametrize(
    "change",
    [
        "status = 'foo'",
        "client_device_type = 'phone'",
        "role = 'root'",
        "status = 'approved'",
        "status = 'rejected'",
        "last_seen_at = 1",
        "role = 'administrator'",
    ],
)
async def test_the_table_itself_refuses_what_no_rule_would_write(machine: Machine, change: str) -> None:
    await machine.ask_mint(machine.device())
    with pytest.raises(ConstraintViolated) as refused:
        await machine.environment.database.write(
            lambda tx: tx.execute(f"UPDATE auth_connect_clients SET {change}")
        )
    assert refused.value.kind == "check"


async def test_nobody_from_outside_decides(machine: Machine) -> None:
    device = machine.device()
    await machine.ask_mint(device)
    approvals = machine.environment.approvals
    everything = Actor(door="elsewhere", name="x", scopes=frozenset({"access:read", "access:write"}))
    for actor in (OUTSIDER, everything):
        for attempt in (
            approvals.list(actor),
            approvals.approve(actor, device.thumbprint),
            approvals.approve(actor, device.thumbprint, role="administrator"),
            approvals.reject(actor, device.thumbprint),
            approvals.revoke(actor, device.thumbprint),
            approvals.set_mode(actor, "account"),
        ):
            with pytest.raises(NotAllowed):
                await attempt
    assert await approvals.status(device.thumbprint) == "pending"


@pytest.mark.parametrize("verb", ["reject", "revoke"])
async def test_a_decision_against_a_key_ends_all_it_holds_at_once(machine: Machine, verb: str) -> None:
    environment = machine.environment
    device = machine.device()
    await machine.admit(device)
    unused = (await machine.ask_mint(device)).json()["credential"]
    [listed] = await environment.sessions.list(MACHINE)
    code = await environment.children.issue_code(listed.session.id, "demo.example", "hash")
    ticket, _ = environment.sessions.ticket(listed.session)
    ended = environment.endings.register(listed.session.id)
    await getattr(environment.approvals, verb)(MACHINE, device.thumbprint)
    async with asyncio.timeout(15):
        await ended.wait()
    assert (await machine.as_device(device, "GET", "/api/auth/session")).json()["authenticated"] is False
    assert (await machine.exchange(unused, device)).status_code == 401
    assert await environment.children.redeem_code(code, "demo.example", "x") is None
    with pytest.raises(Exception, match="ended"):
        await environment.authentication.session_of_ticket(ticket)


async def test_what_one_accounts_approval_gave_ends_when_another_account_brings_the_key(
    machine: Machine,
) -> None:
    device = machine.device()
    await machine.admit(device)
    unused = (await machine.ask_mint(device)).json()["credential"]
    knock = Knock(thumbprint=device.thumbprint, cloud_user_id="user_other")
    assert (await machine.environment.approvals.decide(knock)).status == "pending"
    assert (await machine.exchange(unused, device)).status_code == 401
    assert (await machine.as_device(device, "GET", "/api/auth/session")).json()["authenticated"] is False


async def test_requiring_approval_ends_what_was_let_in_without(make_machine: MakeMachine) -> None:
    machine = await make_machine(mode="account")
    stranger, friend = machine.device(), machine.device()
    await machine.environment.approvals.set_mode(MACHINE, "client-approval")
    await machine.admit(friend)
    await machine.environment.approvals.set_mode(MACHINE, "account")
    await machine.admit(stranger)
    unused = (await machine.ask_mint(stranger)).json()["credential"]
    await machine.environment.approvals.set_mode(MACHINE, "client-approval")
    assert (await machine.exchange(unused, stranger)).status_code == 401
    assert (await machine.as_device(stranger, "GET", "/api/auth/session")).json()["authenticated"] is False
    assert (await machine.as_device(friend, "GET", "/api/auth/session")).json()["authenticated"] is True


async def test_the_next_start_ends_what_a_power_cut_left_alive_while_approval_was_turned_on(
    make_machine: MakeMachine,
) -> None:
    machine = await make_machine(mode="account")
    stranger, friend = machine.device(), machine.device()
    await machine.admit(stranger)
    machine.environment.modes.write("client-approval")  # and there the power went
    await machine.admit(friend)
    await machine.environment.approvals.finish_interrupted()
    assert (await machine.as_device(stranger, "GET", "/api/auth/session")).json()["authenticated"] is False
    assert (await machine.as_device(friend, "GET", "/api/auth/session")).json()["authenticated"] is True


async def test_a_waiting_device_hears_of_the_decision_at_once(machine: Machine) -> None:
    approvals = machine.environment.approvals
    device = machine.device()
    assert await approvals.status(device.thumbprint) == "unknown"
    assert await approvals.wait_for_change(device.thumbprint, seen="pending", timeout_seconds=5) == "unknown"
    await machine.ask_mint(device)
    assert (
        await approvals.wait_for_change(device.thumbprint, seen="pending", timeout_seconds=0.05) == "pending"
    )
    for decide, expected in (
        (lambda: approvals.approve(MACHINE, device.thumbprint), "approved"),
        (lambda: approvals.reject(MACHINE, device.thumbprint), "rejected"),
        (lambda: approvals.revoke(MACHINE, device.thumbprint), "unknown"),
        (lambda: approvals.set_mode(MACHINE, "account"), "approved"),
    ):
        seen = await approvals.status(device.thumbprint)
        waiting = asyncio.create_task(
            approvals.wait_for_change(device.thumbprint, seen=seen, timeout_seconds=120)
        )
        await asyncio.sleep(0.05)
        await decide()
        async with asyncio.timeout(15):
            assert await waiting == expected


async def test_every_decision_is_on_record(machine: Machine) -> None:
    device = machine.device()
    await machine.ask_mint(device)
    approvals = machine.environment.approvals
    await approvals.approve(MACHINE, device.thumbprint, role="administrator")
    await approvals.reject(MACHINE, device.thumbprint)
    await approvals.revoke(MACHINE, device.thumbprint)
    await approvals.set_mode(MACHINE, "account")
    entries = {entry.action: entry for entry in await machine.environment.audit.recent()}
    assert (entries["client.approve"].object, entries["client.approve"].detail) == (
        device.thumbprint,
        "administrator",
    )
    assert {"client.reject", "client.revoke", "security_mode.set", "link.apply"} <= set(entries)
    assert {entry.actor for entry in entries.values()} == {"cli"}
    assert {entry.came_from for entry in entries.values()} == {"machine"}


async def test_decisions_of_one_millisecond_are_told_in_the_order_they_were_taken(machine: Machine) -> None:
    approvals = machine.environment.approvals
    devices = [machine.device() for _ in range(8)]
    for device in devices:
        await machine.ask_mint(device)
    for device in devices:
        await approvals.approve(MACHINE, device.thumbprint)
    entries = [
        entry for entry in await machine.environment.audit.recent() if entry.action == "client.approve"
    ]
    assert len({entry.happened_at for entry in entries}) == 1
    assert [entry.object for entry in entries] == [device.thumbprint for device in reversed(devices)]
