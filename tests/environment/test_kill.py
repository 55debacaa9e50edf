"""The agent killed in the middle of letting devices in, and started again."""

import asyncio
import random
import signal
import sqlite3
import sys
from pathlib import Path

import httpx
import pytest

from doorward.environment import EnvironmentSettings
from doorward.environment.access import MACHINE
from doorward.environment.app import create_environment
from doorward.environment.keys.runtime_file import read_runtime_file, remove_runtime_file
from doorward.environment.local import VerbFailed, open_machine
from doorward.outbound import Outbound
from doorward.store import system_clock
from tests.conftest import ClockForTests
from tests.environment.conftest import Device, Relay

pytestmark = pytest.mark.anyio

AGENT = """
import asyncio, sys
from pathlib import Path
from doorward.environment import EnvironmentSettings
from doorward.environment.agent import run_agent
asyncio.run(run_agent(EnvironmentSettings(home=Path(sys.argv[1]), label="Box", port=0)))
"""


class Now(ClockForTests):
    """The real time: the agent under test has its own clock."""

    def __call__(self) -> int:
        return system_clock()


async def start(home: Path) -> tuple[asyncio.subprocess.Process, str]:
    remove_runtime_file(home / "userdata")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", AGENT, str(home))
    async with asyncio.timeout(120):
        while (runtime := read_runtime_file(home / "userdata")) is None:
            assert process.returncode is None
            await asyncio.sleep(0.02)
    return process, runtime.origin


async def test_killed_at_any_moment_it_starts_again_with_nothing_half_done(tmp_path: Path) -> None:
    relay = Relay(Now())
    outbound = Outbound()
    environment = await create_environment(
        EnvironmentSettings(home=tmp_path, label="Box", port=0), outbound=outbound
    )
    environment.modes.initialise("client-approval")
    await environment.link.apply(MACHINE, relay.configuration())
    identity = (environment.environment_id, environment.keys.public_pem())
    await environment.stop()
    await outbound.close()

    devices = [Device(relay.clock) for _ in range(6)]
    for _ in range(3):
        process, origin = await start(tmp_path)

        async def knock(client: httpx.AsyncClient, device: Device) -> None:
            while True:
                proof = relay.mint(identity[0], device.thumbprint)
                await client.post("/api/t3-connect/mint-credential", json={"proof": proof})

        async def decide(device: Device) -> None:
            async with open_machine(tmp_path) as machine:
                while True:
                    await machine.approve(device.thumbprint)
                    await machine.revoke(device.thumbprint)

        async with httpx.AsyncClient(base_url=origin) as client:
            knocking = [asyncio.create_task(knock(client, device)) for device in devices]
            deciding = [asyncio.create_task(decide(device)) for device in devices[:3]]
            await asyncio.sleep(random.uniform(0.2, 0.8))
            process.send_signal(signal.SIGKILL)
            await process.wait()
            for task in deciding:
                task.cancel()
            # Not cancelled: a request that is while it connects leaves its connection open, and soon all of them fail.
            knocked = await asyncio.gather(*knocking, return_exceptions=True)
            decided = await asyncio.gather(*deciding, return_exceptions=True)
        assert all(isinstance(end, httpx.HTTPError) for end in knocked), knocked
        assert all(isinstance(end, asyncio.CancelledError | VerbFailed) for end in decided), decided
        _check(tmp_path / "userdata" / "state.sqlite")

    process, origin = await start(tmp_path)
    try:
        async with httpx.AsyncClient(base_url=origin) as client:
            descriptor = (await client.get("/.well-known/t3/environment")).json()
            assert descriptor["environmentId"] == identity[0]
            proof = relay.mint(identity[0], Device(relay.clock).thumbprint)
            answer = await client.post("/api/t3-connect/mint-credential", json={"proof": proof})
            assert answer.json()["approvalStatus"] == "pending"
    finally:
        process.terminate()
        await process.wait()


def _check(path: Path) -> None:
    """No usable credential without an approved key, and a database that is whole."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        loose = connection.execute(
            "SELECT COUNT(*) FROM auth_pairing_links link LEFT JOIN auth_connect_clients client"
            " ON client.client_proof_key_thumbprint = link.proof_key_thumbprint"
            " WHERE link.revoked_at IS NULL AND link.consumed_at IS NULL"
            " AND (client.status IS NOT 'approved' OR client.revoked_at IS NOT NULL)"
        ).fetchone()
        assert loose == (0,)
    finally:
        connection.close()
