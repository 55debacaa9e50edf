"""cloudflared, where a relay hands out Cloudflare's tunnels (checklist 185-196).

The real program and its download are not to be had here: what is installed and run is a small program of the test's own,
from a server on loopback. What is proved is ours: finding, installing, running, listening.
"""

import asyncio
import hashlib
import io
import os
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from doorward.cli.relay_client import ready_to_link
from doorward.environment.link.supervisor import Supervisor
from doorward.environment.relay_client import (
    Available,
    InstallFailed,
    Missing,
    Progress,
    RelayClient,
    Unsupported,
)
from doorward.environment.relay_client import installing as installing_module
from doorward.environment.relay_client.installing import Installation
from doorward.environment.relay_client.leftover import RunningNote, when_began
from doorward.environment.relay_client.process import RelayClientProcess
from doorward.environment.relay_client.releases import Asset, Platform, Release
from doorward.outbound import Outbound
from doorward.t3_connect.messages import EndpointRuntime
from doorward.tunnel import Connector, ConnectorToken
from tests.environment.conftest import MakeMachine
from tests.environment.test_auth_access_stream import talking
from tests.ports import free_ports
from tests.tunnel.carriers import never, token_for, until

pytestmark = pytest.mark.anyio

LINUX = Platform("linux", "x64")

#: Writes down what it was given, says what cloudflared says, and waits for its end.
PROGRAM = b"""#!/bin/sh
case "$1" in --version) echo "cloudflared version 2026.5.2"; exit 0 ;; esac
folder=$(dirname "$0")
printf '%s|%s|%s\\n' "$$" "$*" "$TUNNEL_TOKEN" >> "$folder/runs"
echo "2026-01-01T00:00:00Z INF Starting tunnel"
echo "2026-01-01T00:00:00Z ERR a failure with $TUNNEL_TOKEN in it" >&2
echo "2026-01-01T00:00:00Z INF Registered tunnel connection connIndex=0"
trap 'exit 0' TERM
while [ ! -e "$folder/exit" ]; do sleep 0.05; done
rm "$folder/exit"
exit 3
"""


class Downloads:
    """A server of releases that counts what it served."""

    def __init__(self) -> None:
        self.body = PROGRAM
        self.served = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        if path.startswith(b"/releases"):
            # As the real ones do: from the release to where its file lies.
            writer.write(b"HTTP/1.1 302 Found\r\nlocation: /files%s\r\ncontent-length: 0\r\n\r\n" % path)
        elif b"gone" in path:
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        else:
            self.served += 1
            half = len(self.body) // 2
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(self.body), self.body[:half])
            )
            await writer.drain()
            await self.may_end.wait()
            writer.write(self.body[half:])
        await writer.drain()
        writer.close()

    def release(self, name: str = "cloudflared-linux-amd64", **changes: Any) -> Release:
        asset = Asset(name, **{"sha256": hashlib.sha256(self.body).hexdigest(), **changes})
        return Release(
            version="2026.5.2", base_url=f"http://localhost:{self.port}/releases", assets={str(LINUX): asset}
        )


@pytest.fixture
async def downloads(anyio_backend: str) -> AsyncIterator[Downloads]:
    serving = Downloads()
    server = await asyncio.start_server(serving, "127.0.0.1", 0)
    serving.port = server.sockets[0].getsockname()[1]
    async with server:
        yield serving


@pytest.fixture
async def outbound(anyio_backend: str) -> AsyncIterator[Outbound]:
    client = Outbound()
    yield client
    await client.close()


@pytest.fixture
def client(downloads: Downloads, outbound: Outbound, tmp_path: Path) -> Callable[..., RelayClient]:
    def make(**changes: Any) -> RelayClient:
        options = {"environ": {"PATH": "/usr/bin:/bin"}, "release": downloads.release(), "platform": LINUX}
        return RelayClient(tmp_path / "tools", outbound, **{**options, **changes})

    return make


