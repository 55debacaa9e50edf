"""The systemd units and the container file: parsed, held against the program, and their commands run."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from doorward.server.configuration import load_serve_configuration
from tests.e2e.processes import Program, command, program_environ
from tests.server.nodes import ServedNode, served
from tests.system_parts import require_system_part

ROOT = Path(__file__).parents[2]
UNITS = ("doorward.service", "doorward-expose.service")


def settings(unit: Path) -> dict[str, list[str]]:
    """Every `Name=value` of the unit, in order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_the_unit(deploy: Path, tmp_path: Path, name: str) -> None:
    program = shutil.which("systemd-analyze")
    require_system_part("systemd-analyze", None if program else "apt-get install systemd")
    assert program is not None
    text = (deploy / name).read_text().replace("/opt/doorward/bin/doorward", sys.executable)
    for user in ("doorward-machine", "doorward"):
        text = text.replace(f"User={user}\n", "User=daemon\n").replace(f"Group={user}\n", "Group=daemon\n")
    (tmp_path / name).write_text(text)
    done = subprocess.run([program, "verify", tmp_path / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_gives_the_program_little_to_lose(deploy: Path, name: str) -> None:
    found = settings(deploy / name)
    assert found["User"] not in ([], ["root"])
    for wall in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces"):
        assert found[wall] == ["yes"], wall
    assert found["ProtectSystem"] == ["strict"]
    assert found["StateDirectoryMode"] == ["0700"]
    assert not any("secret" in value.lower() for value in found.get("Environment", []))


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_what_the_program_has(deploy: Path, tmp_path: Path, name: str) -> None:
    ((_, *arguments),) = (shlex.split(value) for value in settings(deploy / name)["ExecStart"])
    told = command(arguments[0], "--help", home=tmp_path)
    assert told.returncode == 0
    assert all(option in told.stdout for option in arguments if option.startswith("--"))


def test_the_server_s_unit_waits_until_it_serves_and_lets_it_end(deploy: Path, tmp_path: Path) -> None:
    """Type=notify: READY only once requests are answered, STOPPING at SIGTERM, and an end that counts as success."""
    found = settings(deploy / "doorward.service")
    assert found["Type"] == ["notify"]
    node = ServedNode(tmp_path)
    drain = load_serve_configuration(node.config).edge
    assert int(found["TimeoutStopSec"][0]) > drain.notice_seconds + drain.drain_seconds
    arguments = shlex.split(found["ExecStart"][0])[1:]
    arguments[arguments.index("--config") + 1] = str(node.config)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(120)
        program = Program(arguments, home=tmp_path, environ={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        try:
            assert supervisor.recv(100) == b"READY=1"
            socket.create_connection(("127.0.0.1", node.control_port), 10).close()
            os.kill(program.process.pid, signal.SIGTERM)
            assert supervisor.recv(100) == b"STOPPING=1"
            assert program.finish(seconds=120) == 0
        finally:
            if program.process.poll() is None:
                program.kill()


def test_the_example_configuration_is_one(deploy: Path) -> None:
    configuration = load_serve_configuration(deploy / "doorward.toml")
    assert configuration.roles == ("identity", "relay", "edge")
    assert configuration.listen.trusted_proxies
    for name, port in (("haproxy.cfg", "8081"), ("Caddyfile", "8081"), ("Containerfile", "8080")):
        assert port in (deploy / name).read_text()


# The container file. No engine runs here: it is read, and what it would run is run.


@pytest.fixture
def instructions(deploy: Path) -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (deploy / "Containerfile").read_text(), flags=re.MULTILINE).replace(
        "\\\n", " "
    )
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]  # type: ignore[misc]


def of(instructions: list[tuple[str, str]], name: str) -> list[str]:
    return [value for found, value in instructions if found == name]


def test_the_image_installs_from_the_lock_and_runs_as_nobody_special(
    instructions: list[tuple[str, str]],
) -> None:
    install = next(run for run in of(instructions, "RUN") if "pip install" in run)
    assert "--require-hashes -r requirements/runtime.txt" in install
    last = [name for name, _ in instructions][::-1].index("FROM")
    final = instructions[len(instructions) - 1 - last :]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", of(final, "USER")[-1])
    assert not of(instructions, "ADD")
    assert not [run for run in of(instructions, "RUN") if "curl" in run or "wget" in run]
    for copied in of(instructions, "COPY"):
        if not copied.startswith("--from"):
            assert (ROOT / copied.split()[0]).exists(), copied


@pytest.mark.anyio
async def test_its_health_check_tells_a_ready_node_from_a_missing_one(
    instructions: list[tuple[str, str]], tmp_path: Path
) -> None:
    (health,) = of(instructions, "HEALTHCHECK")
    _, *check = json.loads(health[health.index("CMD") + 3 :])

    async def healthy(port: int) -> bool:
        here = [
            argument.replace(":9090/", f":{port}/").replace("timeout=4", "timeout=60") for argument in check
        ]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *here, stderr=asyncio.subprocess.DEVNULL, env=program_environ(tmp_path, None)
        )
        return await process.wait() == 0

    with served(tmp_path) as node:
        assert await healthy(node.admin_port)
        node.stop()
        assert not await healthy(node.admin_port)


def test_its_command_is_one_of_the_program(instructions: list[tuple[str, str]], tmp_path: Path) -> None:
    (entry,), (default,) = of(instructions, "ENTRYPOINT"), of(instructions, "CMD")
    assert json.loads(entry)[1:] == ["-m", "doorward"]
    refused = command(*json.loads(default), home=tmp_path)
    assert refused.returncode == 2
    assert "Cannot read /etc/doorward/doorward.toml" in refused.stderr
