"""Every page of the console and its states: at 320 px and at 1280 px, light and dark, by keyboard and by name.

`DOORWARD_PICTURES=1` leaves what was seen in build/screenshots/console.
"""

import pytest
from playwright.async_api import Page

from tests.identity_console.visitors import new_user
from tests.identity_pages.world import World, new_address
from tests.web.browser import accessibility_faults, focused_without_ring, horizontal_overflow
from tests.web.pictures import SIZES, picture

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


async def look(page: Page, name: str) -> None:
    """Hold the page, as it stands, to what every page owes its readers."""
    await picture(page, f"console/{name}")
    await page.emulate_media(reduced_motion="reduce")
    for width, height in SIZES:
        await page.set_viewport_size({"width": width, "height": height})
        assert await horizontal_overflow(page) == [], name
        assert await accessibility_faults(page) == [], name
        assert await focused_without_ring(page, stops=60) == [], name


async def test_pages_about_users(accounts: World, page: Page) -> None:
    await page.goto("/admin")
    await look(page, "overview")
    for number in range(30):
        await new_user(accounts, first_name=f"Ada {number}", last_name="Lovelace")
    banned = await new_user(
        accounts, "a.very.long.address.of.somebody.with.a.long.name@department.example.org"
    )
    await accounts.identity.administration.ban([banned], actor="test")
    await page.goto("/admin/users")
    await look(page, "users")
    await page.goto("/admin/users?query=nobody-is-called-so")
    await look(page, "users-none")
    await page.goto("/admin/users/new")
    await look(page, "user-new")
    await page.evaluate("document.querySelector('main form').noValidate = true")
    await page.get_by_role("button", name="Make the account").click()
    await page.locator("[aria-invalid]").first.wait_for()
    await look(page, "user-new-wrong")
    await page.goto(f"/admin/users/{banned}")
    await look(page, "user-banned")
    await page.goto("/admin/users?query=" + "Ada 7")
    await page.get_by_role("table").get_by_role("link").first.click()
    await page.get_by_role("heading", name="Ada 7 Lovelace").wait_for()
    await look(page, "user")
    user = page.url
    for path, name in (
        ("profile", "user-profile"),
        ("metadata/public", "user-metadata"),
        ("password", "user-password"),
        ("addresses/new", "user-address"),
        ("numbers/new", "user-number"),
        ("ban", "user-ban"),
        ("delete", "user-delete"),
        ("act", "user-act"),
    ):
        await page.goto(f"{user}/{path}")
        await look(page, name)
    await page.goto(f"{user}/metadata/public")
    await page.get_by_label("JSON").fill('{\n  "plan": \n}')
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("look at line 3").wait_for()
    await look(page, "user-metadata-wrong")
    await page.goto(f"{user}/link")
    await page.get_by_role("button", name="Make the link").click()
    await page.get_by_text("It is shown here once").wait_for()
    await look(page, "user-link")
    await page.goto(f"{user}/numbers/new")
    await page.get_by_label("Phone number").fill("+442071838750")
    await page.get_by_role("button", name="Add").click()
    await page.get_by_text("The phone number was added.").wait_for()
    await page.goto(f"{user}/addresses/new")
    await page.get_by_label("E-mail address").fill(new_address())
    await page.get_by_role("button", name="Add").click()
    await page.get_by_text("The address was added.").wait_for()
    await look(page, "user-done")
    await page.goto("/admin/users/user_nobody")
    await look(page, "error-404")