def program(path: Path, content: bytes = PROGRAM) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# --- finding -----------------------------------------------------------------------------------------


@pytest.mark.conformance("connect-environment", 185)
async def test_the_override_wins_over_our_copy_and_that_over_the_path(
    client: Callable[..., RelayClient], tmp_path: Path
) -> None:
    environ = {"PATH": str(tmp_path / "bin")}
    found = client(environ=environ)
    assert found.status() == Missing(version="2026.5.2")
    on_path = program(tmp_path / "bin" / "cloudflared")
    assert found.status() == Available(executable_path=str(on_path), source="path", version="2026.5.2")
    managed = program(tmp_path / "tools/cloudflared/2026.5.2/linux-x64/cloudflared")
    assert found.status() == Available(executable_path=str(managed), source="managed", version="2026.5.2")
    environ["T3CODE_CLOUDFLARED_PATH"] = str(program(tmp_path / "mine"))
    assert found.status() == Available(
        executable_path=str(tmp_path / "mine"), source="override", version="2026.5.2"
    )


@pytest.mark.conformance("connect-environment", 186)
async def test_an_override_that_cannot_run_is_missing_and_nothing_is_installed_over_it(
    client: Callable[..., RelayClient], downloads: Downloads, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_bytes(PROGRAM)  # not executable
    program(tmp_path / "tools/cloudflared/2026.5.2/linux-x64/cloudflared")
    found = client(environ={"PATH": "/bin", "T3CODE_CLOUDFLARED_PATH": str(tmp_path / "mine")})
    assert found.status() == Missing(version="2026.5.2")
    with pytest.raises(InstallFailed) as failed:
        await found.install()
    assert (failed.value.reason, str(failed.value)) == (
        "override_missing",
        "T3CODE_CLOUDFLARED_PATH does not point to an executable file.",
    )
    assert downloads.served == 0


async def test_an_unknown_platform_is_told_by_name(client: Callable[..., RelayClient]) -> None:
    found = client(platform=Platform("plan9", "mips"))
    assert found.status() == Unsupported(platform="plan9", arch="mips", version="2026.5.2")
    with pytest.raises(InstallFailed) as failed:
        await found.install()
    assert failed.value.reason == "unsupported_platform"


# --- installing --------------------------------------------------------------------------------------


@pytest.mark.conformance("connect-environment", 187)
@pytest.mark.parametrize("is_archive", [False, True], ids=["executable", "archive"])
async def test_an_installation_is_downloaded_checked_tried_and_put_in_place(
    client: Callable[..., RelayClient], downloads: Downloads, tmp_path: Path, is_archive: bool
) -> None:
    if is_archive:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            entry = tarfile.TarInfo("cloudflared")
            entry.size = len(PROGRAM)
            tar.addfile(entry, io.BytesIO(PROGRAM))
        downloads.body = packed.getvalue()
    name = "cloudflared.tgz" if is_archive else "cloudflared-linux-amd64"
    found = client(release=downloads.release(name, is_archive=is_archive))
    seen: list[Progress] = []
    status = await found.install(seen.append)
    assert status == found.status()
    assert status.source == "managed"
    assert list(dict.fromkeys(progress.stage for progress in seen)) == [
        "checking", "waiting_for_lock", "downloading", "verifying", "installing", "validating", "activating",
    ]  # fmt: skip
    loaded = [progress for progress in seen if progress.received]
    assert (loaded[-1].received, loaded[-1].total) == (len(downloads.body),) * 2
    assert everything_below(tmp_path / "tools") == {"cloudflared/2026.5.2/linux-x64/cloudflared"}
    assert (tmp_path / "tools/cloudflared/2026.5.2/linux-x64/cloudflared").read_bytes() == PROGRAM
    assert await found.install() == status
    assert downloads.served == 1


@pytest.mark.conformance("connect-environment", 188)
@pytest.mark.parametrize(
    ("changes", "body", "reason"),
    [
        ({"sha256": "0" * 64}, PROGRAM, "invalid_checksum"),
        ({"name": "gone"}, PROGRAM, "download_failed"),
        ({}, b"#!/bin/sh\nexit 1\n", "validation_failed"),
        ({}, b"\x7fELF of another machine", "validation_failed"),
        ({"is_archive": True}, b"not an archive", "write_failed"),
    ],
    ids=["checksum", "not there", "does not run", "not ours to run", "not an archive"],
)
async def test_what_fails_leaves_nothing_behind(
    client: Callable[..., RelayClient],
    downloads: Downloads,
    tmp_path: Path,
    changes: dict[str, Any],
    body: bytes,
    reason: str,
) -> None:
    downloads.body = body
    with pytest.raises(InstallFailed) as failed:
        await client(release=downloads.release(**changes)).install()
    assert failed.value.reason == reason
    assert everything_below(tmp_path / "tools") == set()
    assert downloads.served == (reason != "download_failed")


async def test_a_copy_that_works_stays_until_the_new_one_has_run(
    client: Callable[..., RelayClient], downloads: Downloads, tmp_path: Path
) -> None:
    target = tmp_path / "tools/cloudflared/2026.5.2/linux-x64/cloudflared"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"kept")  # not executable: not available, and not ours to lose
    downloads.body = b"#!/bin/sh\nexit 1\n"
    with pytest.raises(InstallFailed):
        await client(release=downloads.release()).install()
    assert target.read_bytes() == b"kept"


