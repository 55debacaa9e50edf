"""Whole ways through the console in a browser."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.identity_console.visitors import new_user
from tests.identity_pages.world import PASSWORD, World, new_address, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


async def test_without_scripts_a_user_is_found_edited_and_banned(
    accounts: World, browser: Browser, first_administrator: str
) -> None:
    address = new_address()
    user_id = await new_user(accounts, address)
    context, complaints = await accounts.context(browser, java_script_enabled=False)
    page = await context.new_page()
    await page.goto("/admin/users")
    await page.get_by_label("E-mail address").fill(first_administrator)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Name, address, number or id").fill(address)
    await page.get_by_role("button", name="Show").click()
    await page.get_by_role("link", name=address).click()
    await page.get_by_role("link", name="Edit the public metadata").click()
    await page.get_by_label("JSON").fill('{"plan": "gold"}')
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_contain_text("The metadata were changed.")
    await page.get_by_role("link", name="Ban").click()
    await page.get_by_role("button", name="Ban").click()
    await expect(page.get_by_role("status")).to_contain_text("The user is banned.")
    account = await accounts.identity.administration.get(user_id)
    assert account.user.is_banned
    assert account.user.public_metadata == '{"plan":"gold"}'
    await context.close()
    assert complaints.heard == []


async def test_cancelling_changes_nothing_and_leads_back(accounts: World, page: Page) -> None:
    user_id = await new_user(accounts)
    await page.goto(f"/admin/users/{user_id}/delete")
    await page.get_by_role("link", name="Cancel").click()
    await page.wait_for_url(f"**/admin/users/{user_id}")
    assert not (await accounts.identity.administration.get(user_id)).user.is_banned


async def test_a_narrow_window_folds_the_navigation_and_a_wide_one_shows_it(page: Page) -> None:
    await page.goto("/admin")
    await page.set_viewport_size({"width": 320, "height": 640})
    settings = page.get_by_role("link", name="Settings", exact=True)
    await expect(settings).to_have_count(0)
    await page.get_by_text("Console: Overview").click()
    await settings.click()
    await page.get_by_role("heading", name="Settings").wait_for()
    await page.set_viewport_size({"width": 1280, "height": 800})
    await expect(page.get_by_role("navigation", name="Console", exact=True)).to_be_visible()
    current = page.locator("nav[aria-label=Console] [aria-current=page]")
    await expect(current).to_have_text("Settings")


async def test_the_first_stop_of_the_tab_key_leads_past_the_navigation(page: Page) -> None:
    await page.goto("/admin/users")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.closest('main') !== null")


async def test_signing_out_closes_the_console_in_every_tab(
    accounts: World, browser: Browser, first_administrator: str
) -> None:
    context, complaints = await accounts.context(browser)
    one, other = await context.new_page(), await context.new_page()
    await sign_in(one, first_administrator)
    await one.get_by_role("heading", name="Machines").wait_for()
    await other.goto("/admin/settings")
    await one.goto("/admin")
    await one.get_by_role("button", name="Sign out").click()
    await one.get_by_role("heading", name="Sign in").wait_for()
    await other.reload()
    await other.get_by_role("heading", name="Sign in").wait_for()
    await context.close()
    assert complaints.heard == []


async def test_a_page_of_another_host_cannot_press_a_button_of_the_console(
    accounts: World, page: Page
) -> None:
    """A sibling host is the same site: SameSite lets the cookie go along, and the form is refused for its origin."""
    user_id = await new_user(accounts)
    sibling = accounts.origin.replace("accounts.", "notebook.accounts.")
    await page.route(
        f"{sibling}/**",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<form method="post" action="{accounts.origin}/admin/users/{user_id}/ban"><button>Win</button></form>',
        ),
    )
    await page.goto(f"{sibling}/")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Win").click()
    await page.get_by_text("This form was sent from another site").wait_for()
    assert not (await accounts.identity.administration.get(user_id)).user.is_banned
