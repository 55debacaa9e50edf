"""`watch` beside a running agent: as JSON, as lines, and on a real terminal."""

import codecs
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from doorward.jose import generate_key, key_phrase
from tests.cli.conftest import SignIn, configured
from tests.cli.knocking import knock
from tests.e2e.installations import OneProcess
from tests.e2e.processes import Program, command, program_environ

pytestmark = pytest.mark.xdist_group("the one callback port")


@pytest.fixture
def thumbprint() -> str:
    return generate_key("ES256").thumbprint


def start_agent(home: Path, environ: dict[str, str]) -> Program:
    agent = Program(["expose", "9", "--environment-port", "0"], home=home, environ=environ)
    agent.wait_for("Ctrl-C stops exposing")
    return agent


@pytest.fixture
def home(server: OneProcess, sign_in: SignIn, tmp_path_factory):
    """The data folder of a machine whose agent runs."""
    folder = tmp_path_factory.mktemp("w")
    sign_in(folder)
    agent = start_agent(folder, server.client_environ())
    yield folder
    agent.stop()


def decide(home: Path, server: OneProcess, verb: str, thumbprint: str) -> None:
    assert (
        command(
            "connect", "security", verb, thumbprint, home=home, environ=server.client_environ()
        ).returncode
        == 0
    )


def test_without_an_agent_it_says_what_to_start(tmp_path):
    environ = configured("https://relay.example.com", "https://accounts.example.com")
    done = command("watch", home=tmp_path, environ=environ)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: No agent is running for this data folder. Start it with `doorward expose`.\n"
    )


def test_a_program_gets_an_object_a_line(server: OneProcess, home: Path, thumbprint: str):
    watch = Program(["watch", "--json"], home=home, environ=server.client_environ())
    try:
        knock(home, thumbprint, label="Ada's phone")
        seen = watch.wait_for_json()
        assert (seen["event"], seen["keyPhrase"]) == ("pending", key_phrase(thumbprint))
        assert seen["client"]["clientProofKeyThumbprint"] == thumbprint  # type: ignore[index]
        decide(home, server, "approve", thumbprint)
        assert watch.wait_for_json()["event"] == "approved"
        decide(home, server, "revoke", thumbprint)
        assert watch.wait_for_json()["event"] == "removed"
        assert all(json.loads(line) for line in watch.lines)
    finally:
        assert watch.stop() == 130


def test_elsewhere_than_on_a_terminal_an_event_is_a_line_and_the_desktop_is_told(
    server: OneProcess, home: Path, thumbprint: str, tmp_path
):
    told = tmp_path / "told"
    program = tmp_path / "bin" / "notify-send"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}.new && mv {told}.new {told}\n')
    program.chmod(0o755)
    environ = {
        **server.client_environ(),
        "DISPLAY": ":0",
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
    }
    aside = tmp_path / "aside"
    # Standard error apart: what is piped on is events and nothing else.
    shell = ["sh", "-c", 'exec "$@" 2>"$0"', str(aside)]
    watch = Program(["watch"], home=home, environ=environ, prefix=shell)
    try:
        knock(home, thumbprint, label="Ada's \x1b[2Jphone")
        watch.wait_for(
            rf"^pending   Ada's \[2Jphone \(mobile, requested \S+\)  {key_phrase(thumbprint)}  {re.escape(thumbprint)}$"
        )
        decide(home, server, "reject", thumbprint)
        watch.wait_for(r"^rejected  Ada's")
        assert [line.split()[0] for line in watch.lines] == ["pending", "rejected"]
        assert aside.read_text() == "Watching for devices that ask to be let in, until you press Ctrl-C.\n"
        deadline = time.monotonic() + 60
        while not told.exists():  # the desktop is not waited for very long
            assert time.monotonic() < deadline, "the desktop was not told"
            time.sleep(0.02)
        assert told.read_text().splitlines() == [
            "--app-name=Doorward",
            "--",
            "Ada's [2Jphone asks to be let in",
            f"It must show: {key_phrase(thumbprint)}",
        ]
    finally:
        assert watch.stop() == 130


def test_it_goes_on_after_the_agent_was_restarted(
    server: OneProcess, sign_in: SignIn, tmp_path_factory, thumbprint: str
):
    home = tmp_path_factory.mktemp("w")
    sign_in(home)
    agent = start_agent(home, server.client_environ())
    watch = Program(["watch"], home=home, environ=server.client_environ())
    try:
        watch.wait_for("^Watching for devices")
        knock(home, thumbprint)
        watch.wait_for("^pending")
        agent.kill()
        watch.wait_for("^The agent is not running. Waiting for it")
        agent = start_agent(home, server.client_environ())
        watch.wait_for("^Watching for devices")
        decide(home, server, "approve", thumbprint)
        watch.wait_for("^approved")
    finally:
        watch.stop()
        agent.stop()


class Terminal:
    """A program on a terminal of its own: what it shows, and keys for it."""

    def __init__(self, arguments: list[str], *, home: Path, environ: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "doorward", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=program_environ(home, {**environ, "COLUMNS": "", "LINES": ""}),
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""
        self._text = codecs.getincrementaldecoder("utf-8")()

    def wait_for(self, text: str, *, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} was not shown; this was:\n{self.shown}"
            if select.select([self._ours], [], [], 0.2)[0]:
                self.shown += self._text.decode(os.read(self._ours, 65536))

    def press(self, keys: str) -> None:
        self.shown = ""
        os.write(self._ours, keys.encode())

    def finish(self) -> int:
        return self.process.wait(60)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_on_a_terminal_keys_decide(server: OneProcess, home: Path, thumbprint: str):
    terminal = Terminal(["watch"], home=home, environ=server.client_environ())
    try:
        terminal.wait_for("Nobody is waiting")
        knock(home, thumbprint, label="Ada's phone")
        terminal.wait_for(key_phrase(thumbprint))
        terminal.press("a")
        terminal.wait_for("Let Ada's phone in? It must show these six words:")
        terminal.press("n")
        terminal.wait_for("a lets the chosen device in")
        terminal.press("ay")
        terminal.wait_for("Ada's phone is let in.")
        terminal.wait_for("Nobody is waiting")
        (client,) = json.loads(
            command(
                "connect", "security", "clients", "--json", home=home, environ=server.client_environ()
            ).stdout
        )["clients"]
        assert client["status"] == "approved"
        other = generate_key("ES256").thumbprint
        knock(home, other, label="Somebody")
        terminal.wait_for(key_phrase(other))
        terminal.press("r")
        terminal.wait_for("Somebody is refused.")
        terminal.press("q")
        # The terminal is given back as it was.
        terminal.wait_for("\x1b[?1049l")
        assert terminal.finish() == 0
    finally:
        terminal.close()
