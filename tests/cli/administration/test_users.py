"""`doorward users` over both ways to the data."""

from __future__ import annotations

import getpass

import pytest
from click.testing import CliRunner

from doorward.cli import program
from tests.cli.administration.conftest import Installation

WRONG = "form_password_or_identifier_incorrect"


def test_a_user_is_made_found_changed_banned_and_deleted(either: Installation) -> None:
    made = either.json("users", "create", "Ada@Example.com", "--first-name", "Ada", "--username", "countess")
    assert made["email_addresses"][0]["email_address"] == "ada@example.com"
    listed = either.say("users", "list", "countess").splitlines()
    assert listed[0].split() == ["User", "E-mail", "address", "Name", "State", "Signed", "in"]
    assert listed[1].startswith(f"{made['id']}  ada@example.com  Ada")

    for named in (made["id"], "ada@example.com", "countess"):
        assert either.json("users", "show", named)["id"] == made["id"]
    either.run(
        "users", "update", "countess", "--last-name", "Lovelace", "--public-metadata", '{"plan": "pro"}'
    )
    either.run("users", "update", "countess", "--external-id", "a-1", "--public-metadata", '{"seats": 2}')
    shown = either.say("users", "show", "a-1")
    assert "Name              Ada Lovelace" in shown
    assert '{"plan":"pro","seats":2}' in shown
    assert either.say("users", "count").strip() == "1"

    assert "banned" in either.say("users", "ban", "a-1")
    assert [user["id"] for user in either.json("users", "list", "--banned")] == [made["id"]]
    either.run("users", "unban", "a-1")
    assert either.json("users", "lock", "a-1")[0]["locked"]
    assert not either.json("users", "unlock", "a-1")[0]["locked"]
    assert either.say("users", "sign-out", "a-1") == "0 sessions ended.\n"
    assert either.say("users", "sessions", "a-1") == "No session is active.\n"

    assert either.say("users", "delete", "a-1", "--yes") == "Deleted: ada@example.com.\n"
    assert either.refusal("users", "show", "ada@example.com")["code"] == "resource_not_found"
    assert either.say("users", "list") == "No user matches.\n"


def test_a_page_says_how_to_see_the_next(either: Installation) -> None:
    for name in "abc":
        either.run("users", "create", f"{name}@example.com")
    first = either.say("users", "list", "--order", "email_address", "--limit", 2)
    assert "a@example.com" in first
    assert "There may be more: --offset 2" in first
    second = either.say("users", "list", "--order", "email_address", "--limit", 2, "--offset", 2)
    assert "c@example.com" in second
    assert "more" not in second


def test_a_password_comes_from_standard_input_and_signs_in(installation: Installation) -> None:
    installation.run(
        "users", "create", "ada@example.com", "--password-stdin", typed="a quiet harbour at dusk\n"
    )
    assert installation.signs_in("ada@example.com", "a quiet harbour at dusk") == "complete"
    installation.run(
        "users", "update", "ada@example.com", "--password-stdin", typed="an unread lighthouse log\n"
    )
    assert installation.signs_in("ada@example.com", "a quiet harbour at dusk") == WRONG
    assert installation.signs_in("ada@example.com", "an unread lighthouse log") == "complete"


def test_refusals_are_the_servers_sentences_and_codes(either: Installation) -> None:
    either.run("users", "create", "ada@example.com")
    assert either.refusal("users", "create", "ada@example.com")["code"] == "form_identifier_exists"
    assert either.refusal("users", "create", "nonsense")["code"] == "form_param_format_invalid"
    assert either.refusal("users", "ban", "nobody@example.com")["code"] == "resource_not_found"
    assert either.refusal("users", "show", "user_../../secret_keys")["code"] == "resource_not_found"
    assert (
        either.refusal("users", "update", "ada@example.com", "--public-metadata", "[1]", status=2)["code"]
        == "json_invalid"
    )


def test_the_last_administrator_stays_and_a_key_does_not_set_their_password(either: Installation) -> None:
    root = either.json("users", "create", "root@example.com")["id"]
    either.grants_administration(root)
    for command in (("ban", root), ("lock", root), ("delete", root, "--yes")):
        refusal = either.refusal("users", *command)
        assert refusal["code"] == "last_administrator"
        assert "Make somebody else an administrator first" in refusal["message"]
    password = ("users", "update", root, "--password-stdin")
    if either.environ["CLERK_SECRET_KEY"]:
        refused = either.run(*password, typed="an unread lighthouse log\n", status=1)
        assert "on the server's own machine" in refused.stderr
    else:
        either.run(*password, typed="an unread lighthouse log\n")


def test_deleting_asks_and_a_program_has_to_say_yes(installation: Installation) -> None:
    installation.run("users", "create", "ada@example.com")
    kept = installation.say("users", "delete", "ada@example.com", typed="n\n")
    assert "Delete ada@example.com" in kept
    assert kept.endswith("Nothing was changed.\n")
    assert installation.refusal("users", "delete", "ada@example.com")["code"] == "confirmation_needed"
    installation.run("users", "delete", "ada@example.com", typed="", status=1)
    assert installation.say("users", "count") == "1\n"
    installation.run("users", "delete", "ada@example.com", typed="y\n")
    assert installation.say("users", "count") == "0\n"


def test_what_the_operator_does_is_in_the_audit_trail_under_their_name(installation: Installation) -> None:
    installation.run("users", "create", "ada@example.com")
    installation.run("users", "ban", "ada@example.com")
    operator = f"operator:{getpass.getuser()}"
    assert installation.audit()[-2:] == [(operator, "user.created"), (operator, "user.banned")]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://accounts.example.com", "url_invalid"),
        ("https://user:password@accounts.example.com", "url_invalid"),
        ("ftp://accounts.localhost", "url_invalid"),
    ],
)
def test_a_secret_key_is_sent_over_https_or_nowhere(url: str, code: str) -> None:
    result = CliRunner().invoke(
        program, ["users", "list", "--json", "--url", url], env={"CLERK_SECRET_KEY": "sk_test_" + "a" * 40}
    )
    assert result.exit_code == 2
    assert f'"code":"{code}"' in result.stderr


def test_without_a_key_or_a_server_the_message_says_where_to_get_one(tmp_path) -> None:  # type: ignore[no-untyped-def]
    environ = {"CLERK_SECRET_KEY": "", "CLERK_API_URL": ""}
    asked = ["users", "list", "--url", "https://accounts.example.com"]
    keyless = CliRunner().invoke(program, asked, env=environ)
    assert keyless.exit_code == 2
    assert "Set CLERK_SECRET_KEY" in keyless.stderr
    nowhere = CliRunner().invoke(program, ["users", "list", "--home", str(tmp_path)], env=environ)
    assert nowhere.exit_code == 1
    assert "--config doorward.toml" in nowhere.stderr
    both = CliRunner().invoke(program, [*asked, "--config", "doorward.toml"], env=environ)
    assert both.exit_code == 2


def test_a_named_place_on_this_machine_beats_a_url_of_the_environment(installation: Installation) -> None:
    installation.environ["CLERK_API_URL"] = "https://elsewhere.example.com"
    assert installation.say("users", "count") == "0\n"
