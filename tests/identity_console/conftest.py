from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from tests.identity_console.visitors import become_administrator, new_user
from tests.identity_pages.fixtures import accounts, accounts_on_each_engine
from tests.identity_pages.visitors import Visitor
from tests.identity_pages.world import World, sign_in

__all__ = ["accounts", "accounts_on_each_engine"]


@pytest.fixture(scope="module")
async def first_administrator(accounts: World) -> str:
    """The address of the one the one-time link made. Before any test that makes one otherwise: then there is no link."""
    return await become_administrator(accounts)


@pytest.fixture
async def administrator(accounts: World, first_administrator: str) -> AsyncIterator[Visitor]:
    """Signed in, a moment ago."""
    async with Visitor(accounts) as visitor:
        await visitor.sign_in(first_administrator)
        yield visitor


@pytest.fixture
async def page(accounts: World, browser: Browser, first_administrator: str) -> AsyncIterator[Page]:
    """A fresh browser of the administrator's; a violation of the policy fails the test at its end."""
    context, complaints = await accounts.context(browser)
    page = await context.new_page()
    await sign_in(page, first_administrator)
    await page.get_by_role("heading", name="Machines").wait_for()
    yield page
    await context.close()
    assert complaints.heard == []


@pytest.fixture
async def somebody(accounts: World) -> str:
    """The id of a user."""
    return await new_user(accounts)
