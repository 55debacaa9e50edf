"""A whole Doorward as people run it: in one process (`up`), or as identity, relay with edge, and agent apart.

Both give a test the same five things: where the accounts are, the link of the first administrator, the service's URL, how to get this
machine's Connections page, and the mails that were sent.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal

import pytest

from doorward.client.configuration import publishable_key_of
from doorward.store import Schema
from tests import databases
from tests.e2e.processes import Program, command
from tests.ports import free_ports, three_free_ports

Host = Literal["server", "machine", "device"]
Part = Literal["identity", "relay", "agent", "demo"]


class Installation(ABC):
    """`programs` are the running processes by name; `machine_home` is the data folder of the exposed machine.

    `schemas` are in its servers' databases before they start.
    """

    schemas: tuple[Schema, ...] = ()
    accounts: str
    relay: str
    administrator: str
    machine_home: Path

    def __init__(self, folder: Path, database_url: str | None) -> None:
        self.folder = folder
        self.database_url = database_url
        self.programs: dict[str, Program] = {}

    @abstractmethod
    def start(self) -> None:
        """Start all that runs before the first account exists."""

    @abstractmethod
    def link_machine(self) -> str | None:
        """After the first sign-up. Either the machine links itself (None), or a user code to approve at /device."""

    @abstractmethod
    def expose(self) -> tuple[str, str]:
        """After the link was allowed: the service's URL and a fresh link to the machine's Connections page."""

    @abstractmethod
    def mailed_code(self) -> str:
        """The code of the newest mail."""

    def client_environ(self) -> dict[str, str]:
        """Variables for a command on another device."""
        return {
            "DOORWARD_RELAY_URL": self.relay,
            "DOORWARD_PUBLISHABLE_KEY": publishable_key_of(self.accounts, development=True),
        }

    def stop(self) -> None:
        """End every program as Ctrl-C does; each must end well."""
        statuses = {name: program.stop() for name, program in reversed(self.programs.items())}
        self.programs = {}
        assert all(status == 0 for status in statuses.values()), statuses


class OneProcess(Installation):
    """`doorward up`."""

    options: tuple[str, ...] = ()

    def start(self) -> None:
        self.machine_home = self.folder / "home"
        self.port, self.environment_port = free_ports(2)
        self.start_up()

    def start_up(self) -> None:
        arguments = [
            "up",
            "--port",
            str(self.port),
            "--environment-port",
            str(self.environment_port),
            *self.options,
        ]
        if self.database_url:
            arguments += ["--database", self.database_url]
        self.programs["up"] = Program(arguments, home=self.machine_home)
        up = self.programs["up"]
        link = up.wait_for(r"(?:Create the first account|Sign in) +(\S+)").group(1)
        self.administrator = link
        self.service = up.wait_for(r"The demo service +(\S+)").group(1)
        self.connections = up.wait_for(r"This machine's page +(\S+)").group(1)
        up.wait_for("Ctrl-C stops it")
        self.accounts = f"http://accounts.localhost:{self.port}"
        self.relay = f"http://relay.localhost:{self.port}"

    def link_machine(self) -> None:
        return None

    def expose(self) -> tuple[str, str]:
        return self.service, self.connections

    def mailed_code(self) -> str:
        return self.programs["up"].wait_for(r"code is (\d{6})").group(1)


class OneProcessOverTls(OneProcess):
    """`doorward up --tls`: three origins on three ports, the accounts' and the relay's on bare loopback."""

    options = ("--tls",)

    def start(self) -> None:
        self.machine_home = self.folder / "home"
        (self.environment_port,) = free_ports(1)
        self.port = three_free_ports()
        self.start_up()
        self.accounts = f"https://127.0.0.1:{self.port}"
        self.relay = f"https://127.0.0.1:{self.port + 1}"


class ThreeProcesses(Installation):
    """Identity; relay and edge; the agent: three processes that meet over the wire, the agent listening on loopback only.

    That a server makes its own tables is what `OneProcess` shows; here it would be half of a start.
    """

    schemas = databases.SERVER_SCHEMAS
    scheme = "http"
    accounts_host, relay_host, zone_host = "accounts.localhost", "relay.localhost", "env.localhost"
    server_address = "127.0.0.1"
    service_module = "tests.e2e.demo_program"
    is_edge_apart = False
    ca_file: Path | None = None
    certificate: tuple[Path, Path] | None = None
    """Certificate and key file of every listener of the server, where `scheme` is https."""

    def prefix(self, host: Host) -> list[str]:
        """What runs a command on that host."""
        return []

    def start(self) -> None:
        self.machine_home = self.folder / "machine"
        self.accounts_port, self.relay_port, self.edge_port, self.service_port, self.environment_port = (
            free_ports(5)
        )
        self.accounts = f"{self.scheme}://{self.accounts_host}:{self.accounts_port}"
        self.relay = f"{self.scheme}://{self.relay_host}:{self.relay_port}"
        self.zone = f"{self.zone_host}:{self.visitors_port()}"
        self.start_identity()
        self.administrator = self.programs["identity"].wait_for(r"^\s+(http\S+)").group(1)
        self.start_relay()
        self.start_demo()

    def visitors_port(self) -> int:
        """Where visitors, and the relay, dial the edge."""
        return self.edge_port

    def tunnel_port(self) -> int:
        """Where the agent dials the edge."""
        return self.edge_port

    def start_demo(self) -> None:
        self.programs["demo"] = Program(
            [str(self.service_port)],
            home=self.folder / "nobody",
            module=self.service_module,
            prefix=self.prefix("machine"),
        )
        self.programs["demo"].wait_for("listening")

    def start_identity(self) -> None:
        self.programs["identity"] = self.serve("identity", ["identity"], self.accounts_port)

    def start_relay(self) -> None:
        self.programs["relay"] = self.serve("relay", ["relay", "edge"], self.relay_port)

    def serve(self, name: str, roles: list[str], control: int, *, data: Path | None = None) -> Program:
        """A server process of these roles; `data` is another's folder where they share one."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        data = data or folder / "data"
        database = data / "doorward.sqlite"
        if self.database_url is None and not database.exists():
            databases.put_sqlite(database, self.schemas)
        config = folder / "doorward.toml"
        config.write_text(self._configuration(data, roles, control))
        program = Program(["serve", "--config", str(config)], home=folder, prefix=self.prefix("server"))
        program.wait_for("Doorward serves")
        return program

    def _configuration(self, data: Path, roles: list[str], control: int) -> str:
        """doorward.toml of one server process."""
        database = f'[database]\nurl = "{self.database_url}"\n' if self.database_url else ""
        trust = f'ca_file = "{self.ca_file}"\n' if self.ca_file else ""
        tls = ""
        if self.certificate:
            certificate, key = self.certificate
            tls = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
        return f"""roles = {roles!r}
data = "{data}"
{trust}{database}{tls}
[identity]
origin = "{self.accounts}"
[relay]
origin = "{self.relay}"
zone = "{self.zone}"
[edge]
url = "{self.scheme}://edge.{self.zone_host}:{self.tunnel_port()}"
[listen]
control = "{self.server_address}:{control}"
edge = "{self.server_address}:{self.edge_port}"
"""

    def client_environ(self) -> dict[str, str]:
        trust = {"DOORWARD_CA_FILE": str(self.ca_file)} if self.ca_file else {}
        return {**super().client_environ(), **trust}

    def link_machine(self) -> str:
        login = Program(
            ["connect", "login", "--device"],
            home=self.machine_home,
            environ=self.client_environ(),
            prefix=self.prefix("machine"),
        )
        self.programs["login"] = login
        return login.wait_for(r"\b([A-Z]{4}-[A-Z]{4})\b").group(1)

    def expose(self) -> tuple[str, str]:
        self.programs["login"].wait_for(r"Signed in to T3 Connect\.")
        assert self.programs.pop("login").finish() == 0
        return self.expose_signed_in()

    def expose_signed_in(self) -> tuple[str, str]:
        """`expose`, for a machine whose sign-in is stored already."""
        self.start_agent()
        agent = self.programs["agent"]
        connections = agent.wait_for(r"(http://machine\.localhost:\S+)").group(1)
        service = agent.wait_for(rf"({self.scheme}://demo\.{re.escape(self.zone)}\S*)").group(1)
        return service, connections

    def start_agent(self) -> None:
        self.programs["agent"] = Program(
            [
                "expose",
                str(self.service_port),
                "--name",
                "demo",
                "--environment-port",
                str(self.environment_port),
            ],
            home=self.machine_home,
            environ=self.client_environ(),
            prefix=self.prefix("machine"),
        )

    def cut(self, name: Part) -> None:
        """Kill a part of it in the middle of whatever it does."""
        program = self.programs[name]
        program.kill()
        print(f"--- {name}, killed\n{program.output}")

    def restart(self, name: Part) -> None:
        """Start a part again on what it left behind."""
        match name:
            case "identity":
                self.start_identity()
            case "relay":
                self.start_relay()
            case "agent":
                self.expose_signed_in()
            case "demo":
                self.start_demo()

    def mailed_code(self) -> str:
        return self.programs["identity"].wait_for(r"code is (\d{6})").group(1)


TOPOLOGIES = {"one process": OneProcess, "three processes": ThreeProcesses}

#: A test on each topology once and on each engine once, where the second browser's story goes through all four pairs.
each_once = pytest.mark.parametrize(
    ("topology", "engine"),
    [
        ("one process", "sqlite"),
        pytest.param("three processes", "postgresql", marks=pytest.mark.postgresql),
    ],
)


def connections_link(installation: Installation) -> str:
    """A fresh one-time link, as its owner asks for one in a terminal."""
    answer = command("connect", "page", home=installation.machine_home, environ=installation.client_environ())
    if answer.returncode != 0:
        pytest.fail(answer.stderr)
    return answer.stdout.strip().splitlines()[-1]


__all__ = ["TOPOLOGIES", "Installation", "OneProcess", "ThreeProcesses", "connections_link", "each_once"]
