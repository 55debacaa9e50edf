"""A whole server as an operator runs it: `doorward serve` with every role, on free ports of loopback."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests import databases
from tests.e2e.processes import Program
from tests.ports import free_ports

ROLES = ("identity", "relay", "edge")


class ServedNode:
    """One node and what a test needs to know of it. `start` may be called again after `stop`.

    A node without a `database_url` finds its tables made, as a second start does.
    """

    def __init__(
        self,
        folder: Path,
        *,
        roles: Sequence[str] = ROLES,
        data: Path | None = None,
        database_url: str | None = None,
        front_port: int | None = None,
        edge: str = "",
        extra: str = "",
    ) -> None:
        self.folder = folder
        self.data = data or folder / "data"
        self.database = None if database_url else self.data / "doorward.sqlite"
        self.control_port, self.edge_port, self.admin_port = free_ports(3)
        self.accounts = f"http://accounts.localhost:{self.control_port}"
        self.relay = f"http://relay.localhost:{self.control_port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        # Machines dial a TLS front where there is one.
        scheme, edge_port = ("http", self.edge_port) if front_port is None else ("https", front_port)
        self.edge_url = f"{scheme}://edge.machines.localhost:{edge_port}"
        self.config = folder / "doorward.toml"
        folder.mkdir(parents=True, exist_ok=True)
        database = f'[database]\nurl = "{database_url}"\n' if database_url else ""
        self.config.write_text(
            f"""roles = {list(roles)!r}
data = "{self.data}"
{database}
[identity]
origin = "{self.accounts}"
[relay]
origin = "{self.relay}"
zone = "machines.localhost:{edge_port}"
[edge]
url = "{self.edge_url}"
{edge}
[listen]
control = "127.0.0.1:{self.control_port}"
edge = "127.0.0.1:{self.edge_port}"
trusted_proxies = {["127.0.0.1"] if front_port else []!r}
[admin]
listen = "127.0.0.1:{self.admin_port}"
{extra}
"""
        )
        self.program: Program | None = None

    def start(self) -> Program:
        if self.database is not None and not self.database.exists():
            databases.put_sqlite(self.database, databases.SERVER_SCHEMAS)
        self.program = Program(["serve", "--config", str(self.config)], home=self.folder)
        self.program.wait_for("Doorward serves")
        return self.program

    def administrator(self) -> str:
        """The one-time link of the first account."""
        assert self.program is not None
        return self.program.wait_for(r"^\s+(http\S+)").group(1)

    def mailed_code(self) -> str:
        assert self.program is not None
        return self.program.wait_for(r"code is (\d{6})").group(1)

    def stop(self) -> None:
        assert self.program is not None
        assert self.program.stop() == 0, self.program.output

    def terminate(self) -> None:
        """End it as a service manager does, and wait until it has."""
        assert self.program is not None
        self.program.process.send_signal(signal.SIGTERM)
        assert self.program.finish(seconds=60) == 0, self.program.output

    def kill(self) -> None:
        if self.program is not None and self.program.process.poll() is None:
            self.program.kill()


@contextlib.contextmanager
def served(folder: Path, **options: object) -> Iterator[ServedNode]:
    """A running node, killed at the end if the test did not stop it."""
    node = ServedNode(folder, **options)  # type: ignore[arg-type]
    node.start()
    try:
        yield node
    finally:
        node.kill()
