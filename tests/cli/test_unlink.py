"""`connect unlink` and `connect logout`: done here whatever a server or an agent says, and told truthfully."""

import json
import signal

import pytest

from doorward.environment.keys import names
from tests.cli.conftest import Listener, SignIn, secrets_of
from tests.cli.test_status import store_token
from tests.e2e.installations import OneProcess
from tests.e2e.processes import Program
from tests.in_process import command


@pytest.mark.conformance("connect-environment", 176)
@pytest.mark.parametrize(
    ("verb", "last"), [("unlink", ""), ("logout", "Signed out of T3 Connect locally.\n")]
)
def test_without_a_sign_in_no_relay_is_asked(tmp_path, nobody, listener: Listener, verb, last):
    secrets_of(tmp_path).set(names.DESIRED_LINK, b"1")
    done = command("connect", verb, home=tmp_path, environ=nobody)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"T3 Connect is disabled locally.\n{last}"
    assert secrets_of(tmp_path).get(names.DESIRED_LINK) is None
    assert listener.connections == 0


@pytest.mark.conformance("connect-environment", 175)
def test_signing_out_with_a_failing_relay_removes_the_token_all_the_same(
    tmp_path, nobody, listener: Listener
):
    store_token(tmp_path)
    secrets_of(tmp_path).set(names.DESIRED_LINK, b"1")
    done = command("connect", "logout", home=tmp_path, environ=nobody)
    assert done.returncode == 0
    assert done.stdout == "T3 Connect is disabled locally.\nSigned out of T3 Connect locally.\n"
    assert done.stderr == (
        "Could not revoke the relay-side environment record before signing out.\n"
        "The stored CLI authorization was still removed locally.\n"
    )
    assert listener.connections == 1
    assert secrets_of(tmp_path).get(names.CLI_TOKEN) is None


def test_unlinking_with_a_failing_relay_says_to_try_again_and_logs_the_cause(tmp_path, nobody):
    store_token(tmp_path)
    secrets_of(tmp_path).set(names.DESIRED_LINK, b"1")
    done = command("connect", "unlink", home=tmp_path, environ=nobody)
    assert done.returncode == 0
    assert done.stdout == "T3 Connect is disabled locally.\n"
    assert done.stderr == (
        "Could not revoke the relay-side environment record yet.\n"
        "Run `doorward connect unlink` again when the relay is reachable.\n"
    )
    assert secrets_of(tmp_path).get(names.CLI_TOKEN) is not None
    entry = json.loads((tmp_path / "userdata" / "logs" / "cli.jsonl").read_text())
    assert (entry["level"], entry["operation"]) == ("warning", "relay-environment-unlink")
    assert "Cannot reach http://relay.localhost" in entry["message"]


def test_signing_out_ends_sessions_at_machines_and_keeps_the_devices_keys(tmp_path, nobody):
    (tmp_path / "devices").mkdir()
    for name in ("box.pem", "box.token.json"):
        (tmp_path / "devices" / name).write_text("{}")
    for verb, left in (("unlink", ["box.pem", "box.token.json"]), ("logout", ["box.pem"])):
        assert command("connect", verb, home=tmp_path, environ=nobody).returncode == 0
        assert sorted(path.name for path in (tmp_path / "devices").iterdir()) == left


def test_unlink_as_json_is_one_document(tmp_path, nobody):
    store_token(tmp_path)
    secrets_of(tmp_path).set(names.DESIRED_LINK, b"1")
    done = command("connect", "unlink", "--json", home=tmp_path, environ=nobody)
    assert json.loads(done.stdout) == {"live": "no_agent", "relay": "failed"}
    assert done.stderr == ""


@pytest.mark.xdist_group("the one callback port")
@pytest.mark.conformance("connect-environment", 174)
def test_an_agent_that_does_not_answer_is_told_without_its_cause(
    server: OneProcess, sign_in: SignIn, tmp_path_factory
):
    home = tmp_path_factory.mktemp("m")
    sign_in(home)
    environ = server.client_environ()
    agent = Program(
        ["expose", "9", "--name", "frozen", "--environment-port", "0"], home=home, environ=environ
    )
    try:
        agent.wait_for("Ctrl-C stops exposing")
        agent.process.send_signal(signal.SIGSTOP)
        done = command("connect", "unlink", home=home, environ=environ)
        assert done.returncode == 0
        assert done.stdout == "Revoked the relay-side environment record.\n"
        assert done.stderr == (
            "T3 Connect is disabled, but the running server could not stop its tunnel.\n"
            "Restart that server to stop the connector.\n"
        )
        [log] = (home / "userdata" / "logs" / "cli.jsonl").read_text().splitlines()
        entry = json.loads(log)
        assert entry["operation"] == "live-server-unlink"
        assert "no answer within 5 s" in entry["message"]
    finally:
        agent.kill()
    status = json.loads(command("connect", "status", "--json", home=home, environ=environ).stdout)
    assert (status["desired"], status["linked"], status["authenticated"]) == (False, False, True)
