"""`doorward doctor`, at servers and machines that are well, and at ones broken on purpose."""

import asyncio
import datetime
import json
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from doorward.client.configuration import PublicConfiguration, save_configuration
from doorward.environment.keys import SecretStore
from doorward.listening import bind, serving
from doorward.outbound import Headers, Outbound, Response
from doorward.server.doctor import network
from doorward.server.doctor.findings import Finding
from doorward.server.doctor.machine import examine_machine
from doorward.server.doctor.server import examine_server
from tests.e2e.accounts import Account, keep
from tests.e2e.certificates import issue
from tests.e2e.processes import Program, command
from tests.ports import free_ports
from tests.server.nodes import ServedNode, served

pytestmark = pytest.mark.anyio


def doctor(*arguments: str | Path, home: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit status, and the findings by their check."""
    done = command("doctor", *map(str, arguments), "--json", home=home)
    assert done.stderr == "", done.stderr
    told = json.loads(done.stdout)
    assert told["healthy"] == (done.returncode == 0)
    return done.returncode, {finding["check"]: finding for finding in told["findings"]}


async def findings(config: Path) -> dict[str, Finding]:
    found = {finding.check: finding async for finding in examine_server(config, None, "prod")}
    for finding in found.values():
        # Whatever is not well says what it leads to and what to do.
        assert finding.level == "ok" or (finding.why and finding.mend), finding
    return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    """A server that is well, with one account whose grant is kept in `grant_home`."""
    with served(tmp_path_factory.mktemp("node")) as running:
        yield running
        running.stop()


@pytest.fixture
def changed(node: ServedNode, tmp_path: Path) -> Callable[..., Path]:
    """The running server's configuration with texts replaced."""

    def write(*changes: tuple[str, str]) -> Path:
        text = node.config.read_text()
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        path = tmp_path / "doorward.toml"
        path.write_text(text)
        return path

    return write


async def test_a_server_that_is_well(node: ServedNode) -> None:
    status, found = doctor("--config", node.config, home=node.folder)
    assert status == 0
    assert {check for check, finding in found.items() if finding["level"] != "ok"} == set()
    assert found.keys() >= {
        "configuration", "version", "key_file", "database", "keys", "accounts", "relay", "edge", "machines", "clock"
    }  # fmt: skip
    spoken = command("doctor", "--config", str(node.config), home=node.folder)
    assert "All is well." in spoken.stdout


async def test_a_configuration_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "doorward.toml").write_text("roles = [")
    found = await findings(tmp_path / "doorward.toml")
    assert found["configuration"].level == "problem"
    assert list(found) == ["configuration"]


async def test_a_server_that_never_ran(tmp_path: Path) -> None:
    node = ServedNode(tmp_path)
    found = await findings(node.config)
    assert found["data_folder"].level == "problem"
    assert found["database"].level == "problem"
    for part in ("accounts", "relay", "edge", "machines"):
        assert found[part].level == "problem"
        assert "Cannot reach" in found[part].what


