"""Every page of the console and its states: at 320 px and at 1280 px, light and dark, by keyboard and by name.

`make pictures` leaves what was seen in build/screenshots/console.
"""

import pytest
from playwright.async_api import Page

from doorward.identity.accounts.directory import Ordering
from doorward.identity.accounts.filters import Filter
from tests.identity_console.visitors import new_user
from tests.identity_pages.world import World, new_address
from tests.web.browser import follow
from tests.web.pictures import look as look_at

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


async def look(page: Page, name: str) -> None:
    await look_at(page, f"console/{name}", skips_navigation=name != "overview")


async def test_pages_about_users(accounts: World, page: Page) -> None:
    await page.goto("/admin")
    await look(page, "overview")
    for number in range(30):
        await new_user(accounts, password=None, first_name=f"Ada {number}", last_name="Lovelace")
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


async def test_pages_about_organizations(accounts: World, page: Page) -> None:
    identity = accounts.identity
    await page.goto("/admin/organizations")
    await look(page, "organizations-off")
    await follow(page, page.get_by_role("link", name="Turn them on"))
    await look(page, "settings-organizations")
    await page.get_by_label("Users work in organizations").check()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("The settings were changed.").wait_for()
    await page.goto("/admin/organizations")
    await look(page, "organizations-empty")
    await page.goto("/admin/organizations/new")
    await look(page, "organization-new")
    address = new_address()
    await new_user(accounts, address)
    await page.get_by_label("Name").fill("Analytical Engines")
    await page.get_by_label("Address of its first member").fill(address)
    await page.get_by_role("button", name="Make the organization").click()
    await page.get_by_text("The organization was made.").wait_for()
    organization = page.url.partition("?")[0]
    await page.goto(f"{organization}/invitations/new")
    await look(page, "organization-invite")
    await page.get_by_label("E-mail address").fill(new_address())
    await page.get_by_role("button", name="Invite").click()
    await page.get_by_text("The invitation is on its way.").wait_for()
    await look(page, "organization")
    await page.goto("/admin/organizations")
    await look(page, "organizations")
    for path, name in (
        ("edit", "organization-edit"),
        ("metadata/private", "organization-metadata"),
        ("members/new", "organization-member"),
        ("delete", "organization-delete"),
    ):
        await page.goto(f"{organization}/{path}")
        await look(page, name)
    (account,) = await identity.directory.list(
        Filter(email_addresses=(address,)), Ordering(), limit=1, offset=0
    )
    await page.goto(f"{organization}/members/{account.user.id}/role")
    await look(page, "organization-role")
    await page.get_by_role("combobox").select_option("org:member")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("alert").wait_for()
    await look(page, "organization-role-wrong")
    await page.goto("/admin/roles")
    await look(page, "roles")
    await page.goto("/admin/roles/new")
    await look(page, "role-new")
    await page.goto("/admin/roles/permissions/new")
    await look(page, "permission-new")


async def test_pages_about_who_may_come_in(accounts: World, page: Page) -> None:
    await page.goto("/admin/invitations")
    await look(page, "invitations-empty")
    await page.goto("/admin/invitations/new")
    await look(page, "invitation-new")
    await page.get_by_label("E-mail address").fill("grace@example.com")
    await page.get_by_role("button", name="Invite").click()
    await page.get_by_text("The link is shown here once.").wait_for()
    await look(page, "invitation-made")
    await page.goto("/admin/invitations")
    await look(page, "invitations")
    await follow(page, page.get_by_role("link", name="Revoke"))
    await look(page, "invitation-revoke")

    await page.goto("/admin/waitlist")
    await look(page, "waitlist-empty")
    await page.goto("/admin/waitlist/new")
    await look(page, "waitlist-new")
    await page.get_by_label("E-mail address").fill("charles@example.com")
    await page.get_by_role("button", name="Add").click()
    await page.get_by_text("They are on the waitlist.").wait_for()
    await look(page, "waitlist")
    await follow(page, page.get_by_role("link", name="Invite"))
    await look(page, "waitlist-invite")

    await page.goto("/admin/lists/allow")
    await look(page, "allow-list-empty")
    await page.goto("/admin/lists/block/new")
    await look(page, "block-list-new")
    await page.get_by_label("Address, domain or phone number").fill(f"*@{'spam' * 15}.{'spam' * 15}.example")
    await page.get_by_role("button", name="Add").click()
    await page.get_by_text("The entry was added.").wait_for()
    await look(page, "block-list")
    # A word that fills the window must not squeeze the other columns: theirs stay on one line.
    await page.set_viewport_size({"width": 1280, "height": 900})
    assert await page.get_by_role("table").evaluate(
        "table => table.scrollWidth <= table.parentElement.clientWidth"
    )
    for column in ("Kind", "Added"):
        cell = page.locator(f'td[data-column="{column}"] > div')
        assert await cell.evaluate(
            "cell => cell.clientHeight < 2 * parseFloat(getComputedStyle(cell).lineHeight)"
        )


async def test_pages_about_the_instance(accounts: World, page: Page) -> None:
    await page.goto("/admin/settings")
    await look(page, "settings")
    await page.goto("/admin/settings/sign-up")
    await look(page, "settings-sign-up")
    await page.goto("/admin/settings/origins")
    await page.get_by_label("Allowed origins").fill("https://app.example.com/path")
    await page.get_by_role("button", name="Save").click()
    await page.locator("[aria-invalid]").wait_for()
    await look(page, "settings-origins-wrong")
    await page.goto("/admin/administrators")
    await look(page, "administrators")
    await page.goto("/admin/administrators/new")
    await look(page, "administrator-new")
    address = new_address()
    await new_user(accounts, address)
    await page.get_by_label("E-mail address of the user").fill(address)
    await follow(page, page.get_by_role("button", name="Continue"))
    await look(page, "administrator-grant")
    await page.get_by_role("button", name="Make them an administrator").click()
    await page.get_by_text("They are an administrator now.").wait_for()
    await look(page, "administrators-two")
    await page.goto("/admin/audit")
    await look(page, "audit")
    await page.goto("/admin/audit?action=nothing.ever")
    await look(page, "audit-none")
    await page.goto("/admin")
    await look(page, "overview-later")
