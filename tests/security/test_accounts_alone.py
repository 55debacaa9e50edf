"""Being signed in decides nothing. Whoever is only an account, or only an approved device, is let loose on every route
that can be reached from outside, with every body they might be given, and nothing about who may come in has changed.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from doorward.environment.access import MACHINE
from tests.environment.conftest import PUBLIC, Device, Machine, MakeMachine
from tests.security.routes import CHANGING, environment_ways

pytestmark = pytest.mark.anyio

STREAM = "/connections/events"


def bodies(thumbprint: str) -> list[dict[str, Any]]:
    """What the routes of approvals, modes, sessions, pairing and linking take."""
    return [
        {},
        *(
            {"decision": word, "thumbprint": thumbprint}
            for word in ("approve", "approve-administrator", "revoke")
        ),
        {"clientProofKeyThumbprint": thumbprint},
        {"clientProofKeyThumbprint": thumbprint, "role": "administrator"},
        {"mode": "account"},
        {"scopes": ["access:write", "relay:write"]},
        {"sessionId": "x"},
        {"publishAgentActivity": True},
    ]


async def decided(machine: Machine) -> object:
    """Who may come in, by what rule, and what could let somebody else in."""

    def read(tx):
        return (
            tx.fetch_all(
                "SELECT client_proof_key_thumbprint, status, role FROM auth_connect_clients ORDER BY 1", ()
            ),
            tx.fetch_all("SELECT COUNT(*) FROM auth_pairing_links WHERE revoked_at IS NULL", ()),
            tx.fetch_all("SELECT session_id, scopes, revoked_at FROM auth_sessions ORDER BY 1", ()),
        )

    environment = machine.environment
    return (
        await environment.database.read(read),
        environment.approvals.mode(),
        environment.link.relay_origin(),
    )


async def try_everything(machine: Machine, thumbprint: str, headers_for) -> list[str]:
    """Every changing route of the tunnel's door with every body; which of them answered 200."""
    taken = []
    for way in environment_ways(machine.environment.tunnel_app):
        if way.method not in CHANGING:
            continue
        for body in bodies(thumbprint):
            answer = await machine.public.request(
                way.method,
                way.path,
                content=msgspec.json.encode(body),
                headers={"content-type": "application/json", **headers_for(way.method, way.path)},
            )
            if answer.status_code == 200:
                taken.append(str(way))
    return taken


@pytest.fixture(params=[False, True], ids=["ordinary", "remote administration"])
async def machine(request: pytest.FixtureRequest, make_machine: MakeMachine) -> Machine:
    return await make_machine(remote_admin=request.param)


@pytest.fixture
async def waiting(machine: Machine) -> Device:
    """A device that asked to be let in."""
    device = machine.device()
    await machine.ask_mint(device)
    return device


@pytest.mark.parametrize("scheme", ["", "Bearer", "DPoP"])
async def test_an_account_decides_nothing_at_any_route(machine: Machine, waiting: Device, scheme: str):
    account_token = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJ1c2VyX293bmVyIn0.c2lnbmF0dXJl"
    before = await decided(machine)

    def headers(method: str, path: str) -> dict[str, str]:
        if not scheme:
            return {}
        proof = waiting.proof(method, f"{PUBLIC}{path}", access_token=account_token)
        return {"authorization": f"{scheme} {account_token}", "dpop": proof}

    assert await try_everything(machine, waiting.thumbprint, headers) == []
    assert await decided(machine) == before


async def test_an_approved_device_decides_nothing_at_any_route(machine: Machine, waiting: Device):
    approved = machine.device()
    await machine.admit(approved)
    before = await decided(machine)
    taken = await try_everything(
        machine, waiting.thumbprint, lambda method, path: approved.headers(method, f"{PUBLIC}{path}")
    )
    # a ticket for a WebSocket of its own is all that a session is good for; it may also say goodbye
    assert set(taken) <= {"POST /api/auth/websocket-ticket", "POST /connections/sign-out"}, taken
    if "POST /connections/sign-out" not in taken:
        assert await decided(machine) == before
    assert await machine.environment.approvals.status(waiting.thumbprint) == "pending"
    assert machine.environment.approvals.mode() == "client-approval"


async def test_a_device_that_asks_about_itself_learns_of_itself_alone(machine: Machine, waiting: Device):
    stranger = machine.device()
    answer = await machine.public.post(
        "/gate/wait",
        headers={"dpop": stranger.proof("POST", f"{PUBLIC}/gate/wait")},
        json={"thumbprint": waiting.thumbprint},
    )
    assert answer.json().get("status", "unknown") == "unknown"


async def test_an_administrator_from_outside_makes_no_administrators_and_trusts_no_account(
    make_machine: MakeMachine,
):
    machine = await make_machine(remote_admin=True)
    waiting, administrator = machine.device(), machine.device()
    await machine.ask_mint(waiting)
    await machine.admit(administrator, role="administrator")
    await try_everything(
        machine, waiting.thumbprint, lambda method, path: administrator.headers(method, f"{PUBLIC}{path}")
    )

    def roles(tx):
        return dict(tx.fetch_all("SELECT client_proof_key_thumbprint, role FROM auth_connect_clients", ()))

    found = await machine.environment.database.read(roles)
    assert found.get(waiting.thumbprint, "standard") == "standard"
    assert machine.environment.approvals.mode() == "client-approval"
    assert machine.environment.link.relay_origin() is not None
    listed = await machine.environment.pairing.list(MACHINE)
    assert not listed, "a link to pair with was made from outside"
