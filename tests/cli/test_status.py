"""`connect link` and `connect status`, which ask no server."""

import json
import stat

import pytest

from doorward.environment.keys import names
from doorward.store import system_clock
from tests.cli.conftest import Listener, secrets_of
from tests.in_process import command

HOUR_MS = 3_600_000


def store_token(home, *, lasts_ms=HOUR_MS) -> None:
    token = {"accessToken": "a", "refreshToken": "r", "expiresAtEpochMs": system_clock() + lasts_ms}
    secrets_of(home).set(names.CLI_TOKEN, json.dumps(token).encode())


@pytest.mark.conformance("connect-environment", 167)
def test_a_fresh_machine_is_told_what_to_do_next(tmp_path, nobody):
    done = command("connect", "status", home=tmp_path, environ=nobody)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:6] == [
        "T3 Connect",
        "  Exposure: disabled",
        "  Authorization: missing",
        "  Environment link: not provisioned",
        "  Client approval: required",
        "  Relay: not provisioned",
    ]
    assert lines[-2:] == ["", "Next: Run `doorward connect link` to authorize and enable T3 Connect."]


def test_a_machine_that_is_signed_in_but_not_wanted_is_told_to_link(tmp_path, nobody):
    store_token(tmp_path)
    text = command("connect", "status", home=tmp_path, environ=nobody).stdout
    assert "  Authorization: stored credential\n" in text
    assert text.endswith("Next: Run `doorward connect link` to enable T3 Connect.\n")


@pytest.mark.conformance("connect-environment", 166, 168)
def test_linking_stores_the_wish_and_asks_no_server(tmp_path, nobody, listener: Listener):
    store_token(tmp_path)
    done = command("connect", "link", home=tmp_path, environ=nobody)
    assert done.returncode == 0
    assert done.stdout.startswith(
        "This T3 environment will be available through T3 Connect the next time T3 starts.\n"
    )
    assert secrets_of(tmp_path).get(names.DESIRED_LINK) is not None
    text = command("connect", "status", home=tmp_path, environ=nobody).stdout
    assert "  Exposure: enabled\n" in text
    assert "  Environment link: pending server startup\n" in text
    assert "Next: Start `doorward expose`" in text
    assert listener.connections == 0


def test_a_wish_outlives_the_loss_of_the_sign_in(tmp_path, nobody):
    store_token(tmp_path)
    command("connect", "link", home=tmp_path, environ=nobody)
    secrets_of(tmp_path).remove(names.CLI_TOKEN)
    status = json.loads(command("connect", "status", "--json", home=tmp_path, environ=nobody).stdout)
    assert (status["desired"], status["authenticated"], status["linked"]) == (True, False, False)


def test_secrets_are_for_their_owner_alone(tmp_path, nobody):
    store_token(tmp_path)
    command("connect", "link", home=tmp_path, environ=nobody)
    folder = tmp_path / "userdata" / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.conformance("connect-environment", 169)
def test_status_as_json_has_t3s_members_and_nothing_else_is_printed(tmp_path, nobody):
    done = command("connect", "status", "--json", home=tmp_path, environ=nobody)
    answer = json.loads(done.stdout)
    assert list(answer) == [
        "desired",
        "authenticated",
        "linked",
        "cloudUserId",
        "relayUrl",
        "connectSecurityMode",
        "relayClient",
    ]
    assert set(answer["relayClient"]) == {"status", "executablePath", "source", "version"}
    assert done.stderr == ""
    assert done.stdout == json.dumps(answer, indent=2) + "\n"


def test_details_add_what_only_doorward_knows(tmp_path, nobody):
    answer = json.loads(
        command("connect", "status", "--json", "--details", home=tmp_path, environ=nobody).stdout
    )
    assert list(answer)[7:] == [
        "environmentId",
        "agentPid",
        "tunnel",
        "tunnelReason",
        "tunnelMessage",
        "linkFailure",
        "services",
    ]


@pytest.mark.conformance("connect-environment", 170)
def test_an_unreadable_mode_is_never_shown_as_account(tmp_path, nobody):
    def run(*arguments: str):
        return command("connect", *arguments, home=tmp_path, environ=nobody)

    run("security", "--mode", "client-approval")
    secrets_of(tmp_path).set(names.SECURITY_MODE, b"x")
    status = run("status")
    assert status.returncode == 0
    assert "  Client approval: unreadable\n" in status.stdout
    assert json.loads(run("status", "--json").stdout)["connectSecurityMode"] is None
    read = run("security")
    assert read.returncode == 1
    assert "--mode client-approval" in read.stderr
    assert run("security", "--mode", "client-approval").returncode == 0
    assert run("security").stdout == "T3 Connect client approval is required.\n"
    assert "  Client approval: required\n" in run("status").stdout
    run("security", "--mode", "account")
    assert "  Client approval: account-wide\n" in run("status").stdout


@pytest.mark.conformance("connect-environment", 13)
def test_the_folder_named_on_the_command_line_wins_over_the_variable(tmp_path, nobody):
    named, variable, platform = tmp_path / "named", tmp_path / "variable", tmp_path / "platform"
    where = {**nobody, "XDG_DATA_HOME": str(platform)}
    command(
        "connect", "security", "--mode", "account", "--base-dir", str(named), home=variable, environ=where
    )
    assert (named / "userdata").is_dir()
    assert not variable.exists()
    command("connect", "security", "--mode", "account", home=variable, environ=where)
    assert (variable / "userdata").is_dir()
