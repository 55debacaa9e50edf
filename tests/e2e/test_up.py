"""`doorward up` as a person meets it: starting again, starting wrong, starting over TLS."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from playwright.async_api import Browser

from doorward.outbound import CertificateRefused, Outbound
from tests.e2e.conftest import end
from tests.e2e.installations import OneProcessOverTls
from tests.e2e.people import person
from tests.e2e.processes import Program, command
from tests.e2e.story import knock_be_let_in_and_shown_out
from tests.ports import free_ports, three_free_ports

pytestmark = pytest.mark.anyio


def start(home: Path, port: int, environment_port: int, *more: str) -> tuple[Program, dict]:
    program = Program(
        ["up", "--json", "--port", str(port), "--environment-port", str(environment_port), *more], home=home
    )
    return program, program.wait_for_json()


async def test_a_second_start_finds_everything_as_it_was(tmp_path):
    port, environment_port = free_ports(2)
    home = tmp_path / "home"
    outbound = Outbound()
    seen = []
    for _ in range(2):
        program, banner = start(home, port, environment_port)
        keys = await outbound.request("GET", f"{banner['accounts']}/.well-known/jwks.json")
        machine = await outbound.request(
            "GET", f"http://127.0.0.1:{environment_port}/.well-known/t3/environment"
        )
        seen.append((keys.body, machine.body, banner["clerk"], banner["t3"], banner["service"]))
        assert program.stop() == 0
        assert not (home / "run" / "control.sock").exists() or not _answers(home / "run" / "control.sock")
    await outbound.close()
    first_keys, second_keys = ({key["kid"] for key in json.loads(one[0])["keys"]} for one in seen)
    assert first_keys <= second_keys
    assert seen[0][1:] == seen[1][1:]


async def test_until_someone_signs_up_there_is_no_account_and_one_link(tmp_path):
    program, banner = start(tmp_path / "home", *free_ports(2))
    assert banner["administrator"].startswith(f"{banner['accounts']}/sign-up?")
    assert banner["clerk"]["CLERK_FAPI_URL"] == banner["accounts"]
    assert program.stop() == 0


@pytest.mark.parametrize("option", ["--port", "--environment-port"])
def test_a_taken_port_is_one_clear_sentence_and_nothing_is_made(tmp_path, option):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken, (free,) = holder.getsockname()[1], free_ports(1)
        other = "--environment-port" if option == "--port" else "--port"
        done = command("up", option, str(taken), other, str(free), home=tmp_path / "home")
    assert done.returncode == 1
    assert f"Port {taken} is taken by another program." in done.stderr
    assert option in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "server" / "doorward.sqlite").exists()


def test_an_unusable_data_folder_is_one_clear_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file" / "home", tmp_path / ("x" * 120)):
        done = command("up", "--port", str(free_ports(1)[0]), home=home)
        assert done.returncode == 1
        assert "DOORWARD_HOME" in done.stderr or "--home" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_second_agent_on_the_same_folder_is_refused(tmp_path):
    home, ports = tmp_path / "home", free_ports(4)
    program, _ = start(home, *ports[:2])
    done = command("up", "--port", str(ports[2]), "--environment-port", str(ports[3]), home=home)
    assert done.returncode == 1
    assert "already" in done.stderr
    assert program.stop() == 0


async def test_over_tls_every_origin_is_https_under_one_constrained_authority(tmp_path):
    base = three_free_ports()
    program, banner = start(tmp_path / "home", base, free_ports(1)[0], "--tls")
    authority = Path(banner["t3"]["NODE_EXTRA_CA_CERTS"])
    trusting, doubting = Outbound(ca_file=authority), Outbound()
    assert banner["accounts"] == f"https://127.0.0.1:{base}"
    assert banner["t3"]["T3CODE_RELAY_URL"] == f"https://127.0.0.1:{base + 1}"
    assert os.access(banner["t3"]["T3CODE_CLOUDFLARED_PATH"], os.X_OK)
    discovery = await trusting.request("GET", f"{banner['accounts']}/.well-known/openid-configuration")
    assert discovery.json(dict)["issuer"] == banner["accounts"]
    assert (await trusting.request("GET", f"{banner['relay']}/health")).status == 200
    assert (await trusting.request("GET", banner["service"])).status == 404  # nobody linked it yet
    with pytest.raises(CertificateRefused):
        await doubting.request("GET", f"{banner['relay']}/health")
    await trusting.close()
    await doubting.close()
    assert program.stop() == 0


@pytest.mark.browser
async def test_over_tls_a_second_browser_gets_in_all_the_same(tmp_path_factory, browser: Browser):
    installation = OneProcessOverTls(tmp_path_factory.mktemp("e", numbered=True), None)
    try:
        installation.start()
        async with (
            person(browser, ignore_https_errors=True) as owner,
            person(browser, ignore_https_errors=True) as device,
        ):
            await knock_be_let_in_and_shown_out(owner, device, installation)
        installation.stop()
    finally:
        end(installation)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
