"""`doorward forward` goes on over the death of anything between it and the service, and says what it waits for."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from doorward.outbound import Outbound
from tests.e2e.accounts import Account, keep
from tests.e2e.installations import Part, ThreeProcesses
from tests.e2e.processes import Program
from tests.e2e.storm import World

pytestmark = pytest.mark.anyio


@pytest.fixture
def engine() -> str:
    """What a forwarder sees is the same on either."""
    return "sqlite"


@pytest.fixture
def topology() -> str:
    return "three processes"


@pytest.fixture
async def world(installation: ThreeProcesses) -> AsyncIterator[World]:
    outbound = Outbound()
    try:
        linked = World(installation, outbound, Account(installation.accounts, outbound), random.Random(0))
        await linked.link()
        yield linked
    finally:
        await outbound.close()


def forwarding(world: World, laptop: Path, *options: str) -> Program:
    program = Program(["forward", "demo", *options], home=laptop, environ=world.installation.client_environ())
    world.installation.programs["forward"] = program
    return program


async def said(program: Program, pattern: str) -> str:
    return (await asyncio.to_thread(program.wait_for, pattern)).group(0)


async def signed_in_laptop(world: World, tmp_path: Path) -> Path:
    laptop = tmp_path / "laptop"
    keep(await world.account.grant(), laptop, world.outbound, world.account)
    return laptop


async def test_a_forwarder_goes_on_over_the_death_of_each_part(world: World, tmp_path: Path):
    laptop = await signed_in_laptop(world, tmp_path)
    await world.connected_machine()
    program = forwarding(world, laptop)
    await said(program, "^Waiting for approval on ")
    (client,) = json.loads(await world.told("connect", "security", "clients", "--json"))["clients"]
    # The machine dies while the owner has not decided yet: the device goes on waiting.
    await asyncio.to_thread(world.installation.cut, "agent")
    await world.restart("agent")
    await world.told("connect", "security", "approve", client["clientProofKeyThumbprint"])
    await said(program, r"demo is at http://127\.0\.0\.1:\d+ until you press Ctrl-C")
    local = program.output.rpartition("demo is at ")[2].partition(" ")[0]

    async with httpx.AsyncClient(base_url=local, timeout=30) as http:
        assert (await http.get("/visitor")).status_code == 200
        parts: tuple[Part, ...] = ("agent", "relay")
        for part in parts:
            await asyncio.to_thread(world.installation.cut, part)
            lost = await said(program, r".*Trying again until it answers\.$")
            assert "disconnected" in lost or "cannot" in lost.lower(), lost
            answer = await http.get("/visitor", headers={"accept": "application/json"})
            assert answer.status_code in (502, 503)
            await world.restart(part)
            await said(program, "^Connected to ")
            assert (await http.get("/visitor")).status_code == 200
        # Who is signed in is asked for at the next renewal; until then nobody misses the accounts server.
        await asyncio.to_thread(world.installation.cut, "identity")
        assert (await http.get("/visitor")).status_code == 200
        await world.restart("identity")
    assert program.stop() == 0
    del world.installation.programs["forward"]

    # Its session is kept: the next one needs no approval. It waits for a relay that is down, too.
    await asyncio.to_thread(world.installation.cut, "relay")
    again = forwarding(world, laptop, "--json")
    assert set(await asyncio.to_thread(again.wait_for_json)) == {"reconnecting"}
    await world.restart("relay")
    said_next = await asyncio.to_thread(again.wait_for_json)
    while set(said_next) != {"url", "service"}:
        assert set(said_next) in ({"reconnecting"}, {"connected"}), said_next
        said_next = await asyncio.to_thread(again.wait_for_json)
    assert again.stop() == 0
    del world.installation.programs["forward"]


async def test_a_rejected_device_is_told_and_the_command_ends(world: World, tmp_path: Path):
    laptop = await signed_in_laptop(world, tmp_path)
    await world.connected_machine()
    program = forwarding(world, laptop, "--json")
    waiting = await asyncio.to_thread(program.wait_for_json)
    assert set(waiting) == {"waiting"}
    (client,) = json.loads(await world.told("connect", "security", "clients", "--json"))["clients"]
    await world.told("connect", "security", "reject", client["clientProofKeyThumbprint"])
    error = await asyncio.to_thread(program.wait_for_json)
    assert error == {
        "error": {
            "code": "approval_rejected",
            "message": "This client was rejected by the environment. "
            "Approve it in the environment settings to connect.",
        }
    }
    assert program.finish() == 1