@pytest.mark.conformance("connect-environment", 189)
async def test_two_installations_at_once_download_once(
    client: Callable[..., RelayClient], downloads: Downloads
) -> None:
    first, second = await asyncio.gather(client().install(), client().install())
    assert first == second
    assert downloads.served == 1


@pytest.mark.conformance("connect-environment", 190)
async def test_a_held_lock_is_told_and_a_dead_one_taken_over(
    client: Callable[..., RelayClient], downloads: Downloads, outbound: Outbound, tmp_path: Path
) -> None:
    folder = tmp_path / "tools/cloudflared/2026.5.2/linux-x64"
    folder.mkdir(parents=True)
    lock = folder / "cloudflared.lock"
    lock.write_text("another process")
    release = downloads.release()
    asset = release.assets[str(LINUX)]
    impatient = Installation(
        outbound,
        url=release.url(asset),
        asset=asset,
        target=folder / "cloudflared",
        report=lambda progress: None,
        lock_tries=3,
    )
    # Five minutes long a lock is somebody's; a minute of play, for the clock goes on.
    for age in (0, 240):
        os.utime(lock, (time.time() - age,) * 2)
        with pytest.raises(InstallFailed) as failed:
            await impatient.run(is_done=lambda: False)
        assert failed.value.reason == "install_locked"
        assert str(failed.value) == "Another relay client installation is still in progress."
        assert lock.read_text() == "another process"
    assert downloads.served == 0
    # T3 Code waits as long: a hundred times a tenth of a second.
    assert pytest.approx(10) == installing_module.LOCK_TRIES * installing_module.LOCK_PAUSE_SECONDS
    long_ago = time.time() - 301
    os.utime(lock, (long_ago, long_ago))
    assert isinstance(await client().install(), Available)
    assert everything_below(folder) == {"cloudflared"}


@pytest.mark.conformance("connect-environment", 164)
@pytest.mark.parametrize("is_needed", [True, False])
async def test_linking_installs_it_as_agreed_and_goes_on_where_the_relay_needs_it(
    client: Callable[..., RelayClient], downloads: Downloads, is_needed: bool
) -> None:
    found = client()
    said: list[str] = []
    asked: list[str] = []

    def agree(question: str) -> bool:
        asked.append(question)
        return True

    assert await ready_to_link(found, is_needed=is_needed, agree=agree, say=said.append)
    if is_needed:
        assert [line.removeprefix("Relay client: ") for line in said[:-1]] == [
            "Checking existing installation...",
            "Waiting for installation lock...",
            "Downloading...",
            "Verifying download...",
            "Installing...",
            "Validating executable...",
            "Activating installation...",
        ]
        assert said[-1].startswith("Using relay client 2026.5.2 from ")
    assert (len(asked), downloads.served) == (int(is_needed), int(is_needed))
    assert await ready_to_link(found, is_needed=is_needed, agree=agree, say=said.append)
    assert len(asked) == int(is_needed)


