"""Clocks ten minutes off, on each party in turn. Their monotonic clocks stay right, as on a real machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from doorward.client.configuration import CLI_CLIENT_ID
from doorward.client.connection import this_device
from doorward.client.errors import ClientError, Refused
from doorward.client.relay import RelayClient
from doorward.environment.local import open_machine
from doorward.store import system_clock
from tests.e2e.installations import Part
from tests.e2e.storm import World, until
from tests.faults.ledger import record
from tests.faults.visitor import Traffic, Visitor
from tests.system_parts import require_system_part

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults-clocks")]

OFF = 600
RECONNECTED = 35.0


def skewed(seconds: int) -> list[str]:
    """Runs a command with its wall clock that far off."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    require_system_part("libfaketime", None if library else "install faketime")
    return [
        "env",
        f"LD_PRELOAD={library}",
        f"FAKETIME={seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "NO_FAKE_STAT=1",
    ]


@pytest.fixture
async def in_order(world: World) -> AsyncIterator[None]:
    """Every clock is right again for the next test, whatever came of this one."""
    yield
    if world.installation.through:  # type: ignore[attr-defined]
        for part in ("relay", "agent"):
            await correct(world, part)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [-OFF, OFF])
async def test_a_machine_whose_clock_is_off_keeps_its_tunnel_lets_nobody_new_in_and_says_why(
    world: World, visitor: Visitor, in_order: None, seconds: int
):
    world.installation.through = {"machine": skewed(seconds)}  # type: ignore[attr-defined]
    await asyncio.to_thread(world.installation.cut, "agent")
    await world.restart("agent")
    # The tunnel lives by the edge's clock.
    await world.connected_machine()
    began = time.monotonic()
    with pytest.raises(ClientError):
        await visitor.device.knock()
    refused = time.monotonic() - began
    assert refused < 60, "a refusal, not a hang"
    async with open_machine(world.installation.machine_home) as machine:
        told = await until("the agent says why", machine.status, lambda seen: seen.link_failure is not None)
    assert told.link_failure is not None
    assert f"10 minutes {'behind' if seconds < 0 else 'ahead of'} the server's" in told.link_failure
    await correct(world, "agent")
    await comes_back(visitor, f"the machine's clock {seconds / 60:+.0f} min")


@pytest.mark.parametrize("seconds", [-OFF, OFF])
async def test_a_relay_whose_clock_is_off_cuts_nobody_off_and_is_told_to_who_asks(
    world: World, visitor: Visitor, in_order: None, seconds: int
):
    world.installation.through = {"server": skewed(seconds)}  # type: ignore[attr-defined]
    await asyncio.to_thread(world.installation.cut, "relay")
    await world.restart("relay")
    async with Traffic(visitor) as traffic:
        # The environment judges its visitors by its own clock, and the tunnel lives by the edge's.
        began = time.monotonic()
        await traffic.flows("those inside", since=began, within=RECONNECTED)
        with pytest.raises(ClientError, match=r"clock is 10 minutes (behind|ahead of) the server's"):
            await visitor.device.knock()
        back = time.monotonic()
        await traffic.flows("those inside", since=back, within=RECONNECTED)
        assert set(traffic.count(back)) == {"ok"}
        await correct(world, "relay")
    await comes_back(visitor, f"the relay's clock {seconds / 60:+.0f} min")


@pytest.mark.parametrize("seconds", [-OFF, OFF])
async def test_a_device_whose_clock_is_off_is_told_so(world: World, visitor: Visitor, seconds: int):
    right = visitor.device

    async def account_token() -> str:
        return world.access_token

    relay = RelayClient(
        world.outbound,
        relay_url=world.installation.relay,
        client_id=CLI_CLIENT_ID,
        account_token=account_token,
        clock=lambda: system_clock() + seconds * 1000,
    )
    with pytest.raises(
        Refused, match=f"10 minutes {'behind' if seconds < 0 else 'ahead of'} the server's"
    ) as refused:
        await relay.connect(right.machine, right.key, this_device())
    assert refused.value.code == "clock_skew"


async def correct(world: World, part: Part) -> None:
    world.installation.through = {}  # type: ignore[attr-defined]
    await asyncio.to_thread(world.installation.cut, part)
    await world.restart(part)


async def comes_back(visitor: Visitor, fault: str) -> None:
    """The same device, without being asked about again."""
    began = time.monotonic()
    visitor.device.connection.forget()
    await until("the device gets in again", visitor.device.connection.token, bool, seconds=RECONNECTED)
    async with Traffic(visitor) as traffic:
        await traffic.flows(fault, since=time.monotonic(), within=RECONNECTED)
    record(
        fault,
        recovered=time.monotonic() - began,
        within=RECONNECTED,
        loss="new devices wait until it is right",
    )
