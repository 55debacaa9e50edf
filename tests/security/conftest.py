"""A machine, and an accounts server with somebody signed in."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conftest import OpenTestDatabase
from tests.environment.conftest import make_machine
from tests.identity_backend_api.conftest import backend, make_world, world
from tests.identity_pages.world import PASSWORD, SCHEMAS, World, new_address
from tests.identity_pages.world import world as accounts_world
from tests.relay.conftest import open_wire, wire

__all__ = ["backend", "make_machine", "make_world", "open_wire", "wire", "world"]


@pytest.fixture
def engine() -> str:
    """What is asked here is the routes' business, not the database's."""
    return "sqlite"


@pytest.fixture
async def accounts(open_test_database: OpenTestDatabase) -> AsyncIterator[World]:
    async with accounts_world(await open_test_database(*SCHEMAS)) as opened:
        yield opened


@pytest.fixture
async def signed_in(accounts: World) -> AsyncIterator[httpx.AsyncClient]:
    """A browser with a session, which sends what it is told and follows nothing."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(accounts.identity.app), base_url=accounts.origin
    ) as browser:
        own = {"origin": accounts.origin}
        address = new_address()
        sent = await browser.post("/sign-up", data={"email": address, "password": PASSWORD}, headers=own)
        attempt = re.search(r"attempt=(\w+)", sent.headers["location"])
        assert attempt
        form = {"attempt": attempt[1], "code": await accounts.newest_code(address)}
        done = await browser.post("/sign-up/verify", data=form, headers=own)
        assert done.headers["location"] == "/machines"
        yield browser
