"""`connect security …` without an agent: on the data folder itself."""

import json

import pytest

from doorward.jose import generate_key, key_phrase
from tests.cli.conftest import configured
from tests.cli.knocking import knock
from tests.in_process import command

CONFIGURED = configured("https://relay.example.com", "https://accounts.example.com")


@pytest.fixture
def run(tmp_path):
    def security(*arguments: str, status: int = 0) -> str:
        done = command("connect", "security", *arguments, home=tmp_path, environ=CONFIGURED)
        assert done.returncode == status, (arguments, done.stdout, done.stderr)
        return done.stdout if status == 0 else done.stderr

    return security


@pytest.mark.conformance("connect-environment", 171)
def test_the_mode_is_set_and_read_without_any_server(run):
    assert json.loads(run("--mode", "account", "--json")) == {"mode": "account"}
    assert run() == "T3 Connect uses account-wide access.\n"
    assert json.loads(run("--mode", "client-approval", "--json")) == {"mode": "client-approval"}
    assert run() == "T3 Connect client approval is required.\n"
    assert json.loads(run("--json")) == {"mode": "client-approval"}


@pytest.mark.conformance("connect-environment", 172)
def test_a_mode_that_does_not_exist_is_a_usage_error_and_changes_nothing(run):
    run("--mode", "client-approval")
    assert "'account', 'client-approval'" in run("--mode", "foo", status=2)
    assert json.loads(run("--json")) == {"mode": "client-approval"}


def thumbprint_with_a_dash() -> str:
    while not (made := generate_key("ES256").thumbprint).startswith("-"):
        pass
    return made


@pytest.mark.conformance("connect-environment", 173)
def test_devices_are_listed_and_decided_about(run, tmp_path):
    assert run("clients") == "No T3 Connect clients are registered.\n"
    assert json.loads(run("clients", "--json")) == {"clients": []}
    # A thumbprint that starts with a dash is no option.
    thumbprint = thumbprint_with_a_dash()
    knock(tmp_path, thumbprint, label="Ada's \x1b[2Jphone", os="iOS", device_id="device-1")

    (client,) = json.loads(run("clients", "--json"))["clients"]
    assert client["clientProofKeyThumbprint"] == thumbprint
    header, row, phrase = run("clients").splitlines()
    assert header == "T3 Connect clients"
    assert row == (
        f"  {thumbprint}  pending  Ada's [2Jphone (mobile, iOS, device device-1, "
        f"requested {client['requestedAt']})"
    )
    assert phrase.strip() == key_phrase(thumbprint)

    assert run("approve", thumbprint) == f"Approved T3 Connect client {thumbprint}.\n"
    assert json.loads(run("reject", thumbprint, "--json"))["client"]["status"] == "rejected"
    assert run("reject", thumbprint) == f"Rejected T3 Connect client {thumbprint}.\n"
    assert json.loads(run("approve", thumbprint, "--json"))["client"]["status"] == "approved"
    assert run("revoke", thumbprint) == f"Revoked T3 Connect client {thumbprint}.\n"
    assert run("clients") == "No T3 Connect clients are registered.\n"
    knock(tmp_path, thumbprint)
    assert json.loads(run("revoke", thumbprint, "--json")) == {"revoked": True}


@pytest.mark.conformance("connect-environment", 173)
@pytest.mark.parametrize(
    ("verb", "answer"),
    [("approve", {"client": None}), ("reject", {"client": None}), ("revoke", {"revoked": False})],
)
@pytest.mark.parametrize("thumbprint", ["-abc", "--abc", "nobody"])
def test_a_device_nobody_knows_is_no_failure(run, verb, answer, thumbprint):
    arguments = ("--", thumbprint) if thumbprint.startswith("--") else (thumbprint,)
    assert run(verb, *arguments) == f"No active T3 Connect client found for {thumbprint}.\n"
    assert json.loads(run(verb, "--json", *arguments)) == answer
