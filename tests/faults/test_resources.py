"""A disk that is full, and a process that may open no more files."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from doorward.client.errors import ClientError
from doorward.t3_connect.messages import ConnectAuthorized
from tests.e2e.storm import World, until
from tests.e2e.test_power_cuts import rows_are_whole
from tests.faults.ledger import record
from tests.faults.visitor import Traffic, Visitor, approved_visitor, steady_traffic
from tests.faults.worlds import FaultyProcesses, linked
from tests.system_parts import require_system_part

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults-resources")]

DISK_BYTES = 64 * 1024 * 1024
OPEN_FILES = 64


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on a file system of 64 MB of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    folder = tmp_path_factory.mktemp("d", numbered=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    require_system_part("tmpfs", mounted.stderr.strip() if mounted.returncode else None)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
async def full_world(anyio_backend: str, small_disk: Path) -> AsyncIterator[World]:
    """Every process keeps its data on the small disk."""
    async with linked(FaultyProcesses(small_disk)) as world:
        yield world


def fill(folder: Path) -> Path:
    """A file that leaves nothing."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1_000_000, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


async def test_on_a_full_disk_nobody_is_let_in_wrongly_and_all_is_well_once_there_is_room(
    full_world: World,
):
    world = full_world
    visitor = await approved_visitor(world)
    socket = await visitor.websocket("/echo")
    async with steady_traffic(visitor) as traffic:
        ballast = fill(world.installation.folder)
        full = time.monotonic()
        refusals = 0
        # What is in the databases' own spare pages may still succeed; then writes fail, and say so.
        for _ in range(200):
            try:
                await visitor.device.knock()
            except ClientError:
                refusals += 1
                if refusals > 20:
                    break
        assert refusals > 20, "the disk was not full"
        # Those inside whose requests need no row go on.
        await socket.send("still here")
        assert await asyncio.wait_for(socket.recv(), 30) == "still here"
        ballast.unlink()
        roomy = time.monotonic()
        recovered = await traffic.flows("there is room", since=roomy, within=30)
        answer = await until("the device is let in", visitor.device.knock, lambda _: True, seconds=30)
        assert isinstance(answer, ConnectAuthorized)
        print(traffic.count(full))
        loss = traffic.loss(full)
    await socket.close()
    rows_are_whole(world)
    record("every disk full", recovered=recovered, within=30, loss=loss)


async def test_an_edge_that_may_open_no_more_files_keeps_who_is_inside_and_recovers(
    world: World, visitor: Visitor
):
    installation = world.installation
    installation.through = {"server": ["prlimit", f"--nofile={OPEN_FILES}"]}  # type: ignore[attr-defined]
    await asyncio.to_thread(installation.cut, "relay")
    await world.restart("relay")
    await world.connected_machine()
    inside = await visitor.websocket("/echo")
    with ExitStack() as stack:
        for _ in range(3 * OPEN_FILES):
            hog = stack.enter_context(socket.socket())
            hog.setblocking(False)
            hog.connect_ex(("127.0.0.1", installation.edge_port))
        await asyncio.sleep(2)
        await inside.send("still here")
        assert await asyncio.wait_for(inside.recv(), 30) == "still here"
        assert installation.programs["relay"].process.poll() is None
    freed = time.monotonic()
    async with Traffic(visitor) as traffic:
        recovered = await traffic.flows("files again", since=freed, within=30)
        record("the edge may open no more files", recovered=recovered, within=30, loss=traffic.loss(freed))
    await inside.close()
    installation.through = {}  # type: ignore[attr-defined]
    await asyncio.to_thread(installation.cut, "relay")
    await world.restart("relay")
