"""The table of docs/command-line.md: 2 for what was written wrongly, 1 for what did not work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from doorward.cli import program
from tests.e2e.processes import command

KEY = {"CLERK_SECRET_KEY": "sk_test_x"}
AWAY = ("--url", "http://localhost:9")  # nothing listens there: who gets so far fails otherwise


def run(home: Path, *words: str, environ: dict[str, str] | None = None) -> Result:
    """In a home folder of its own, where no server is known. `HOME/` in a word is that folder."""
    (home / "text").write_text("hello\n", "utf-8")
    (home / "bytes").write_bytes(b"\x7fELF\xd0\xff")
    (home / "empty").touch()
    (home / "folder").mkdir()
    environ = {"HOME": str(home), "DOORWARD_HOME": str(home), "CLERK_API_URL": "", **KEY, **(environ or {})}
    done = CliRunner().invoke(program, [word.replace("HOME/", f"{home}/") for word in words], env=environ)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("users", "list", "--url", "http://accounts.example.com"), "url_invalid"),
        (("users", "list", "--url", "nonsense"), "url_invalid"),
        (("users", "list", "--url", "https://[accounts"), "url_invalid"),
        (("users", "list", *AWAY, "--secret-key-file", "HOME/absent"), "file_unreadable"),
        (("users", "list", *AWAY, "--secret-key-file", "HOME/folder"), "file_unreadable"),
        (("users", "list", *AWAY, "--secret-key-file", "HOME/bytes"), "file_unreadable"),
        (("users", "list", *AWAY, "--secret-key-file", "HOME/empty"), "key_missing"),
        (("orgs", "show", "", *AWAY), "name_missing"),
        (("users", "create", "a@example.com", "--public-metadata", "{", *AWAY), "json_invalid"),
        (("users", "create", "a@example.com", "--public-metadata", "[]", *AWAY), "json_invalid"),
        (("users", "create", "a@example.com", "--public-metadata", "@HOME/absent", *AWAY), "file_unreadable"),
        (("users", "import", "HOME/absent", "--from", "generic", *AWAY), "file_unreadable"),
        (("users", "import", "HOME/folder", "--from", "generic", *AWAY), "file_unreadable"),
        (("users", "import", "HOME/empty", "--from", "generic", "--hash-config", "x", *AWAY), "option_invalid"),
        (("users", "import", "HOME/empty", "--from", "generic", "--column", "x", *AWAY), "option_invalid"),
        (("users", "import", "HOME/empty", "--from", "firebase", "--hash-config", "HOME/text", *AWAY), "file_unreadable"),
        (("users", "export", "HOME/new", "--with-password-hashes", *AWAY), "local_only"),
        (("export", "HOME/new", "--with-password-hashes", *AWAY), "local_only"),
        (("keys", "secret", "list", *AWAY), "local_only"),
        (("templates", "create", "HOME/absent", *AWAY), "file_unreadable"),
        (("templates", "create", "HOME/bytes", *AWAY), "file_unreadable"),
        (("templates", "create", "HOME/text", *AWAY), "json_invalid"),
        (("users", "list", "--config", "HOME/absent"), "configuration_invalid"),
        (("keys", "list", "--config", "HOME/folder"), "configuration_invalid"),
        (("keys", "list", "--env-file", "HOME/empty"), "configuration_invalid"),
        (("backup", "HOME/new", "--config", "HOME/bytes"), "configuration_invalid"),
        (("restore", "HOME/absent"), "file_unreadable"),
        (("restore", "HOME/folder"), "file_unreadable"),
    ],
)  # fmt: skip
def test_what_was_written_wrongly_ends_with_2(tmp_path: Path, words: tuple[str, ...], code: str) -> None:
    done = run(tmp_path, *words, "--json")
    assert json.loads(done.stderr)["error"]["code"] == code
    assert done.exit_code == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("words", [("--config", "HOME/text"), ("--env-file", "HOME/absent")])
def test_so_does_a_server_that_cannot_read_its_configuration(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, "serve", *words)
    assert done.exit_code == 2
    assert words[1].removeprefix("HOME/") in done.stderr


def test_a_variable_in_place_of_an_option_counts_as_one(tmp_path: Path) -> None:
    done = run(tmp_path, "users", "list", environ={"CLERK_API_URL": "nonsense"})
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("users", "list", "--limit", "many"), "'many' is not a valid number."),
        (("users", "listen"), "No such command 'listen'."),
        (("users", "list", "--no-such-option"), "--no-such-option"),
        (("users", "show"), "Missing argument 'USER'."),
        (("users", "list", "--url", "https://a.example.com", "--config", "doorward.toml"), "not both."),
    ],
)
def test_programs_hear_of_every_wrong_usage_as_json(
    tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    done = run(tmp_path, *words, "--json")
    error = json.loads(done.stderr)["error"]
    assert (done.exit_code, error["code"], done.stdout) == (2, "usage_wrong", "")
    assert told in error["message"]


def test_a_database_is_named_by_its_url(tmp_path: Path) -> None:
    done = command("up", "--database", "mysql://db", "--json", home=tmp_path)
    assert json.loads(done.stderr)["error"]["code"] == "database_url_invalid"
    assert done.returncode == 2


def test_an_address_of_the_machines_metrics_is_judged_before_anything_is_exposed(tmp_path: Path) -> None:
    done = command("expose", "9", home=tmp_path, environ={"DOORWARD_ADMIN_LISTEN": "0.0.0.0:9090"})
    assert done.returncode == 2
    assert "DOORWARD_ADMIN_LISTEN: What is told there" in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("users", "list", *AWAY), "unreachable"),
        (("users", "list"), "no_server"),
        (("users", "delete", "ada@example.com", *AWAY), "unreachable"),
        (("users", "export", "HOME/text", *AWAY), "file_exists"),
        (("export", "HOME/text", *AWAY), "folder_not_empty"),
        (("users", "export", "HOME/text/new", *AWAY), "file_unwritable"),
        (("restore", "HOME/text"), "backup_failed"),
        (("list",), "configuration_missing"),
        (("watch",), "configuration_missing"),
    ],
)
def test_what_did_not_work_ends_with_1(tmp_path: Path, words: tuple[str, ...], code: str) -> None:
    done = run(tmp_path, *words, "--json")
    assert json.loads(done.stderr)["error"]["code"] == code
    assert done.exit_code == 1
