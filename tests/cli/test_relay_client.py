"""`doorward connect relay-client`: nothing is installed unasked, and what cannot be is told."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from doorward.environment.keys import names
from doorward.environment.relay_client import RelayClientNeed
from doorward.outbound import Outbound
from tests.cli.conftest import configured, secrets_of
from tests.cli.test_status import store_token
from tests.e2e.processes import Program
from tests.in_process import command


def test_what_is_not_there_is_told_with_the_way_to_get_it(tmp_path, nobody, listener):
    environ = {**nobody, "PATH": "/nowhere"}
    done = command("connect", "relay-client", home=tmp_path, environ=environ)
    assert done.returncode == 0
    assert "`doorward connect relay-client --install`" in done.stdout
    asked = command("connect", "relay-client", "--json", home=tmp_path, environ=environ)
    assert json.loads(asked.stdout) == {"status": "missing", "version": "2026.5.2"}
    assert not (tmp_path / "tools").exists()
    assert listener.connections == 0


def test_one_that_is_there_is_used_and_not_installed_again(tmp_path, nobody):
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    environ = {**nobody, "T3CODE_CLOUDFLARED_PATH": str(mine)}
    done = command("connect", "relay-client", "--install", home=tmp_path, environ=environ)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Relay client: Checking existing installation...",
        f"Using relay client 2026.5.2 from {mine}.",
    ]


def test_an_override_that_cannot_run_is_not_installed_over(tmp_path, nobody):
    environ = {**nobody, "T3CODE_CLOUDFLARED_PATH": str(tmp_path / "nothing")}
    done = command("connect", "relay-client", "--install", "--json", home=tmp_path, environ=environ)
    assert done.returncode == 1
    assert json.loads(done.stderr)["error"] == {
        "code": "override_missing",
        "message": "T3CODE_CLOUDFLARED_PATH does not point to an executable file.",
    }


class ForeignRelay:
    """As much of somebody else's relay as is asked before anybody is signed in: its metadata, which names no tunnels of ours."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                relay.asked.append(self.path)
                body = b'{"issuer": "http://relay.localhost"}'
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *ignored: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        origin = f"localhost:{self._server.server_port}"
        self.environ = {
            **configured(f"http://relay.{origin}", f"http://accounts.{origin}"),
            "PATH": "/nowhere",
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def foreign():
    relay = ForeignRelay()
    yield relay
    relay.close()


METADATA = "/.well-known/oauth-authorization-server"


@pytest.mark.conformance("connect-environment", 163)
def test_whoever_does_not_want_it_installed_links_nothing(tmp_path, foreign):
    link = Program(["connect", "link"], home=tmp_path, environ=foreign.environ, has_input=True)
    link.type("n\n")
    assert link.finish() == 0
    text = link.output
    assert (
        "The T3 relay client is required for T3 Connect. Download and install version 2026.5.2? [y/N]" in text
    )
    assert text.endswith("T3 Connect setup cancelled. The relay client was not installed.")
    assert foreign.asked == [METADATA]
    assert secrets_of(tmp_path).get(names.DESIRED_LINK) is None


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_program_is_told_what_to_say_instead_of_being_asked(tmp_path, foreign, options):
    done = command("connect", "link", *options, home=tmp_path, environ=foreign.environ)
    assert done.returncode == 1
    assert "--yes" in done.stderr
    assert secrets_of(tmp_path).get(names.DESIRED_LINK) is None


@pytest.mark.conformance("connect-environment", 165)
def test_with_one_at_hand_linking_asks_nothing(tmp_path, foreign):
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    home = tmp_path / "home"
    learn_need(home, foreign)
    store_token(home)
    environ = {**foreign.environ, "T3CODE_CLOUDFLARED_PATH": str(mine)}
    foreign.asked.clear()
    done = command("connect", "link", home=home, environ=environ)
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == [
        f"Using relay client 2026.5.2 from {mine}.",
        "This T3 environment will be available through T3 Connect the next time T3 starts.",
    ]
    assert foreign.asked == []


def learn_need(home: Path, foreign: ForeignRelay) -> None:
    async def learn() -> None:
        outbound = Outbound()
        assert await RelayClientNeed(home, outbound).learn(foreign.environ["DOORWARD_RELAY_URL"])
        await outbound.close()

    asyncio.run(learn())


def test_what_the_relay_said_at_sign_in_is_remembered_when_linking(tmp_path, foreign):
    learn_need(tmp_path, foreign)
    store_token(tmp_path)
    foreign.asked.clear()
    done = command("connect", "link", home=tmp_path, environ=foreign.environ)
    assert (done.returncode, foreign.asked) == (1, [])
    assert "cloudflared" in done.stderr
