"""Every example is as short as promised; every application among them runs as it stands, and lets in whom it should.

The machines' example runs against a whole server, in tests/sdk_clients/test_own_sdk.py.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from doorward.jose import generate_key, sign_jwt
from tests.verify.backend_wire import SECRET_KEY, BackendWire, serving
from tests.verify.requests_table import ISSUER, LIVE

ROOT = Path(__file__).parents[2]
SERVERS = {
    "asgi_app": "asgi",
    "wsgi_app": "wsgi",
    "starlette_app": "asgi",
    "fastapi_app": "asgi",
    "litestar_app": "asgi",
    "aiohttp_app": "aiohttp",
    "flask_app": "wsgi",
    "django_app": "wsgi",
}
KEY = generate_key("RS256", kid="ins_1")
SERVE = """
import importlib, sys
from tests.verify.frameworks import serving
app = importlib.import_module(f"examples.{sys.argv[1]}").app
with getattr(serving, f"{sys.argv[2]}_server")(app) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def wire() -> Iterator[BackendWire]:
    with serving(BackendWire(KEY)) as wire:
        yield wire


def environment(wire: BackendWire) -> dict[str, str]:
    return os.environ | {
        "CLERK_PUBLISHABLE_KEY": LIVE,
        "CLERK_SECRET_KEY": SECRET_KEY,
        "CLERK_API_URL": wire.url,
    }


@pytest.mark.parametrize("name", SERVERS)
def test_an_example_lets_a_signed_in_person_in_and_nobody_else(name: str, wire: BackendWire) -> None:
    command = [sys.executable, "-c", SERVE, name, SERVERS[name]]
    options = {"cwd": ROOT, "env": environment(wire), "text": True}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        assert process.stdin
        assert process.stdout
        site = process.stdout.readline().strip()
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": "user_1", "sid": "sess_1", "iat": now, "exp": now + 600}
        good = {"authorization": f"Bearer {sign_jwt(claims, KEY, typ='JWT')}"}
        with httpx.Client(base_url=site, timeout=30, trust_env=False) as client:
            answer = client.get("/orders", headers=good)
            assert (answer.status_code, answer.json()) == (200, {"user": "user_1"})
            assert client.get("/orders").status_code == 401
            assert client.get("/orders", headers={"authorization": "Bearer mt_x"}).status_code == 401
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_an_example_has_ten_lines_to_write(path: Path) -> None:
    """Lines of code beside the imports, which an editor writes."""
    tree = ast.parse(path.read_text())
    written = set()
    for node in ast.walk(tree):
        is_frame = isinstance(node, ast.Import | ast.ImportFrom | ast.Module)
        if isinstance(node, ast.stmt) and not is_frame and node is not tree.body[0]:
            written.add(node.lineno)
    assert len(written) <= 10