@pytest.mark.parametrize("damage", ["missing", "readable by others", "another", "no key"])
async def test_a_key_file_that_does_not_serve(
    node: ServedNode, changed: Callable[..., Path], tmp_path: Path, damage: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with (
        closing(sqlite3.connect(node.data / "doorward.sqlite")) as source,
        closing(sqlite3.connect(data / "doorward.sqlite")) as copy,
    ):
        source.backup(copy)
    key_file = data / "key-encryption.key"
    if damage != "missing":
        text = "00" * 32 if damage == "another" else (node.data / "key-encryption.key").read_text()
        key_file.write_text("hello" if damage == "no key" else text)
        key_file.chmod(0o644 if damage == "readable by others" else 0o600)
    path = changed((f'data = "{node.data}"', f'data = "{data}"'))
    if damage in ("readable by others", "no key"):
        assert (await findings(path))["key_file"].level == "problem"
        return
    found = await findings(path)
    assert found["keys" if damage == "another" else "key_file"].level == "problem"
    assert "Bring" in found["keys" if damage == "another" else "key_file"].mend


async def test_a_damaged_database(node: ServedNode, changed: Callable[..., Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "doorward.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    found = await findings(changed((f'data = "{node.data}"', f'data = "{data}"')))
    assert found["database"].level == "problem"
    assert "Restore it from a backup" in found["database"].what


async def test_a_database_of_a_newer_program(
    node: ServedNode, changed: Callable[..., Path], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with closing(sqlite3.connect(data / "doorward.sqlite")) as tables:
        tables.execute("CREATE TABLE identity_schema_version (version_num TEXT)")
        tables.execute("INSERT INTO identity_schema_version VALUES ('9999')")
        tables.commit()
    found = await findings(changed((f'data = "{node.data}"', f'data = "{data}"')))
    assert (found["schema"].level, "9999" in found["schema"].what) == ("problem", True)


async def test_a_postgresql_that_is_not_there(node: ServedNode, changed: Callable[..., Path]) -> None:
    (port,) = free_ports(1)
    path = changed(
        (
            "\n\n[identity]",
            f'\n[database]\nurl = "postgresql://doorward:hunter22@127.0.0.1:{port}/x"\n[identity]',
        )
    )
    found = await findings(path)
    assert (found["database"].level, "hunter22" in found["database"].what) == ("problem", False)


async def test_names_that_do_not_resolve_say_which_record_to_create(
    node: ServedNode, changed: Callable[..., Path]
) -> None:
    path = changed(
        (f"http://relay.localhost:{node.control_port}", "https://relay.doorward.invalid"),
        (f"machines.localhost:{node.edge_port}", "machines.doorward.invalid"),
        ("http://edge.", "https://edge."),
    )
    found = await findings(path)
    assert found["relay_dns"].level == found["edge_dns"].level == found["machines_dns"].level == "problem"
    assert "*.machines.doorward.invalid" in found["machines_dns"].mend
    assert "relay" not in found
    # Once it is for more than this machine, what is left out is worth a warning.
    assert (found["trusted_proxies"].level, found["mail"].level) == ("warning", "warning")


async def test_a_front_that_sends_everything_to_the_wrong_listener(
    node: ServedNode, changed: Callable[..., Path]
) -> None:
    path = changed(
        (
            f"http://edge.machines.localhost:{node.edge_port}",
            f"http://edge.machines.localhost:{node.control_port}",
        ),
        (f"http://relay.localhost:{node.control_port}", f"http://relay.localhost:{node.edge_port}"),
    )
    found = await findings(path)
    assert "that is not Doorward's edge" in found["edge"].what
    assert "that is not a healthy relay" in found["relay"].what
    assert "deploy/" in found["edge"].mend


async def answer_nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture
async def https_port(anyio_backend: str, tmp_path: Path) -> AsyncIterator[int]:
    """A server over TLS with a day's certificate for one name, of an authority nobody knows."""
    from doorward.server.tls import server_context

    certificates = issue(tmp_path, ["well.localhost"])
    with bind("127.0.0.1", 0, option="") as listener:
        async with serving(answer_nothing, listener, tls=server_context(certificates.leaf, certificates.key)):
            yield int(listener.getsockname()[1])


async def test_certificates(https_port: int, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    strange = await network.check_certificate("tls", f"https://well.localhost:{https_port}", ca_file=None)
    assert (strange.level, "not accepted" in strange.what) == ("problem", True)
    misnamed = await network.check_certificate(
        "tls", f"https://other.localhost:{https_port}", ca_file=authority
    )
    assert (misnamed.level, "other.localhost" in misnamed.mend) == ("problem", True)
    ending = await network.check_certificate("tls", f"https://well.localhost:{https_port}", ca_file=authority)
    assert (ending.level, "ends in" in ending.what) == ("warning", True)
    (closed,) = free_ports(1)
    silent = await network.check_certificate("tls", f"https://well.localhost:{closed}", ca_file=authority)
    assert (silent.level, "does not answer" in silent.what) == ("problem", True)


@pytest.mark.parametrize(
    ("seconds", "level"), [(0, "ok"), (15, "warning"), (-15, "warning"), (700, "problem"), (-700, "problem")]
)
async def test_clocks(seconds: int, level: str) -> None:
    there = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    told = there.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()
    finding = network.check_clock("clock", "the relay", Response(200, Headers([(b"date", told)]), b""))
    assert finding is not None
    assert finding.level == level
    assert network.check_clock("clock", "the relay", Response(200, Headers([]), b"")) is None


# A machine.


async def machine_findings(home: Path) -> dict[str, Finding]:
    found = {finding.check: finding async for finding in examine_machine(home)}
    for finding in found.values():
        assert finding.level == "ok" or (finding.why and finding.mend), finding
    return found


async def test_a_machine_that_knows_no_server(tmp_path: Path) -> None:
    status, found = doctor("--home", tmp_path / "home", home=tmp_path / "home")
    assert status == 1
    assert "DOORWARD_RELAY_URL" in found["configuration"]["what"]


async def test_a_machine_step_by_step_until_it_is_well(node: ServedNode, tmp_path: Path) -> None:
    """Each finding's advice is followed, and the next thing is found; at last all is well, and then it breaks."""
    home, outbound = tmp_path / "home", Outbound()
    home.mkdir()
    save_configuration(home, PublicConfiguration(relay_url=node.relay, accounts_origin=node.accounts))
    found = await machine_findings(home)
    assert (found["relay"].level, found["accounts"].level, found["clock"].level) == ("ok", "ok", "ok")
    assert "connect login" in found["sign_in"].mend
    assert not (home / "userdata").exists()  # looking makes no machine

    account = Account(node.accounts, outbound)
    await account.sign_up(node.administrator(), node.mailed_code)
    keep(await account.grant(), home, outbound, account)
    await outbound.close()
    assert "connect link" in (await machine_findings(home))["intent"].mend

    service_port, own_port = free_ports(2)
    arguments = ["expose", str(service_port), "--name", "doctored", "--environment-port", str(own_port)]
    (admin_port,) = free_ports(1)
    agent = Program(arguments, home=home, environ={"DOORWARD_ADMIN_LISTEN": f"127.0.0.1:{admin_port}"})
    try:
        agent.wait_for("Ctrl-C stops exposing")
        async with asyncio.timeout(60):
            found = await machine_findings(home)
            while "tunnel" not in found or found["tunnel"].level != "ok":
                found = await machine_findings(home)
        assert found["edge"].level == "ok"
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{admin_port}") as client:
            assert (await client.get("/health/ready/machine")).json()["ready"]
            page = (await client.get("/metrics")).text
        assert 'doorward_machine_devices{status="pending"} 0.0' in page
        assert "doorward_machine_connected 1.0" in page
        assert "Nothing listens" in found["service doctored"].what
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", service_port)
        async with server:
            found = await machine_findings(home)
            assert {check for check, finding in found.items() if finding.level != "ok"} == set()
        secret = next((home / "userdata" / "secrets").glob("*.bin"))
        secret.chmod(0o644)
        assert (await machine_findings(home))["secrets"].level == "problem"
        secret.chmod(0o600)
        SecretStore(home / "userdata" / "secrets").set("connect-security-mode", b"perhaps")
        assert "connect security --mode client-approval" in (await machine_findings(home))["approval"].mend
        SecretStore(home / "userdata" / "secrets").set("connect-security-mode", b"client-approval")
        assert found["link_key"].level == "ok"
        SecretStore(home / "userdata" / "secrets").set("cloud-link-ed25519-key-pair", b"junk")
        assert "backup" in (await machine_findings(home))["link_key"].mend
        assert agent.stop() == 0
    finally:
        if agent.process.poll() is None:
            agent.kill()
    assert "doorward expose" in (await machine_findings(home))["agent"].mend


async def test_a_machine_whose_server_is_gone(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    save_configuration(
        tmp_path,
        PublicConfiguration(
            relay_url=f"http://relay.localhost:{port}", accounts_origin=f"http://a.localhost:{port}"
        ),
    )
    found = await machine_findings(tmp_path)
    assert found["relay"].level == found["accounts"].level == "problem"
    assert "Cannot reach" in found["relay"].what


def test_one_patient_at_a_time(tmp_path: Path) -> None:
    done: subprocess.CompletedProcess[str] = command("doctor", "--config", "a", "--home", "b", home=tmp_path)
    assert (done.returncode, "Name one of" in done.stderr) == (2, True)
