"""Codes and cookies the gate issues under a device's session."""

import asyncio
import hashlib

import pytest

from doorward.environment.access import MACHINE
from doorward.environment.children.service import SessionEnded
from doorward.jose import b64url_encode
from tests.environment.conftest import Device, Machine
from tests.environment.engines import engine as engine

pytestmark = pytest.mark.anyio

HOST = "demo.env.example.test"
NONCE = "a-nonce-of-this-browser"
NONCE_HASH = b64url_encode(hashlib.sha256(NONCE.encode()).digest())


async def session_of(machine: Machine, device: Device) -> str:
    await machine.admit(device)
    sessions = await machine.environment.sessions.list(MACHINE)
    return next(item.session.id for item in sessions if item.session.thumbprint == device.thumbprint)


async def test_a_code_becomes_one_cookie_of_its_host_for_fifteen_minutes(machine: Machine) -> None:
    children, device = machine.environment.children, machine.device()
    session = await session_of(machine, device)
    code = await children.issue_code(session, HOST.upper(), NONCE_HASH)
    child = await children.redeem_code(code, HOST, NONCE)
    assert child is not None
    assert child.expires_at == machine.clock() + 15 * 60_000
    assert child.cookie not in repr(child)
    visitor = await children.authorise_cookie(child.cookie, HOST)
    assert visitor is not None
    assert (visitor.session_id, visitor.thumbprint, visitor.cloud_user_id) == (
        session,
        device.thumbprint,
        "user_owner",
    )
    assert visitor.session_expires_at == machine.clock() + 3_600_000
    assert await children.authorise_cookie(child.cookie, "other.env.example.test") is None
    assert await children.authorise_cookie("nonsense", HOST) is None
    machine.clock.advance(15 * 60_000)
    assert await children.authorise_cookie(child.cookie, HOST) is None


async def test_of_many_who_redeem_a_code_at_once_one_gets_a_cookie(machine: Machine) -> None:
    children = machine.environment.children
    code = await children.issue_code(await session_of(machine, machine.device()), HOST, NONCE_HASH)
    results = await asyncio.gather(*(children.redeem_code(code, HOST, NONCE) for _ in range(8)))
    assert sum(result is not None for result in results) == 1


@pytest.mark.parametrize(
    ("host", "nonce", "later"), [("other.example", NONCE, 0), (HOST, "another", 0), (HOST, NONCE, 30_000)]
)
async def test_a_code_tried_wrongly_or_late_is_used_up(
    machine: Machine, host: str, nonce: str, later: int
) -> None:
    children = machine.environment.children
    code = await children.issue_code(await session_of(machine, machine.device()), HOST, NONCE_HASH)
    machine.clock.advance(later)
    assert await children.redeem_code(code, host, nonce) is None
    assert await children.redeem_code(code, HOST, NONCE) is None


async def test_a_cookie_never_outlives_its_session(machine: Machine) -> None:
    children = machine.environment.children
    session = await session_of(machine, machine.device())
    machine.clock.advance(55 * 60_000)
    child = await children.redeem_code(await children.issue_code(session, HOST, NONCE_HASH), HOST, NONCE)
    assert child is not None
    assert child.expires_at == machine.clock() + 5 * 60_000


async def test_ending_the_session_ends_its_cookies_and_its_codes(machine: Machine) -> None:
    children = machine.environment.children
    session = await session_of(machine, machine.device())
    child = await children.redeem_code(await children.issue_code(session, HOST, NONCE_HASH), HOST, NONCE)
    open_code = await children.issue_code(session, HOST, NONCE_HASH)
    assert child is not None
    await machine.environment.sessions.end(session, by=MACHINE)
    assert await children.authorise_cookie(child.cookie, HOST) is None
    assert await children.redeem_code(open_code, HOST, NONCE) is None
    with pytest.raises(SessionEnded):
        await children.issue_code(session, HOST, NONCE_HASH)


async def test_signing_out_of_one_host_leaves_the_session_and_the_others(machine: Machine) -> None:
    children = machine.environment.children
    session = await session_of(machine, machine.device())
    cookies = []
    for host in (HOST, "notes.example"):
        child = await children.redeem_code(await children.issue_code(session, host, NONCE_HASH), host, NONCE)
        assert child is not None
        cookies.append(child.cookie)
    assert await children.end(cookies[0]) == session
    assert await children.end(cookies[0]) is None
    assert await children.authorise_cookie(cookies[0], HOST) is None
    assert await children.authorise_cookie(cookies[1], "notes.example") is not None


async def test_an_owners_bearer_session_gets_no_code(machine: Machine) -> None:
    await machine.bearer()
    [owner] = await machine.environment.sessions.list(MACHINE)
    with pytest.raises(SessionEnded):
        await machine.environment.children.issue_code(owner.session.id, HOST, NONCE_HASH)


async def test_old_rows_are_pruned_and_live_ones_are_not(machine: Machine) -> None:
    environment = machine.environment
    device = machine.device()
    session = await session_of(machine, device)
    await environment.children.issue_code(session, HOST, NONCE_HASH)

    async def count(table: str) -> int:
        row = await environment.database.read(lambda tx: tx.fetch_one(f"SELECT COUNT(*) FROM {table}"))
        assert row is not None
        return int(row[0])

    await environment.prune()
    assert await count("environment_replay_guards") > 0
    assert await count("environment_gate_codes") == 1
    # A guard outlives every proof that could still be accepted.
    machine.clock.advance(15 * 60_000)
    await environment.prune()
    assert await count("environment_replay_guards") > 0
    machine.clock.advance(1)
    await environment.prune()
    assert await count("environment_replay_guards") == 0
    assert await count("environment_gate_codes") == 0
    assert await count("auth_sessions") == 1
    machine.clock.advance(8 * 24 * 3_600_000)
    await environment.prune()
    assert await count("auth_sessions") == 0
    assert await count("auth_pairing_links") == 0
    assert await count("auth_connect_clients") == 1
