"""`expose`: what it needs to start, and what it does without."""

from doorward.environment.keys import names
from tests.cli.conftest import Listener, secrets_of
from tests.cli.test_status import store_token
from tests.e2e.processes import Program, command


def test_nobody_signed_in_is_told_the_command(tmp_path, nobody):
    done = command("expose", "9", home=tmp_path, environ=nobody)
    assert done.returncode == 1
    assert "Nobody is signed in here. Run `doorward connect login` first." in done.stderr
    assert secrets_of(tmp_path).get(names.DESIRED_LINK) is None


def test_an_accounts_server_that_is_down_keeps_no_agent_from_starting(tmp_path, nobody, listener: Listener):
    store_token(tmp_path, lasts_ms=0)
    agent = Program(["expose", "9", "--environment-port", "0"], home=tmp_path, environ=nobody)
    try:
        agent.wait_for("Ctrl-C stops exposing")
        assert listener.connections > 0
    finally:
        assert agent.stop() == 0
