"""What is offered where no server is known."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import configured
from tests.e2e.processes import program_environ
from tests.in_process import command

SENTENCE = "T3 Connect commands are unavailable: this build is missing T3 Connect public configuration."
CONFIGURED = configured("https://relay.example.com", "https://accounts.example.com")


def test_the_group_is_listed_only_where_a_server_is_known(tmp_path):
    def lists_connect(environ) -> bool:
        done = command("--help", home=tmp_path, environ=environ)
        assert done.returncode == 0
        return any(line.split()[:1] == ["connect"] for line in done.stdout.splitlines())

    assert not lists_connect({})
    assert not lists_connect({**CONFIGURED, "DOORWARD_RELAY_URL": "http://relay.example.com"})
    assert lists_connect(CONFIGURED)
    (tmp_path / ".env").write_text("\n".join(f"{name}={value}" for name, value in CONFIGURED.items()))
    assert lists_connect({})


@pytest.mark.conformance("connect-environment", 181)
@pytest.mark.parametrize(
    "arguments", [(), ("status",), ("login",), ("link",), ("security",), ("security", "clients"), ("unlink",)]
)
def test_calling_it_all_the_same_says_what_is_missing(tmp_path, arguments):
    done = command("connect", *arguments, home=tmp_path / "fresh")
    assert done.returncode == 1
    assert done.stdout == ""
    assert SENTENCE in done.stderr
    assert "DOORWARD_RELAY_URL and DOORWARD_PUBLISHABLE_KEY" in done.stderr
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"DOORWARD_RELAY_URL": "http://relay.example.com"}, "The relay's address cannot be used: not an https"),
        ({"DOORWARD_RELAY_URL": "https://relay.example.com/v1"}, "Set DOORWARD_RELAY_URL to an origin"),
        ({"DOORWARD_PUBLISHABLE_KEY": "sk_live_x"}, "Set DOORWARD_PUBLISHABLE_KEY"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_named(tmp_path, change, told):
    done = command("connect", "login", home=tmp_path, environ={**CONFIGURED, **change})
    assert done.returncode == 1
    assert SENTENCE in done.stderr
    assert told in done.stderr
    assert "sk_live_x" not in done.stderr


def test_programs_hear_it_as_json(tmp_path):
    done = command("connect", "status", "--json", home=tmp_path)
    assert json.loads(done.stderr)["error"]["code"] == "configuration_missing"


def test_help_can_be_read_without_a_server(tmp_path):
    assert command("connect", "--help", home=tmp_path).returncode == 0
    assert command("connect", "login", "--help", home=tmp_path).returncode == 0


def test_who_has_a_machine_decides_about_devices_even_when_the_server_is_forgotten(tmp_path):
    assert (
        command("connect", "security", "--mode", "account", home=tmp_path, environ=CONFIGURED).returncode == 0
    )
    done = command("connect", "security", "--mode", "client-approval", home=tmp_path)
    assert done.stdout == "T3 Connect client approval is required.\n"
    assert command("connect", "login", home=tmp_path).returncode == 1


@pytest.fixture
def forbidden(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody else's: nothing in it can be looked at."""
    folder = tmp_path / "home"
    (folder / "userdata").mkdir(parents=True)
    folder.chmod(0)
    yield folder
    folder.chmod(0o700)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--help",), None),
        (("users", "list"), "Run this as the user to whom it belongs"),
        (("backup", "x.backup"), "Run this as the user to whom it belongs"),
        (("connect", "status"), ".env.local cannot be read (Permission denied)"),
        (("doctor",), ".env.local cannot be read (Permission denied)"),
    ],
)
def test_a_folder_of_somebody_elses_is_named(forbidden, arguments, told):
    # For root every folder is open, unless it gives up what makes it so.
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "doorward", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=program_environ(forbidden, {}),
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if told is None else 1)
    assert told is None or told in done.stdout + done.stderr
