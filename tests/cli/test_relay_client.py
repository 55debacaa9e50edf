"""`doorward connect relay-client`: nothing is installed unasked, and what cannot be is told."""

import json

from tests.e2e.processes import command


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
