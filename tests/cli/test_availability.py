"""What is offered where no server is known."""

import json

import pytest

from tests.cli.conftest import configured
from tests.e2e.processes import command

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
