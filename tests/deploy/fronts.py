"""HAProxy and Caddy as subprocesses, with the very files of `deploy/` and an installation's values in the environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.e2e.certificates import Certificates
from tests.ports import free_ports
from tests.system_parts import require_system_part

DEPLOY = Path(__file__).parents[2] / "deploy"
ACCOUNTS, RELAY, ZONE = "accounts.localhost", "relay.localhost", "machines.localhost"


class Front(NamedTuple):
    """Where people arrive. `control_port` answers for the accounts and the relay, `port` for machines, over TLS."""

    port: int
    control_port: int
    control_is_tls: bool


class Behind(NamedTuple):
    """`host:port` of what stands behind the front."""

    control: str
    edges: tuple[str, ...]
    admin_ports: tuple[int, ...] = ()
    """Where each edge says whether it is ready; empty: a node that accepts connections is."""


@contextlib.asynccontextmanager
async def haproxy(
    behind: Behind, certificates: Certificates, folder: Path, *, port: int = 0
) -> AsyncIterator[Front]:
    """`deploy/haproxy.cfg`: control and machines on one TLS port."""
    program = _require("haproxy")
    port = port or free_ports(1)[0]
    together = folder / "haproxy.pem"
    together.write_bytes(certificates.leaf.read_bytes() + certificates.key.read_bytes())
    variables = {
        "DOORWARD_BIND": f"127.0.0.1:{port} ssl crt {together} alpn h2,http/1.1",
        "DOORWARD_ACCOUNTS": ACCOUNTS,
        "DOORWARD_RELAY": RELAY,
        "DOORWARD_CONTROL_1": behind.control,
    } | {f"DOORWARD_EDGE_{number}": address for number, address in enumerate(behind.edges, 1)}
    if behind.admin_ports:
        variables["DOORWARD_EDGE_READY"] = "yes"
    for number, admin in enumerate(behind.admin_ports, 1):
        variables[f"DOORWARD_EDGE_CHECK_{number}"] = f"port {admin} inter 100ms fall 1 rise 1"
    command = [program, "-f", str(DEPLOY / "haproxy.cfg")]
    await _succeeds([*command, "-c"], variables)
    async with _running([*command, "-db"], variables, port, folder / "haproxy.log"):
        yield Front(port, port, control_is_tls=True)


@contextlib.asynccontextmanager
async def caddy(behind: Behind, certificates: Certificates, folder: Path) -> AsyncIterator[Front]:
    """`deploy/Caddyfile`: machines over TLS with the given certificate; control plain, for want of an authority to ask."""
    program = _require("caddy")
    port, control_port, redirect_port = free_ports(3)
    variables = {
        "DOORWARD_ACCOUNTS": f"http://{ACCOUNTS}:{control_port}",
        "DOORWARD_RELAY": f"http://{RELAY}:{control_port}",
        "DOORWARD_MACHINES": f"https://*.{ZONE}:{port}",
        "DOORWARD_MACHINES_TLS": f"{certificates.leaf} {certificates.key}",
        "DOORWARD_CONTROL": behind.control,
        "DOORWARD_EDGE": behind.edges[0],
        "DOORWARD_CADDY_ADMIN": f"unix/{folder}/caddy.sock",
        "DOORWARD_HTTP_PORT": str(redirect_port),
        # Caddy keeps its state in the home of whoever runs it.
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    configuration = ["--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    await _succeeds([program, "validate", *configuration], variables)
    async with _running([program, "run", *configuration], variables, port, folder / "caddy.log"):
        yield Front(port, control_port, control_is_tls=False)


def _require(name: str) -> str:
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    require_system_part(name, None if program else f"no {name} command; apt-get install {name}")
    assert program is not None
    return program


async def _succeeds(command: Sequence[str], variables: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


@contextlib.asynccontextmanager
async def _running(
    command: Sequence[str], variables: Mapping[str, str], port: int, log: Path
) -> AsyncIterator[None]:
    """The program, once its port answers."""
    said = log.read_text
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **variables}, stdout=output, stderr=output
        )
    try:
        deadline = asyncio.get_running_loop().time() + 60
        while True:
            assert process.returncode is None, said()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                assert asyncio.get_running_loop().time() < deadline, said()
                await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
