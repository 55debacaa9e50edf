"""A start of `serve` imports what it needs to answer; the rest is imported by the request, the setting or the command for it.

No limit of time is held here, which a busy machine would break: `bench/server.py` measures. What is listed took a tenth of the
start or more, or was brought in by one careless line.
"""

from __future__ import annotations

import re
import urllib.request
from urllib.error import HTTPError

import pytest

from tests import databases
from tests.e2e.processes import Program, command
from tests.ports import free_ports

#: And whatever is inside of them.
NOT_AT_START = {
    "a revision that is due, and PostgreSQL": {"alembic", "sqlalchemy", "psycopg"},
    "pages": {"jinja2", "markupsafe"},
    # what anyio's threads import; they themselves are imported by a call that Python does not account for
    "functions that are called in threads": {"anyio._core._sockets"},
    "requests of our own": {"httpcore", "h2", "websockets", "certifi"},
    "mail": {"aiosmtplib"},
    "measuring and tracing": {"prometheus_client", "opentelemetry", "doorward.server.admin"},
    "the other programs": {"doorward.client", "doorward.environment", "doorward.connector", "doorward.server.up"},
    "the other commands": {
        "yaml",
        "csv",
        "getpass",
        "doorward.cli.administration",
        "doorward.cli.connect",
        "doorward.cli.expose",
        "doorward.cli.session",
        "doorward.server.backup",
        "doorward.server.doctor",
        "doorward.server.env_file",
        "doorward.server.local_api",
    },
}  # fmt: skip


def test_a_start_on_a_database_that_exists_imports_nothing_it_does_not_use(tmp_path):
    control, edge = free_ports(2)
    config = tmp_path / "doorward.toml"
    config.write_text(
        f"""data = "{tmp_path / "data"}"
[database]
url = "{databases.new_sqlite(tmp_path, databases.SERVER_SCHEMAS)}"
[identity]
origin = "http://accounts.localhost:{control}"
[relay]
origin = "http://relay.localhost:{control}"
zone = "env.localhost:{edge}"
[edge]
url = "http://edge.localhost:{edge}"
[listen]
control = "127.0.0.1:{control}"
edge = "127.0.0.1:{edge}"
"""
    )
    # Python's own account of every import, on the standard error.
    program = Program(
        ["serve", "--config", str(config)], home=tmp_path, environ={"PYTHONPROFILEIMPORTTIME": "1"}
    )
    try:
        program.wait_for("Doorward serves")
        health = urllib.request.Request(
            f"http://127.0.0.1:{control}/health", headers={"host": f"relay.localhost:{control}"}
        )
        with urllib.request.urlopen(health, timeout=30) as answer:
            assert answer.status == 200
        icon = urllib.request.Request(
            f"http://127.0.0.1:{control}/favicon.ico", headers={"host": f"accounts.localhost:{control}"}
        )
        with pytest.raises(HTTPError, match="404"):
            urllib.request.urlopen(icon, timeout=30)
    finally:
        program.stop()
    imported = modules_in(program.output)
    assert "doorward.server.serve" in imported
    assert imported_of(imported) == {}


def test_a_word_about_the_program_imports_no_command(tmp_path):
    asked = command("--version", home=tmp_path, environ={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = modules_in(asked.stderr)
    assert "doorward.cli.commands" in imported
    assert not {"asyncio", "msgspec", "cryptography", "doorward.server", "doorward.cli.serving"} & imported
    assert imported_of(imported) == {}


def modules_in(output: str) -> set[str]:
    return set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", output, re.MULTILINE))


def imported_of(imported: set[str]) -> dict[str, list[str]]:
    """What was imported of `NOT_AT_START`, by what it is for."""
    return {
        what: found
        for what, names in NOT_AT_START.items()
        if (found := sorted(m for m in imported if any(m == n or m.startswith(f"{n}.") for n in names)))
    }
