"""Running relays: `world` and `cloud` on both engines, `wire` on one, `worlds` with settings of the test's choice."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from doorward.relay import SCHEMA, RateLimits
from doorward.relay.endpoints import leases
from doorward.store import open_database
from tests import databases
from tests.conftest import ClockForTests, OpenTestDatabase
from tests.relay.world import World, open_world

OpenWorld = Callable[..., Awaitable[World]]


@pytest.fixture(autouse=True)
def patient_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits behind others for a row gets it, also where all of them are slow."""
    monkeypatch.setattr(leases, "WAIT_S", 60.0)


@pytest.fixture
async def world(
    open_test_database: OpenTestDatabase, clock: ClockForTests, tmp_path: Path
) -> AsyncIterator[World]:
    """For what depends on rows and transactions."""
    database = await open_test_database(SCHEMA)
    async with open_world(database, clock, tmp_path) as running:
        yield running


@pytest.fixture
async def cloud(
    open_test_database: OpenTestDatabase, clock: ClockForTests, tmp_path: Path
) -> AsyncIterator[World]:
    """Like `world`, with endpoints by Cloudflare."""
    database = await open_test_database(SCHEMA)
    async with open_world(database, clock, tmp_path, provider="cloudflare") as running:
        yield running


@pytest.fixture
async def open_wire(anyio_backend: str, clock: ClockForTests, tmp_path: Path) -> AsyncIterator[OpenWorld]:
    """`await open_wire(strict_base=True)`: a relay with settings, on SQLite."""
    async with contextlib.AsyncExitStack() as stack:

        async def create(**settings: Any) -> World:
            folder = tmp_path / secrets.token_hex(4)
            folder.mkdir()
            database = await open_database(databases.new_sqlite(folder, [SCHEMA]), schemas=[SCHEMA])
            stack.push_async_callback(database.close)
            return await stack.enter_async_context(open_world(database, clock, folder, **settings))

        yield create


@pytest.fixture
async def wire(open_wire: OpenWorld) -> World:
    """For what depends on bytes of HTTP alone; SQLite."""
    return await open_wire()


@pytest.fixture
async def unlimited(open_wire: OpenWorld) -> World:
    """Linked, with a token and a credential at hand, and without rates: for tables of many attempts."""
    world = await open_wire(
        rate_limits=RateLimits(link_challenges=9999, links=9999, token_exchanges=9999, connects=9999)
    )
    world.saved_credential = (await world.link())["environmentCredential"]
    world.saved_token = await world.token()
    return world
