"""One running server, and the SDKs that talk to it, for every test here that needs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.sdk_clients.javascript import JavaScript
from tests.sdk_clients.server import Server
from tests.sdk_clients.visitor import Visitor


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


@pytest.fixture(scope="session")
def ada(server: Server, backend: httpx.Client) -> Iterator[Visitor]:
    """Somebody who is signed in in a browser."""
    body: dict[str, Any] = {"email_address": ["ada@example.com"], "skip_password_requirement": True}
    user = backend.post("/users", json=body).raise_for_status().json()
    ticket = backend.post("/sign_in_tokens", json={"user_id": user["id"]}).raise_for_status().json()
    visitor = Visitor(server, ticket["token"])
    yield visitor
    visitor.close()
