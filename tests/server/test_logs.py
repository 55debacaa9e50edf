"""Logs: one JSON object a line for programs, and never a secret, whatever an exception quotes."""

import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.jose import generate_key, sign_jwt
from doorward.outbound import Outbound
from doorward.server.logs import REDACTED, HumanFormatter, JsonFormatter, without_secrets, write_logs
from tests.e2e.accounts import Account
from tests.e2e.people import PASSWORD
from tests.server.nodes import served

JWT = sign_jwt({"sub": "user_1"}, generate_key("EdDSA"), typ="JWT")
PEM = generate_key("EdDSA").to_pem()


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_program_reads_json_lines(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    write_logs(stream=stream)
    logging.getLogger("doorward.relay").warning("Pruning failed: %s", "database_locked")
    try:
        raise ValueError("first line\nsecond line")
    except ValueError:
        logging.getLogger("doorward.relay").exception("a job failed")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.items() >= {
        "level": "warning", "logger": "doorward.relay", "message": "Pruning failed: database_locked"
    }.items()  # fmt: skip
    assert second["error"]["type"] == "ValueError"
    assert "second line" in second["error"]["trace"]


def test_a_person_reads_plain_lines(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    write_logs(shape="human", stream=stream)
    logging.getLogger("doorward").error("tunnel of %s closed", "env-1")
    assert stream.getvalue().rstrip().endswith("ERROR   tunnel of env-1 closed")


def test_libraries_do_not_tell_what_they_send(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    write_logs(level="debug", stream=stream)
    logging.getLogger("httpcore.http11").debug("send_request_headers %r", [(b"authorization", b"Bearer abc")])
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"refused {JWT} here", JWT),
        ("Authorization: Bearer oat_2fj39sdkfjsd", "oat_2fj39sdkfjsd"),
        ("authorization: DPoP short-but-secret", "short-but-secret"),
        ("{'password': 'lintel-harbour'}", "lintel-harbour"),
        ("cannot reach postgresql://doorward:hunter22@db/doorward", "hunter22"),
        ("CLERK_SECRET_KEY is sk_live_abcdefghijkl", "sk_live_abcdefghijkl"),
        ("t3env_" + "ab" * 32 + "_" + "cd" * 48, "cd" * 48),
        (PEM, PEM.splitlines()[1]),
    ],
    ids=["jwt", "bearer", "dpop", "named", "url", "clerk", "environment", "pem"],
)
def test_what_looks_like_a_credential_is_cut_out(text: str, secret: str) -> None:
    assert secret not in without_secrets(text)
    assert REDACTED in without_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "POST /v1/environments/{environmentId}/connect failed: KeyError [8f14e45fceea167a5a36dedd4bea2543]",
        "the relay refused the name notes: name_taken",
        "a token for another audience",
        "https://accounts.example.com:8443/sign-in",
    ],
)
def test_ordinary_messages_stay_as_they_are(text: str) -> None:
    assert without_secrets(text) == text


@settings(deadline=None)
@given(st.text())
def test_a_line_is_one_line_whatever_is_said(text: str) -> None:
    record = logging.LogRecord("doorward", logging.INFO, "", 0, "%s", (text,), None)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == without_secrets(text)
    HumanFormatter().format(record)


@pytest.mark.anyio
async def test_no_secret_of_a_whole_run_is_in_its_logs(tmp_path: Path) -> None:
    """An account is made, tokens are granted, refreshed, misused, and the database breaks: at the level of debug."""
    outbound = Outbound()
    with served(tmp_path, extra='[log]\nlevel = "debug"\nformat = "json"') as node:
        link = node.administrator()
        account = Account(node.accounts, outbound)
        await account.sign_up(link, node.mailed_code)
        grant = await account.grant()
        assert grant.refresh_token is not None
        bearer = {"authorization": f"Bearer {grant.access_token}"}
        linked = await outbound.json(
            f"{node.relay}/v1/client/environment-link-challenges",
            {"notificationsEnabled": True, "liveActivitiesEnabled": True, "managedTunnelsEnabled": True},
            headers=bearer,
        )
        assert linked.status == 200
        challenge = linked.json(dict[str, str])["challenge"]
        refused = await outbound.json(
            f"{node.relay}/v1/client/environment-links",
            {"proof": JWT, "challenge": challenge},
            headers=bearer,
        )
        assert refused.status == 400
        refreshed = await account.refresh(grant.refresh_token)
        tokens = refreshed.json(dict[str, object])
        # The database breaks under a request that carries secrets: an exception with a traceback.
        with sqlite3.connect(node.data / "doorward.sqlite") as broken:
            broken.execute("ALTER TABLE identity_oauth_refresh_tokens RENAME TO lost")
            broken.execute("ALTER TABLE relay_dpop_proofs RENAME TO lost_too")
        assert (await account.refresh(str(tokens["refresh_token"]))).status == 500
        await outbound.close()
        node.stop()
        assert node.program is not None
        logged = [line for line in node.program.lines if line.startswith("{") and '"logger"' in line]
    assert any("an OAuth endpoint failed" in line for line in logged)
    key = (node.data / "key-encryption.key").read_text().strip()
    cookies = account._cookies.values()
    secrets = [
        PASSWORD, link.partition("ticket=")[2], JWT, challenge, key, grant.access_token, grant.refresh_token,
        str(tokens["access_token"]), str(tokens["refresh_token"]), *(value for value in cookies if len(value) > 20),
    ]  # fmt: skip
    assert all(len(secret) > 15 for secret in secrets)
    assert [secret for secret in secrets if any(secret in line for line in logged)] == []
