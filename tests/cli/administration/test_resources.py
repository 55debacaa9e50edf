"""The other groups of commands: what is made can be found, changed and ended, over both ways."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from doorward.cli import program
from doorward.verify.hasura import read_auth_config
from tests.cli.administration.conftest import Installation


def test_machines_their_scopes_keys_and_tokens(either: Installation) -> None:
    reports = either.json("machines", "create", "reports")
    billing = either.json("machines", "create", "billing", "--scope", "reports", "--token-ttl", 600)
    assert billing["secret_key"].startswith("ak_")
    listed = either.say("machines", "list", "--order", "name").splitlines()
    assert [line.split()[:3] for line in listed[1:]] == [
        [billing["id"], "billing", "reports"],
        [reports["id"], "reports", "–"],
    ]
    made = either.json("machines", "create-token", "billing", "--claims", '{"tenant": 7}')
    assert made["claims"] == {"tenant": 7}
    assert made["id"] in either.say("machines", "tokens", "billing")
    assert "revoked" in either.say("machines", "revoke-token", made["id"])
    assert either.say("machines", "tokens", "billing") == "This machine has no token.\n"
    assert "revoked" in either.say("machines", "tokens", "billing", "--all")

    rotated = either.json("machines", "rotate-key", "billing", "--grace", 60)
    assert rotated["secret"] not in ("", billing["secret_key"])
    either.run("machines", "disallow", "billing", "reports")
    assert either.json("machines", "show", "billing")["scoped_machines"] == []
    either.run("machines", "allow", "billing", "reports")
    either.run("machines", "update", "billing", "--name", "accounts")
    assert either.refusal("machines", "show", "billing")["code"] == "resource_not_found"
    either.run("machines", "delete", "accounts", "--yes")
    assert [one["name"] for one in either.json("machines", "list")["data"]] == ["reports"]


def test_hasuras_auth_config_is_printed_for_a_template(either: Installation, tmp_path: Path) -> None:
    file = tmp_path / "template.json"
    roles = {"x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user"]}
    file.write_text(json.dumps({"aud": "hasura", "claims.jwt.hasura.io": roles}), "utf-8")
    either.run("templates", "create", file, "--name", "hasura")
    document = either.json("templates", "auth-config", "hasura")
    jwt = document["definition"]["mode"]["jwt"]
    assert (jwt["issuer"], jwt["audience"]) == (either.settings.origin, ["hasura"])
    printed = either.run("templates", "auth-config", "hasura")
    assert read_auth_config(printed.stdout) == read_auth_config(document)
    assert printed.stderr == ""
    own = {
        "custom_signing_key": True,
        "signing_algorithm": "HS256",
        "signing_key": "a secret key of more than thirty-two bytes",
    }
    file.write_text(json.dumps({"claims": {"claims.jwt.hasura.io": roles}, **own}), "utf-8")
    either.run("templates", "create", file, "--name", "bare")
    told = either.run("templates", "auth-config", "bare").stderr
    assert "HASURA_JWT_KEY" in told
    assert "has no aud" in told
    file.write_text("{}", "utf-8")
    either.run("templates", "create", file, "--name", "empty")
    assert either.refusal("templates", "auth-config", "empty")["code"] == "no_hasura_claims"


def test_templates_come_from_files_and_a_preview_warns(either: Installation, tmp_path: Path) -> None:
    either.run("users", "create", "ada@example.com")
    file = tmp_path / "template.json"
    file.write_text(
        json.dumps({"claims": {"mail": "{{user.primary_email_address}}"}, "lifetime": 120}), "utf-8"
    )
    assert either.refusal("templates", "create", file, status=2)["code"] == "name_missing"
    assert either.json("templates", "create", file, "--name", "hasura")["lifetime"] == 120
    assert either.say("templates", "list").splitlines()[1].split()[1:4] == ["hasura", "120", "s"]
    file.write_text(json.dumps({"mail": "{{user.primary_email_address}}", "age": "{{user.agee}}"}), "utf-8")
    preview = either.json("templates", "preview", file, "--user", "ada@example.com")
    assert preview["claims"]["mail"] == "ada@example.com"
    assert {warning["claim"] for warning in preview["warnings"]} == {"claims.age"}
    assert "Warning: claims.age" in either.say("templates", "preview", file, "--user", "ada@example.com")
    either.run("templates", "update", "hasura", file)
    shown = either.json("templates", "show", "hasura")
    assert "age" in shown["claims"]
    file.write_text(json.dumps({**shown, "lifetime": 60}), "utf-8")
    either.run("templates", "update", "hasura", file)  # what `show` printed can be given back
    assert either.json("templates", "show", "hasura")["lifetime"] == 60
    either.run("templates", "delete", "hasura", "--yes")
    assert "hasura" not in either.say("templates", "list")
    file.write_text("{", "utf-8")
    assert either.refusal("templates", "create", file, "--name", "x", status=2)["code"] == "json_invalid"


def test_the_waitlist_and_invitations(either: Installation) -> None:
    for name in ("ada", "bob", "eve"):
        either.run("waitlist", "add", f"{name}@example.com", "--quiet")
    assert len(either.json("waitlist", "list", "--status", "pending")["data"]) == 3
    invited = either.json("waitlist", "invite", "ada@example.com")
    assert invited[0]["invitation"]["url"].startswith(either.settings.origin)
    either.run("waitlist", "reject", "eve@example.com")
    either.run("waitlist", "delete", "bob@example.com", "--yes")
    states = {one["email_address"]: one["status"] for one in either.json("waitlist", "list")["data"]}
    assert states == {"ada@example.com": "invited", "eve@example.com": "rejected"}
    assert either.refusal("waitlist", "invite", "nobody@example.com")["code"] == "resource_not_found"

    made = either.json("invitations", "create", "cleo@example.com", "--quiet", "--days", 3)
    assert made["url"].startswith(either.settings.origin)
    assert "cleo@example.com" in either.say("invitations", "list", "--status", "pending")
    either.run("invitations", "revoke", made["id"])
    assert "cleo@example.com" not in either.say("invitations", "list", "--status", "pending")


def test_webhooks_are_made_tried_switched_off_and_replayed(either: Installation) -> None:
    made = either.json("webhooks", "create", "https://hooks.example.com/in", "--event", "user.created")
    assert made["secret"].startswith("whsec_")
    named = "https://hooks.example.com/in"
    assert either.json("webhooks", "rotate", named)["secret"] != made["secret"]
    either.run("users", "create", "ada@example.com")
    either.run("webhooks", "test", named)
    sent = either.json("webhooks", "deliveries", named)["data"]
    assert sorted(one["kind"] for one in sent) == ["user.created", "webhook.test"]
    assert "user.created" in either.say("webhooks", "deliveries", named)
    assert sent[0]["id"] in either.say("webhooks", "deliveries", named, "--delivery", sent[0]["id"])
    assert either.refusal("webhooks", "replay", named, sent[0]["id"])["code"]  # it is still on its way
    assert either.json("webhooks", "replay", named, "--since", "1h")["count"] == 0
    either.run("webhooks", "replay", named, "--since", "soon", status=2)
    assert "it is off" in either.say("webhooks", "update", made["id"], "--off")
    assert " off " in either.say("webhooks", "list")
    assert either.json("webhooks", "update", made["id"], "--on", "--every-event")["kinds"] == []
    assert either.refusal("webhooks", "create", "http://10.0.0.1/")["code"] == "form_param_value_invalid"
    either.run("webhooks", "delete", named, "--yes")
    assert either.say("webhooks", "list") == "Nobody is told of anything.\n"


def test_organizations_members_roles_and_invitations(either: Installation) -> None:
    for name in ("ada", "bob"):
        either.run("users", "create", f"{name}@example.com")
    assert "organizations" in either.refusal("orgs", "list")["message"]
    either.run("orgs", "settings", "--on")
    acme = either.json("orgs", "create", "Acme", "--creator", "ada@example.com")
    assert either.json("orgs", "show", acme["slug"])["id"] == acme["id"]
    either.run("orgs", "add-member", acme["slug"], "bob@example.com")
    either.run("orgs", "set-role", acme["slug"], "bob@example.com", "org:admin")
    roles = {
        one["public_user_data"]["identifier"]: one["role"]
        for one in either.json("orgs", "members", acme["id"])["data"]
    }
    assert roles == {"ada@example.com": "org:admin", "bob@example.com": "org:admin"}
    assert "org:admin" in either.say("orgs", "roles")
    either.run("orgs", "remove-member", acme["slug"], "bob@example.com", "--yes")
    assert "bob@example.com" not in either.say("orgs", "members", acme["slug"])
    invited = either.json("orgs", "invite", acme["slug"], "cleo@example.com", "--inviter", "ada@example.com")
    assert "cleo@example.com" in either.say("orgs", "invitations", acme["slug"])
    either.run("orgs", "revoke-invitation", acme["slug"], invited["id"])
    either.run("orgs", "update", acme["slug"], "--name", "Acme Corporation")
    assert "Acme Corporation" in either.say("orgs", "list")
    either.run("orgs", "delete", acme["slug"], "--yes")
    assert either.say("orgs", "list") == "No organization matches.\n"


def test_api_keys_and_oauth_applications(either: Installation) -> None:
    either.run("users", "create", "ada@example.com")
    made = either.json("api-keys", "create", "ada@example.com", "laptop", "--scope", "read")
    assert made["secret"].startswith("ak_")
    assert "laptop" in either.say("api-keys", "list", "ada@example.com")
    assert "secret" not in either.json("api-keys", "show", made["id"])
    either.run("api-keys", "revoke", made["id"], "--reason", "lost")
    assert either.say("api-keys", "list", "ada@example.com") == "No key matches.\n"
    assert "revoked" in either.say("api-keys", "list", "ada@example.com", "--all")
    either.run("api-keys", "delete", made["id"], "--yes")

    application = either.json("oauth", "create", "Shop", "--redirect-uri", "https://shop.example.com/back")
    assert either.json("oauth", "rotate-secret", "Shop")["client_secret"] != application["client_secret"]
    assert application["client_id"] in either.say("oauth", "show", "Shop")
    assert "Shop" in either.say("oauth", "list")
    either.run("oauth", "delete", "Shop", "--yes")
    assert either.refusal("oauth", "show", "Shop")["code"] == "resource_not_found"


def test_secret_keys_count_until_they_are_revoked(installation: Installation) -> None:
    made = installation.json("keys", "secret", "create", "shop")
    assert made["secret"].startswith("sk_live_")
    assert "shop" in installation.say("keys", "secret", "list")
    installation.run("keys", "secret", "revoke", made["id"], "--yes")
    assert installation.json("keys", "secret", "list")["data"][0]["revoked"]
    assert (
        installation.refusal("keys", "secret", "revoke", "sk_none", "--yes")["code"] == "resource_not_found"
    )


def test_an_export_holds_everything_and_no_secret(either: Installation, tmp_path: Path) -> None:
    either.run("users", "create", "ada@example.com")
    either.run("orgs", "settings", "--on")
    either.run("orgs", "create", "Acme", "--creator", "ada@example.com")
    secrets = [
        either.json("machines", "create", "billing")["secret_key"],
        either.json("webhooks", "create", "https://hooks.example.com/in")["secret"],
        either.json("oauth", "create", "Shop", "--redirect-uri", "https://shop.example.com/")[
            "client_secret"
        ],
    ]
    folder = tmp_path / "out"
    counts = either.json("export", folder)["counts"]
    for kind in ("users", "organizations", "organization_memberships", "machines", "webhook_endpoints"):
        assert counts[kind] == 1, kind
    files = sorted(folder.iterdir())
    written = "".join(file.read_text("utf-8") for file in files)
    assert not any(secret in written for secret in secrets)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not any(file.name.startswith(".") for file in files)
    assert either.refusal("export", folder)["code"] == "folder_not_empty"


def test_an_export_leaves_out_what_is_switched_off_and_says_so(either: Installation, tmp_path: Path) -> None:
    either.run("users", "create", "ada@example.com")
    told = either.say("export", tmp_path / "told")
    assert "users 1" in told
    assert "doorward orgs settings --on" in told
    answer = either.json("export", tmp_path / "out")
    assert "organizations" in answer["switchedOff"]
    assert not set(answer["switchedOff"]) & set(answer["counts"])
    assert (tmp_path / "out" / "organization_settings.json").exists()
    refused = either.refusal("orgs", "list")
    assert refused["code"] == "organization_not_enabled_in_instance"
    assert "doorward orgs settings --on" in refused["message"]


def test_an_export_overwrites_nothing(installation: Installation, tmp_path: Path) -> None:
    kept = tmp_path / "users.jsonl"
    kept.write_text("precious", "utf-8")
    assert installation.refusal("users", "export", kept)["code"] == "file_exists"
    assert "is a file" in installation.refusal("export", kept)["message"]
    beside = tmp_path / "new.jsonl.partial"
    beside.write_text("precious", "utf-8")
    installation.run("users", "export", tmp_path / "new.jsonl")
    assert (kept.read_text("utf-8"), beside.read_text("utf-8")) == ("precious", "precious")
    assert installation.refusal("users", "export", "")["code"] == "file_exists"  # the folder it is typed in
    too_long = tmp_path / ("a" * 300)
    assert installation.refusal("users", "export", too_long)["code"] == "file_unwritable"


def test_rejects_never_go_into_the_file_that_is_read(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text('{"email_address": "ada@example.com"}\n', "utf-8")
    before = file.read_bytes()
    arguments = ("users", "import", file, "--from", "generic", "--rejects")
    assert "would overwrite" in installation.refusal(*arguments, file, status=2)["message"]
    assert file.read_bytes() == before
    installation.run(*arguments, tmp_path / "refused.jsonl")


@pytest.mark.parametrize("command", [("api-keys", "show"), ("invitations", "revoke"), ("orgs", "show")])
def test_an_empty_name_names_nothing(installation: Installation, command: tuple[str, ...]) -> None:
    assert installation.refusal(*command, "", status=2)["code"] == "name_missing"
    assert installation.refusal("machines", "show", "")["code"] == "resource_not_found"


@pytest.mark.parametrize("content", [b"\x7fELF\xd0\xff", None])
def test_a_key_file_that_holds_no_text_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    where = ("--url", "http://localhost:9", "--secret-key-file", file)
    answer = CliRunner().invoke(program, ["users", "list", *map(str, where)])
    assert answer.exit_code == 2
    why = "cannot be read (No such file or directory)." if content is None else "is not UTF-8 text."
    assert f"{file} {why}" in answer.stderr
