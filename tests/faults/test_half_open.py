"""A tunnel whose two ends both believe in it, while nothing passes between them: what NAT boxes and sleep leave behind.

One TCP connection is dropped by its four numbers, both ways and without a word; everything else goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.storm import World, until
from tests.faults.ledger import record
from tests.faults.visitor import Visitor, steady_traffic
from tests.system_parts import require_system_part

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults-half-open")]

NOTICED = 40.0
"""Two unanswered pings and their grace."""
RECONNECTED = NOTICED + 30.0
NAMED = 25.0
"""Well before the edge would find the old tunnel dead."""
TABLE = ["iptables", "-w", "10"]


@pytest.fixture(autouse=True)
def firewall() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may drop packets")
    reason = None if shutil.which("iptables") else "no iptables command; install iptables"
    if reason is None:
        listed = subprocess.run([*TABLE, "-S", "INPUT"], capture_output=True, text=True, check=False)
        reason = None if listed.returncode == 0 else listed.stderr.strip()
    require_system_part("iptables", reason)


def tunnel_ports(world: World) -> tuple[int, int]:
    """The local ports of the tunnel's connection: the agent's, and the edge's."""
    edge_port = world.installation.edge_port
    inodes = {
        link.split("[")[1].rstrip("]")
        for link in (_link(entry) for entry in Path(f"/proc/{_pid(world)}/fd").iterdir())
        if link.startswith("socket:")
    }
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        near, far, inode = (int(fields[1][-4:], 16), int(fields[2][-4:], 16), fields[9])
        if inode in inodes and far == edge_port:
            return near, far
    raise AssertionError("the agent has no connection to the edge")


def _pid(world: World) -> int:
    return world.installation.programs["agent"].process.pid


def _link(entry: Path) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(entry)
    return ""


@contextlib.contextmanager
def dropped(near: int, far: int) -> Iterator[None]:
    """Nothing passes between these two ports of loopback."""
    rules = [
        ["INPUT", "-i", "lo", "-p", "tcp", "--sport", str(a), "--dport", str(b), "-j", "DROP"]
        for a, b in ((near, far), (far, near))
    ]
    for rule in rules:
        subprocess.run([*TABLE, "-I", *rule], check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run([*TABLE, "-D", *rule], check=True)


async def test_both_ends_notice_a_tunnel_that_is_dead_without_a_word(world: World, visitor: Visitor):
    async with steady_traffic(visitor, patience=NOTICED + 10) as traffic:
        dead = tunnel_ports(world)
        with dropped(*dead):
            began = time.monotonic()
            noticed = await traffic.sees("told", since=began)
            assert noticed < NOTICED
            recovered = await traffic.flows("a new tunnel", since=began, within=RECONNECTED)
            assert tunnel_ports(world) != dead
    record("half-open tunnel: visitors are told", recovered=noticed, within=NOTICED)
    record("half-open tunnel: a new one", recovered=recovered, within=RECONNECTED, loss=traffic.loss(began))


async def test_the_name_is_claimed_at_once_though_the_edge_believes_in_the_old_tunnel(
    world: World, visitor: Visitor
):
    async with steady_traffic(visitor) as traffic:
        with dropped(*tunnel_ports(world)):
            # The edge never hears that the agent is gone.
            await asyncio.to_thread(world.installation.cut, "agent")
            began = time.monotonic()
            await world.restart("agent")
            await until("connected", world.machine, lambda machine: machine.connected is True)
            recovered = await traffic.flows("the same name", since=began, within=NAMED)
    record(
        "half-open tunnel: its name is claimed anew",
        recovered=recovered,
        within=NAMED,
        loss=traffic.loss(began),
    )
