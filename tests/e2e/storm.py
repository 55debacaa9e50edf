"""Work that goes on while the power is cut, and the world it goes on in."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import psycopg

from doorward.client.errors import ClientError
from doorward.environment.control import VerbFailed
from doorward.outbound import Outbound, OutboundError
from doorward.t3_connect.messages import EnvironmentEntry
from tests.e2e.accounts import Account, keep
from tests.e2e.installations import Part, ThreeProcesses
from tests.e2e.processes import command
from tests.e2e.visiting import Device, relay_client

T = TypeVar("T")

RECOVERY_SECONDS = 60.0
"""How long a machine may take to be reachable again after everything runs. Its waits are random, up to 16 s after five failures."""

LOST = (OutboundError, ClientError, VerbFailed)
"""What a peer may see of a power cut."""


class Storm:
    """Tells the workers of one cut when to stop; they tell it when their work has begun to succeed."""

    def __init__(self) -> None:
        self.is_over = False
        self.successes = 0
        self._begun = asyncio.Event()

    def succeeded(self) -> None:
        self.successes += 1
        self._begun.set()

    async def has_begun(self) -> None:
        await self._begun.wait()


Worker = Callable[[Storm], Awaitable[None]]


@dataclass
class World:
    """A linked machine, the account it belongs to, and the chance that decides when power is cut."""

    installation: ThreeProcesses
    outbound: Outbound
    account: Account
    chance: random.Random
    access_token: str = ""
    service: str = ""
    devices: list[Device] = field(default_factory=list)

    async def link(self) -> None:
        """Sign up, store the sign-in on the machine, expose the demo there."""
        installation = self.installation
        await self.account.sign_up(installation.administrator, installation.mailed_code)
        grant = await self.account.grant()
        self.access_token = grant.access_token
        keep(grant, installation.machine_home, self.outbound, self.account)
        service, _ = await asyncio.to_thread(installation.expose_signed_in)
        self.service = service.rstrip("/")

    async def cut(self, part: Part, longest: float, *workers: Worker) -> Storm:
        """Kill a part up to `longest` seconds after the work has begun to succeed; returns when the work ended."""
        storm = Storm()
        work = [asyncio.ensure_future(worker(storm)) for worker in workers]
        begun = asyncio.ensure_future(storm.has_begun())
        await asyncio.wait([begun, *work], timeout=60, return_when=asyncio.FIRST_COMPLETED)
        moment = self.chance.uniform(0, longest)
        if begun.done():
            await asyncio.sleep(moment)
        begun.cancel()
        print(f"{part} is killed after {moment:.3f} s and {storm.successes} successes")
        await asyncio.to_thread(self.installation.cut, part)
        storm.is_over = True
        await asyncio.gather(*work)
        assert storm.successes, "nothing had succeeded before the cut"
        return storm

    async def restart(self, part: Part) -> None:
        await asyncio.to_thread(self.installation.restart, part)

    async def linked_machines(self) -> tuple[EnvironmentEntry, ...]:
        """The account's, as the relay lists them."""
        relay = relay_client(self.outbound, self.installation.relay, self.access_token)
        return await relay.machines()

    async def machine(self) -> EnvironmentEntry:
        """The one machine of the account."""
        machines = await self.linked_machines()
        assert len(machines) == 1, machines
        return machines[0]

    async def connected_machine(self) -> EnvironmentEntry:
        """Wait until its tunnel is up; a relay whose edge is another process is not told, and says nothing."""
        told = True if not self.installation.is_edge_apart else msgspec.UNSET
        return await until(
            "the machine is connected", self.machine, lambda machine: machine.connected is told
        )

    async def new_device(self) -> Device:
        machine = await self.connected_machine()
        return Device(self.outbound, self.installation.relay, self.access_token, machine)

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command on the machine; whatever befell the agent, it ends with a sentence and not with a traceback."""
        done = await asyncio.to_thread(
            command,
            *arguments,
            home=self.installation.machine_home,
            environ=self.installation.client_environ(),
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    async def told(self, *arguments: str) -> str:
        """The output of a command that must succeed."""
        done = await self.run(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def machine_rows(self, sql: str) -> list[tuple[object, ...]]:
        return _sqlite_rows(self.installation.machine_home / "userdata" / "state.sqlite", sql)

    def server_rows(self, part: Part, sql: str) -> list[tuple[object, ...]]:
        if self.installation.database_url is None:
            return _sqlite_rows(self.installation.folder / part / "data" / "doorward.sqlite", sql)
        with psycopg.connect(self.installation.database_url) as connection:
            return connection.execute(sql.encode()).fetchall()


def _sqlite_rows(path: os.PathLike[str], sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def until(
    what: str,
    look: Callable[[], Awaitable[T]],
    is_so: Callable[[T], bool],
    *,
    seconds: float = RECOVERY_SECONDS,
) -> T:
    """Look again and again until it is so; fails with what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        seen: object
        try:
            found = await look()
            if is_so(found):
                return found
            seen = found
        except LOST as error:
            seen = repr(error)
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}; seen last: {seen}"
        await asyncio.sleep(0.1)
