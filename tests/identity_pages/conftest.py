from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from tests.identity_pages.fixtures import accounts, accounts_on_each_engine
from tests.identity_pages.world import World, new_address, sign_up

__all__ = ["accounts", "accounts_on_each_engine"]


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
