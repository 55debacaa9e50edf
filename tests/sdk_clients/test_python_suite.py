"""`clerk-backend-api`'s own tests, pointed at us. They are in no package, and nothing of theirs is kept here.

CLERK_SDK_PYTHON   a checkout of clerk-sdk-python whose `.venv` holds it, pytest and pytest-asyncio
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.sdk_clients.server import Server
from tests.sdk_clients.visitor import Visitor, ticket_for
from tests.system_parts import require_system_part

pytestmark = pytest.mark.xdist_group("published SDKs")

#: The origin that its tests expect a session to be of.
ORIGIN = "http://localhost:3000"
HERE = Path(__file__)
#: It fails behind the others with any server, as the SDK's memory of keys forgets by whose secret they came (mended in 7.0).
ALONE = "tests/test_verify_token.py::TestJwtVerificationAsync::test_verify_token_invalid_secret_key"


def missing() -> str | None:
    named = os.environ.get("CLERK_SDK_PYTHON")
    if not named:
        return "CLERK_SDK_PYTHON names no checkout of clerk-sdk-python; CI has none, because nothing of theirs is kept here"
    return (
        None if (Path(named) / ".venv/bin/python").exists() else f"{named} has no .venv with its dependencies"
    )


@pytest.fixture
def checkout() -> Path:
    require_system_part("clerk-sdk-python's own tests", missing(), fails_in_ci=False)
    return Path(os.environ["CLERK_SDK_PYTHON"])


def test_its_own_tests_pass(checkout: Path, server: Server, backend: httpx.Client, ada: Visitor) -> None:
    backend.patch("/instance", json={"allowed_origins": [ORIGIN]}).raise_for_status()
    visitor = Visitor(server, ticket_for(backend, ada.user_id), origin=ORIGIN)
    environ = server.environ(
        CLERK_JWT_KEY=server.public_key(),
        CLERK_SESSION_TOKEN=visitor.session_token(),
        PYTHONPATH=str(HERE.parent),
    )
    visitor.close()
    assert passed(checkout, environ, "--deselect", ALONE, "tests") + passed(checkout, environ, ALONE) == 73


def passed(checkout: Path, environ: dict[str, str], *arguments: str) -> int:
    """How many of its tests did, once none did anything else."""
    plugin = HERE.with_name("clerk_suite_plugin.py").stem
    done = subprocess.run(
        [".venv/bin/python", "-m", "pytest", "-q", "-p", plugin, *arguments],
        cwd=checkout, env=environ, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "session token is expired" not in done.stdout
    (line,) = re.findall(
        r"^(\d+) passed(?:, \d+ deselected)?(?:, \d+ warnings?)? in", done.stdout, re.MULTILINE
    )
    return int(line)
