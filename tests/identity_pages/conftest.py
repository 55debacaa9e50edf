from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from doorward.store import open_database
from tests.conftest import OpenTestDatabase
from tests.databases import new_sqlite
from tests.identity_pages.world import SCHEMAS, World, new_address, sign_up, world
from tests.web.browser import chromium


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
async def accounts(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The pages over SQLite, one world for a module: every test brings its own person."""
    folder: Path = tmp_path_factory.mktemp("accounts")
    database = await open_database(new_sqlite(folder, SCHEMAS), schemas=SCHEMAS)
    async with world(database) as opened:
        yield opened
    await database.close()


@pytest.fixture
async def accounts_on_each_engine(open_test_database: OpenTestDatabase) -> AsyncIterator[World]:
    async with world(await open_test_database(*SCHEMAS)) as opened:
        yield opened


@pytest.fixture
async def page(accounts: World, browser: Browser) -> AsyncIterator[Page]:
    """A fresh browser; a violation of the policy or an error of a script fails the test at its end."""
    context, complaints = await accounts.context(browser)
    yield await context.new_page()
    await context.close()
    assert complaints.heard == []


@pytest.fixture
async def person(accounts: World, page: Page) -> str:
    """The address of somebody who signed up and is looking at their machines."""
    address = new_address()
    await sign_up(page, accounts, address)
    await page.get_by_role("heading", name="Machines").wait_for()
    return address