# --- running -----------------------------------------------------------------------------------------


class Installed:
    """A supervisor whose relay client is the test's program."""

    def __init__(self, folder: Path, outbound: Outbound) -> None:
        self.folder = folder
        path = program(folder / "cloudflared")
        self.client = RelayClient(
            folder / "tools",
            outbound,
            environ={
                "PATH": "/usr/bin:/bin",
                "T3CODE_CLOUDFLARED_PATH": str(path),
                "TUNNEL_ORIGIN_CERT": "another tunnel's",
            },
        )
        self.supervisor = Supervisor(self.client)
        self.supervisor.use(lambda token: Connector(token, router=never))

    def runs(self) -> list[list[str]]:
        """(process id, arguments, token) of each start."""
        try:
            return [line.split("|") for line in (self.folder / "runs").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def is_alive(self, pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True


@pytest.fixture
async def installed(outbound: Outbound, tmp_path: Path) -> AsyncIterator[Installed]:
    made = Installed(tmp_path / "installed", outbound)
    yield made
    await made.supervisor.close()


def runtime(token: str = "eyJ-cloudflares", **changes: Any) -> EndpointRuntime:
    fields = {
        "provider_kind": "cloudflare_tunnel",
        "tunnel_id": "t",
        "tunnel_name": "n",
        "connector_token": token,
    }
    return EndpointRuntime(**{**fields, **changes})


@pytest.mark.conformance("connect-environment", 191)
async def test_a_configuration_starts_keeps_replaces_and_stops_the_process(installed: Installed) -> None:
    supervisor = installed.supervisor
    first = await supervisor.apply(runtime("token-one"))
    assert (first.status, first.tunnel_id, first.tunnel_name) == ("running", "t", "n")
    await until(lambda: len(installed.runs()) == 1)
    assert installed.runs() == [[str(first.pid), "tunnel run", "token-one"]]
    assert (await supervisor.apply(runtime("token-one"))).pid == first.pid
    second = await supervisor.apply(runtime("token-two"))
    assert second.pid != first.pid
    assert not installed.is_alive(int(first.pid))  # type: ignore[arg-type]
    assert (await supervisor.apply(None)).status == "disabled"
    assert not installed.is_alive(int(second.pid))  # type: ignore[arg-type]


async def test_a_connector_that_is_replaced_at_once_ends_all_the_same(installed: Installed) -> None:
    token = token_for(free_ports(1)[0])
    made: list[Connector] = []

    def make(token: ConnectorToken) -> Connector:
        made.append(Connector(token, router=never))
        return made[-1]

    installed.supervisor.use(make)
    await installed.supervisor.apply(runtime(token.encode()))
    await installed.supervisor.apply(None)
    assert [connector.state.word for connector in made] == ["stopped"]


@pytest.mark.conformance("connect-environment", 192)
async def test_a_process_that_exits_is_started_again_while_it_is_wanted(installed: Installed) -> None:
    process = RelayClientProcess(
        str(installed.folder / "cloudflared"),
        "token",
        environ={"PATH": "/usr/bin:/bin"},
        note=RunningNote(installed.folder / "running.json"),
        first_wait=0.05,
    )
    await process.start()
    running = asyncio.create_task(process.run())
    await until(lambda: len(installed.runs()) == 1)
    first = process.pid
    (installed.folder / "exit").touch()
    # The program may run, and say so, before whoever started it has its number.
    await until(lambda: [int(run[0]) for run in installed.runs()] == [first, process.pid])
    await until(lambda: process.state.word == "connected")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert process.state.word == "stopped"
    assert not installed.is_alive(int(installed.runs()[1][0]))


@pytest.mark.conformance("connect-environment", 193)
async def test_another_kind_of_provider_stops_the_process(installed: Installed) -> None:
    running = await installed.supervisor.apply(runtime())
    other = await installed.supervisor.apply(runtime(provider_kind="t3_relay"))
    assert (other.status, other.provider_kind) == ("unsupported", "t3_relay")
    assert not installed.is_alive(int(running.pid))  # type: ignore[arg-type]


@pytest.mark.conformance("connect-environment", 194)
async def test_configurations_applied_together_take_turns_and_the_last_one_runs(installed: Installed) -> None:
    tokens = [f"token-{number}" for number in range(4)]
    statuses = await asyncio.gather(*(installed.supervisor.apply(runtime(token)) for token in tokens))
    assert {status.status for status in statuses} == {"running"}
    pids = [int(status.pid) for status in statuses]  # type: ignore[arg-type]
    assert [installed.is_alive(pid) for pid in pids] == [False, False, False, True]
    config = installed.supervisor.config
    assert config is not None
    assert config.connector_token == "token-3"


@pytest.mark.conformance("connect-environment", 195)
async def test_what_cannot_be_started_says_why(
    client: Callable[..., RelayClient], installed: Installed, tmp_path: Path
) -> None:
    supervisor = Supervisor(client())
    supervisor.use(lambda token: Connector(token, router=never))
    missing = await supervisor.apply(runtime())
    assert (missing.status, missing.reason) == ("failed", "The relay client is not installed.")
    supervisor = Supervisor(client(platform=Platform("plan9", "mips")))
    supervisor.use(lambda token: Connector(token, router=never))
    unsupported = await supervisor.apply(runtime())
    assert unsupported.reason == "Relay client is unsupported on plan9-mips."
    (installed.folder / "cloudflared").write_bytes(b"\x7fELF of another machine")
    failed = await installed.supervisor.apply(runtime())
    assert failed.status == "failed"
    assert "could not be started" in str(failed.reason)


#: An agent as far as this goes: it starts the relay client, says so, and lives until it is killed.
AGENT = """
import asyncio, sys
from pathlib import Path
from doorward.environment.relay_client import RelayClient
from doorward.outbound import Outbound

async def main():
    folder = Path(sys.argv[1])
    environ = {"PATH": "/usr/bin:/bin", "T3CODE_CLOUDFLARED_PATH": str(folder / "cloudflared")}
    process = await RelayClient(folder / "tools", Outbound(), environ=environ).start("an earlier token")
    print(process.pid, flush=True)
    await process.run()

asyncio.run(main())
"""


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_what_a_killed_agent_left_running_is_ended_by_the_next_start(
    installed: Installed, is_wanted: bool
) -> None:
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", AGENT, str(installed.folder), stdout=asyncio.subprocess.PIPE
    )
    assert agent.stdout is not None
    left = int(await agent.stdout.readline())
    await until(lambda: len(installed.runs()) == 1)
    agent.kill()
    await agent.wait()
    assert installed.is_alive(left)
    status = await installed.supervisor.apply(runtime() if is_wanted else None)
    assert when_began(left) is None
    assert status.status == ("running" if is_wanted else "disabled")
    note = installed.folder / "tools/cloudflared/running.json"
    assert note.exists() == is_wanted
    await installed.supervisor.close()
    assert not note.exists()


async def test_a_stranger_who_has_the_noted_number_now_is_left_alone(installed: Installed) -> None:
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        note = installed.folder / "tools/cloudflared/running.json"
        note.parent.mkdir(parents=True)
        note.write_text(f'{{"pid": {stranger.pid}, "began": "long ago"}}')
        await installed.supervisor.apply(None)
        assert stranger.returncode is None
        assert installed.is_alive(stranger.pid)
        assert not note.exists()
    finally:
        stranger.kill()
        await stranger.wait()


async def test_nothing_is_left_running_when_there_is_nowhere_to_carry_to(installed: Installed) -> None:
    async def taken() -> None:
        await until(lambda: len(installed.runs()) == 1)
        raise OSError("the port is taken")

    installed.supervisor.use(lambda token: Connector(token, router=never), open_origin=taken)
    failed = await installed.supervisor.apply(runtime())
    assert failed.reason == "The tunnel cannot be opened: the port is taken"
    [[pid, _, _]] = installed.runs()
    assert not installed.is_alive(int(pid))


@pytest.mark.conformance("connect-environment", 196)
async def test_output_is_sorted_by_what_it_means_and_never_shows_the_token(
    installed: Installed, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="doorward.environment"):
        await installed.supervisor.apply(runtime("token-secret"))
        connector = installed.supervisor.connector
        assert connector is not None
        await until(lambda: connector.state.word == "connected")
    heard = "relay client: 2026-01-01T00:00:00Z "
    levels = {
        record.message.removeprefix(heard): record.levelname
        for record in caplog.records
        if record.message.startswith(heard)
    }
    assert levels == {
        "INF Starting tunnel": "DEBUG",
        "ERR a failure with <redacted> in it": "WARNING",
        "INF Registered tunnel connection connIndex=0": "INFO",
    }
    assert "token-secret" not in caplog.text


async def test_its_environment_holds_no_setting_of_another_tunnel(installed: Installed) -> None:
    (installed.folder / "cloudflared").write_text('#!/bin/sh\nenv > "$(dirname "$0")/env"\nexec sleep 60\n')
    await installed.supervisor.apply(runtime("token"))
    written = installed.folder / "env"
    await until(lambda: written.exists() and "PATH=" in written.read_text())
    given = set(written.read_text().splitlines())
    assert {"TUNNEL_TOKEN=token", "NO_AUTOUPDATE=true"} <= given
    assert not any(line.startswith("TUNNEL_ORIGIN_CERT") for line in given)


# --- over the socket ---------------------------------------------------------------------------------


async def test_the_owners_page_sees_and_installs_it(
    make_machine: MakeMachine, client: Callable[..., RelayClient]
) -> None:
    machine = await make_machine(linked=False)
    machine.environment.relay_client = client()
    async with talking(machine) as me:
        await me.call("cloud.getRelayClientStatus", "1")
        assert (await me.hear())["exit"]["value"] == {"status": "missing", "version": "2026.5.2"}
        await me.call("cloud.installRelayClient", "2")
        said = []
        while (frame := await me.hear())["_tag"] == "Chunk":
            said += frame["values"]
            await me.say({"_tag": "Ack", "requestId": "2"})
        assert [value["stage"] for value in said[:-1]][:2] == ["checking", "waiting_for_lock"]
        assert (said[-1]["type"], said[-1]["status"]["source"]) == ("complete", "managed")
        assert set(said[-1]["status"]) == {"status", "executablePath", "source", "version"}
    machine.environment.relay_client = client(environ={"T3CODE_CLOUDFLARED_PATH": "/nowhere"})
    async with talking(machine) as me:
        await me.call("cloud.installRelayClient")
        while (frame := await me.hear())["_tag"] == "Chunk":
            await me.say({"_tag": "Ack", "requestId": "0"})
        [cause] = frame["exit"]["cause"]
        assert cause["error"] == {
            "_tag": "RelayClientInstallFailedError",
            "reason": "override_missing",
            "message": "T3CODE_CLOUDFLARED_PATH does not point to an executable file.",
        }
    async with talking(machine, door="tunnel", role="administrator", is_remote_admin_on=True) as stranger:
        for number, tag in enumerate(("cloud.getRelayClientStatus", "cloud.installRelayClient")):
            await stranger.call(tag, str(number))
            [cause] = (await stranger.hear())["exit"]["cause"]
            assert cause["error"]["requiredScope"] == "relay:write"
