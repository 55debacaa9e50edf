"""What the thief of one key gets, as docs/threat-model.md promises, and how little its loss costs."""

from __future__ import annotations

import pytest

from doorward.environment.app import create_environment
from doorward.environment.keys import names
from doorward.environment.sessions.tokens import SessionClaims, TicketClaims, sign_token
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES
from tests.environment.conftest import RELAY, Machine, MakeMachine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def machine(make_machine: MakeMachine) -> Machine:
    return await make_machine()


def forged(machine: Machine, session_id: str, key: bytes) -> dict[str, str]:
    now = machine.clock()
    claims = SessionClaims(
        sid=session_id,
        sub="anybody",
        scopes=list(ADMINISTRATIVE_SCOPES),
        method="bearer-access-token",
        iat=now,
        exp=now + 3_600_000,
    )
    return {"authorization": f"Bearer {sign_token(claims, key)}"}


async def test_the_machines_session_key_alone_opens_nothing(machine: Machine):
    device = machine.device()
    await machine.admit(device)
    key = machine.environment.secrets.get(names.SERVER_SIGNING_KEY)
    assert key is not None
    (session_id,) = await machine.environment.database.read(
        lambda tx: [row[0] for row in tx.fetch_all("SELECT session_id FROM auth_sessions", ())]
    )
    for invented in ("invented", session_id):
        for door in (machine.local, machine.public):
            answer = await door.get("/api/auth/connect-clients", headers=forged(machine, invented, key))
            assert answer.status_code == 401, answer.text
    now = machine.clock()
    ticket = sign_token(TicketClaims(sid="invented", iat=now, exp=now + 60_000), key)
    answer = await machine.public.get("/api/auth/session", headers={"authorization": f"Bearer {ticket}"})
    assert answer.json()["authenticated"] is False


async def test_a_machine_whose_session_key_was_deleted_knows_no_session_and_makes_new_ones(machine: Machine):
    device = machine.device()
    await machine.admit(device)
    assert (await machine.as_device(device, "GET", "/api/auth/session")).json()["authenticated"] is True
    machine.environment.secrets.remove(names.SERVER_SIGNING_KEY)
    again = await create_environment(
        machine.environment.settings,
        outbound=machine.environment.outbound,
        clock=machine.clock,
        database=machine.environment.database,
    )
    restarted = Machine(again, machine.relay, machine.clock)
    state = await restarted.as_device(device, "GET", "/api/auth/session")
    assert state.json()["authenticated"] is False
    await restarted.admit(device)
    assert (await restarted.as_device(device, "GET", "/api/auth/session")).json()["authenticated"] is True
    await restarted.local.aclose()
    await restarted.public.aclose()


async def test_the_relays_mint_key_alone_can_only_ask(machine: Machine):
    """With the key a thief signs what the relay would; the owner is still asked."""
    thief = machine.device()
    asked = await machine.ask_mint(thief)
    assert asked.json()["status"] == "pending_approval"
    for claims in (
        {"sub": "user_thief"},
        {"iss": "https://thief.example"},
        {"scope": ["environment:connect", "access:write"]},
        {"cnf": {"jkt": machine.device().thumbprint}},
        {"environmentId": "another"},
    ):
        answer = await machine.ask_mint(thief, **claims)
        assert answer.status_code == 401, (claims, answer.text)
    assert machine.environment.link.relay_origin() == RELAY
    assert await machine.environment.approvals.status(thief.thumbprint) == "pending"
