"""Running installations for faults: three processes, an approved device, and roads that can be made bad."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from doorward.outbound import Outbound
from tests.e2e.accounts import Account
from tests.e2e.conftest import end
from tests.e2e.installations import Host, ThreeProcesses
from tests.e2e.processes import Program
from tests.e2e.storm import World
from tests.faults.toxics import ToxicProxy


class FaultyProcesses(ThreeProcesses):
    """`through` are commands that run another on a host, such as `prlimit`, from the next start on."""

    service_module = "tests.faults.origin"

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        super().__init__(folder, database_url)
        self.through: dict[Host, list[str]] = {}

    def prefix(self, host: Host) -> list[str]:
        return self.through.get(host, [])


class RoadProcesses(FaultyProcesses):
    """The tunnel and the visitors each come to the edge by a road of their own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tunnel, self.visitors = ToxicProxy(), ToxicProxy()

    def visitors_port(self) -> int:
        return self.visitors.port

    def tunnel_port(self) -> int:
        return self.tunnel.port

    def start_relay(self) -> None:
        self.tunnel.leads_to = self.visitors.leads_to = self.edge_port
        super().start_relay()

    @asynccontextmanager
    async def roads(self) -> AsyncIterator[None]:
        """Both roads are open while the block lasts."""
        await self.tunnel.start()
        await self.visitors.start()
        try:
            yield
        finally:
            await self.tunnel.close()
            await self.visitors.close()


class FourProcesses(RoadProcesses):
    """The edge is a process of its own: what the relay asks a machine comes by the visitors' road too."""

    is_edge_apart = True

    def start_relay(self) -> None:
        self.tunnel.leads_to = self.visitors.leads_to = self.edge_port
        self.programs["relay"] = self.serve("relay", ["relay"], self.relay_port)
        data = self.folder / "relay" / "data"
        self.programs["edge"] = self.serve("edge", ["edge"], self.relay_port, data=data)


@asynccontextmanager
async def linked(installation: ThreeProcesses) -> AsyncIterator[World]:
    """Start it, sign up, link the machine and expose its service; end all of it after the block."""
    outbound = Outbound()
    try:
        await asyncio.to_thread(installation.start)
        account = Account(installation.accounts, outbound)
        world = World(installation, outbound, account, random.Random())
        await world.link()
        yield world
    finally:
        end(installation)
        await outbound.close()


def resident_bytes(program: Program) -> int:
    """Physical memory of the process."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
