"""One running server, and the SDKs that talk to it, for every test here that needs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sdk_clients.javascript import JavaScript
from tests.sdk_clients.server import Server
from tests.sdk_clients.visitor import Visitor, ticket_for


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("up"))
    try:
        with running.backend() as backend:
            settings = {"enabled": True}
            backend.patch("/instance/organization_settings", json=settings).raise_for_status()
        yield running
    finally:
        running.end()


@pytest.fixture(scope="session")
def js(server: Server) -> Iterator[JavaScript]:
    client = JavaScript(server)
    yield client
    client.end()


@pytest.fixture(scope="session")
def backend(server: Server) -> Iterator[httpx.Client]:
    """The Backend API without any SDK."""
    with server.backend() as client:
        yield client


@pytest.fixture
def docs_page() -> str:
    """What we say to users of these SDKs."""
    return (Path(__file__).parents[2] / "docs" / "clerk-sdks.md").read_text()


@pytest.fixture(scope="session")
def ada(server: Server, backend: httpx.Client) -> Iterator[Visitor]:
    """Somebody who is signed in in a browser."""
    body: dict[str, Any] = {"email_address": ["ada@example.com"], "skip_password_requirement": True}
    user = backend.post("/users", json=body).raise_for_status().json()
    visitor = Visitor(server, ticket_for(backend, user["id"]))
    yield visitor
    visitor.close()
