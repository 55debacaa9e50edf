"""A process that dies or sleeps, and one that is there twice."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time

import pytest

from doorward.environment.local import open_machine
from tests.e2e.installations import Part
from tests.e2e.processes import Program
from tests.e2e.storm import World, until
from tests.faults.ledger import record
from tests.faults.scale import DOWN_SECONDS, STOPPED_SECONDS
from tests.faults.visitor import PATIENCE, Traffic, Visitor, steady_traffic
from tests.ports import free_ports

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults-processes")]

RECONNECTED = 35.0
"""Seconds until a machine is back after its edge is: its waits are random, up to 16 s after five failures."""
SOON = 15.0
"""Where nothing has to come back first."""


async def test_nobody_inside_notices_that_the_accounts_server_was_killed(world: World, visitor: Visitor):
    async with steady_traffic(visitor) as traffic:
        killed = time.monotonic()
        await asyncio.to_thread(world.installation.cut, "identity")
        await traffic.flows("while it is gone", since=time.monotonic(), within=SOON)
        await world.restart("identity")
        recovered = await traffic.flows("after", since=time.monotonic(), within=SOON)
        assert not set(traffic.count(killed)) - {"ok"}, traffic.count(killed)
        record("kill -9 of identity", recovered=recovered, within=SOON, loss=traffic.loss(killed))


@pytest.mark.parametrize(("part", "name"), [("relay", "relay and edge"), ("agent", "the environment")])
async def test_a_killed_process_is_back_for_everybody_once_it_runs_again(
    world: World, visitor: Visitor, part: Part, name: str
):
    async with steady_traffic(visitor) as traffic:
        killed = time.monotonic()
        await asyncio.to_thread(world.installation.cut, part)
        await asyncio.sleep(DOWN_SECONDS)
        await world.restart(part)
        recovered = await traffic.flows(name, since=time.monotonic(), within=RECONNECTED)
        record(f"kill -9 of {name}", recovered=recovered, within=RECONNECTED, loss=traffic.loss(killed))


async def test_a_killed_service_is_told_and_back_at_once(world: World, visitor: Visitor):
    async with steady_traffic(visitor) as traffic:
        killed = time.monotonic()
        await asyncio.to_thread(world.installation.cut, "demo")
        await traffic.sees("told", since=killed)
        await world.restart("demo")
        recovered = await traffic.flows("the service", since=time.monotonic(), within=SOON)
        record("kill -9 of the service", recovered=recovered, within=SOON, loss=traffic.loss(killed))


@pytest.mark.parametrize(("part", "name"), [("agent", "the environment"), ("relay", "relay and edge")])
async def test_a_process_that_slept_serves_who_waited(world: World, visitor: Visitor, part: Part, name: str):
    process = world.installation.programs[part].process
    async with steady_traffic(visitor, patience=PATIENCE + STOPPED_SECONDS) as traffic:
        stopped = time.monotonic()
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STOPPED_SECONDS)
        process.send_signal(signal.SIGCONT)
        recovered = await traffic.flows(name, since=time.monotonic(), within=RECONNECTED)
        fault = f"{name} stopped for {STOPPED_SECONDS:.0f} s"
        record(fault, recovered=recovered, within=RECONNECTED, loss=traffic.loss(stopped))


async def test_of_two_copies_of_a_machine_the_newer_serves_and_the_older_is_told(
    world: World, visitor: Visitor
):
    installation = world.installation
    home = installation.folder / "twin"
    agent = installation.programs["agent"].process
    # Of one moment: a database that is written to while it is copied may be none.
    agent.send_signal(signal.SIGSTOP)
    try:
        shutil.copytree(installation.machine_home, home, ignore=shutil.ignore_patterns("run"))
    finally:
        agent.send_signal(signal.SIGCONT)
    service_port, environment_port = free_ports(2)
    service = Program([str(service_port)], home=home, module="tests.faults.origin")
    service.wait_for("listening")
    first = (await visitor.request("GET", "/who")).json()["pid"]
    began = time.monotonic()
    twin = Program(
        ["expose", str(service_port), "--name", "demo", "--environment-port", str(environment_port)],
        home=home,
        environ=installation.client_environ(),
    )
    try:
        await asyncio.to_thread(twin.wait_for, "http")

        async def who() -> int:
            answer = await visitor.request("GET", "/who")
            return answer.json()["pid"] if answer.status_code == 200 else 0

        await until("the newer one serves", who, lambda pid: pid == service.process.pid, seconds=RECONNECTED)
        took_over = time.monotonic() - began
        async with open_machine(installation.machine_home) as machine:
            await until("the older one is told", machine.status, lambda seen: seen.tunnel != "connected")
        # One of them answers, always the same one: they do not take the tunnel from each other in turns.
        served = [await who() for _ in range(40)]
        assert set(served) == {service.process.pid}, (first, served)
        record("a copy of the machine starts", recovered=took_over, within=RECONNECTED)
    finally:
        await asyncio.to_thread(twin.kill)
        await asyncio.to_thread(service.kill)
    # The owner's word brings the first one back, whatever it was told.
    async with Traffic(visitor) as traffic:
        await world.told("connect", "link")
        await traffic.flows("the first one again", since=time.monotonic(), within=RECONNECTED)
    assert await who() == first
