"""A back end that holds the instance's secret key, beside the browsers of tests.identity."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.identity.conftest import ORIGIN, World, make_world, world

__all__ = ["Backend", "backend", "backend_of", "make_world", "world"]


@dataclass
class Backend:
    """Requests of a server with a key; each answer is checked to be JSON to the letter."""

    world: World
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        response = await self.http.request(method, f"/api/v1{path}", **options)
        assert response.status_code == status, response.text[:600]
        if status in (202, 204):
            assert response.content == b""
            return None
        assert response.headers["content-type"] == "application/json"
        return response.json()

    async def refused(self, method: str, path: str, status: int, code: str, **options: Any) -> dict[str, Any]:
        """The one error of a refusal."""
        errors = (await self.ask(method, path, status, **options))["errors"]
        assert [error["code"] for error in errors] == [code], errors
        assert errors[0]["message"]
        assert errors[0]["long_message"]
        return dict(errors[0])


@asynccontextmanager
async def backend_of(world: World) -> AsyncIterator[Backend]:
    """A holder of a secret key made for it."""
    made = await world.identity.secret_keys.make("tests", actor=None)
    transport = httpx.ASGITransport(app=world.identity.app, client=("198.51.100.4", 50000))
    headers = {"authorization": f"Bearer {made.secret}", "clerk-api-version": "2026-05-12"}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
        yield Backend(world, client)


@pytest.fixture
async def backend(world: World) -> AsyncIterator[Backend]:
    async with backend_of(world) as made:
        yield made
