"""The browser story on three hosts: a server, a machine behind it that nobody can dial, a visitor's device.

Real names below `.test`, TLS everywhere, and a machine whose every listener is on its own loopback.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests import databases
from tests.e2e import certificates
from tests.e2e.conftest import end
from tests.e2e.installations import Host, ThreeProcesses
from tests.e2e.network import Network, unavailable
from tests.e2e.people import person
from tests.e2e.story import knock_be_let_in_and_shown_out
from tests.system_parts import require_system_part
from tests.web.browser import chromium, chromium_program

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

MACHINE = "10.231.1.2"


class Namespaces(ThreeProcesses):
    """Identity and relay with edge on `server`; the agent and its service on `machine`."""

    scheme = "https"
    accounts_host, relay_host = "accounts.doorward.test", "relay.doorward.test"
    zone_host = "machines.doorward-zone.test"
    server_address = "0.0.0.0"

    def __init__(self, folder: Path, database_url: str | None, network: Network) -> None:
        super().__init__(folder, database_url)
        self.network = network
        made = certificates.issue(folder, [self.accounts_host, self.relay_host, f"*.{self.zone_host}"])
        self.ca_file, self.certificate = made.authority, (made.leaf, made.key)

    def prefix(self, host: Host) -> list[str]:
        return self.network.command(host, [])

    def run(self, host: Host, *command: str) -> str:
        """What a system command prints on that host."""
        done = subprocess.run(
            self.network.command(host, command), capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout

    def dial(self, host: Host, address: str, port: int) -> int:
        """The `errno` of a TCP connection attempt from that host; 0 when it was accepted."""
        attempt = (
            "import socket, sys; s = socket.socket(); s.settimeout(10);"
            " print(s.connect_ex((sys.argv[1], int(sys.argv[2]))))"
        )
        return int(self.run(host, sys.executable, "-c", attempt, address, str(port)))


@pytest.fixture
def namespaces(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespaces]:
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    require_system_part("network namespaces", unavailable())
    folder = tmp_path_factory.mktemp("n", numbered=True)
    with ExitStack() as stack:
        database_url = (
            stack.enter_context(databases.new_postgresql(Namespaces.schemas))
            if engine == "postgresql"
            else None
        )
        network = Network(folder)
        stack.callback(network.close)
        running = Namespaces(folder, database_url, network)
        stack.callback(end, running)
        running.start()
        yield running


def chromium_on(network: Network, host: Host) -> AbstractAsyncContextManager[Browser]:
    """A browser that sees that host's network. Playwright speaks to it through pipes, not through the network."""
    return chromium(program=network.program(host, chromium_program()))


async def test_a_device_on_another_network_gets_in_after_approval_over_tls(namespaces: Namespaces):
    async with (
        chromium_on(namespaces.network, "machine") as inside,
        chromium_on(namespaces.network, "device") as outside,
        # the authority of this test is in no browser's store
        person(inside, ignore_https_errors=True) as owner,
        person(outside, ignore_https_errors=True) as device,
    ):
        await knock_be_let_in_and_shown_out(owner, device, namespaces)
        nobody_can_dial_the_machine(namespaces)
    namespaces.stop()


def nobody_can_dial_the_machine(namespaces: Namespaces) -> None:
    """While all of it runs, the machine listens on its loopback and nowhere else."""
    listening = [line.split()[3] for line in namespaces.run("machine", "ss", "-Hltn").splitlines()]
    ports = {int(address.rpartition(":")[2]) for address in listening}
    assert {namespaces.environment_port, namespaces.service_port} <= ports, listening
    assert all(address.startswith(("127.0.0.1:", "[::1]:")) for address in listening), listening
    for port in (namespaces.environment_port, namespaces.service_port):
        # the programs are there, and the address leads to their host: it answers, with a refusal
        assert namespaces.dial("machine", "127.0.0.1", port) == 0
        seen = namespaces.dial("server", MACHINE, port)
        assert seen == errno.ECONNREFUSED, os.strerror(seen)
        seen = namespaces.dial("device", MACHINE, port)
        assert seen == errno.ENETUNREACH, os.strerror(seen)
