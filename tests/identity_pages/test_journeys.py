"""People going through the pages in a real browser."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.identity_pages.world import PASSWORD, World, new_address, sign_in, sign_out, sign_up

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


async def test_from_sign_up_to_ending_a_session_on_another_device(
    accounts_on_each_engine: World, browser: Browser
) -> None:
    world, address = accounts_on_each_engine, new_address()
    laptop, laptop_complaints = await world.context(browser)
    phone, phone_complaints = await world.context(
        browser,
        user_agent="Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36",
    )
    page, inbox, other = await laptop.new_page(), await laptop.new_page(), await phone.new_page()

    await page.goto("/")
    await page.get_by_role("link", name="Create one").click()
    await page.get_by_label("E-mail address").fill(address)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await inbox.goto("/dev/inbox")
    code = await inbox.locator("article", has_text=address).locator("code").first.inner_text()
    await page.get_by_label("Code").fill(code)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", name="No machine is linked yet")).to_be_visible()
    for command in ("doorward connect login", "doorward connect link", "doorward expose 8888"):
        await expect(page.get_by_text(command)).to_be_visible()

    await sign_in(other, address)
    await expect(other.get_by_role("heading", name="Machines")).to_be_visible()

    await page.get_by_role("link", name="Sessions").click()
    await expect(page.get_by_text("This session")).to_have_count(1)
    await expect(page.get_by_text("Chrome on Android", exact=True)).to_be_visible()
    await page.get_by_role("button", name="End the session of Chrome on Android").click()
    await expect(page.get_by_role("status").get_by_text("The session was ended.")).to_be_visible()
    await expect(page.get_by_text("Chrome on Android")).to_have_count(0)
    await other.goto("/account")
    await expect(other.get_by_role("heading", name="Sign in")).to_be_visible()

    await sign_out(page)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.goto("/machines")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await sign_in(page, address)
    await expect(page.get_by_role("heading", name="Machines")).to_be_visible()
    assert laptop_complaints.heard == phone_complaints.heard == []


async def test_the_keyboard_alone_is_enough(accounts: World, page: Page, person: str) -> None:
    async def press_until(name: str) -> None:
        """Tab on until the control of that name has the focus, as somebody without a mouse would."""
        for _ in range(30):
            await page.keyboard.press("Tab")
            if name == await page.evaluate(
                "(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"
            ):
                return
        raise AssertionError(f"the Tab key never reaches {name}")

    await press_until("Sign out")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/sign-in")
    await expect(page.get_by_label("E-mail address")).to_be_focused()
    await page.keyboard.type(person)
    await press_until("Password")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/machines")
    await press_until("Sessions")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/account/sessions")
    await expect(page.get_by_text("This session")).to_be_visible()


async def test_without_scripts_everything_but_the_list_works(accounts: World, browser: Browser) -> None:
    context, _ = await accounts.context(browser, java_script_enabled=False)
    page, address = await context.new_page(), new_address()
    await sign_up(page, accounts, address)
    # Switching scripts off under test leaves `noscript` unparsed, so its text is looked for and not its display.
    assert "doorward list shows the same" in await page.content()
    await page.get_by_role("link", name="Account", exact=True).click()
    await expect(page.get_by_text(address)).to_be_visible()
    await page.get_by_role("link", name="Sessions").click()
    await page.get_by_role("main").get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await context.close()


async def test_a_wrong_code_is_told_beside_the_field_and_a_new_one_can_be_asked_for(
    accounts: World, page: Page
) -> None:
    address = new_address()
    await page.goto("/sign-up")
    await page.get_by_label("E-mail address").fill(address)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    first = await accounts.newest_code(address)
    await page.get_by_label("Code").fill("000000" if first != "000000" else "111111")
    await page.get_by_role("button", name="Continue").click()
    field = page.get_by_label("Code")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description(
        "This is not the code of the newest e-mail. Check its six digits."
    )
    await expect(field).to_be_focused()
    await page.get_by_role("button", name="Send a new code").click()
    await expect(page.get_by_text("A new code was sent.")).to_be_visible()
    code = await accounts.newest_code(address)
    await page.get_by_label("Code").fill(f"{code[:3]} {code[3:]}")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", name="Machines")).to_be_visible()


async def test_what_is_wrong_with_a_sign_up_stands_beside_each_field_and_the_address_stays(
    page: Page,
) -> None:
    await page.goto("/sign-up")
    await page.evaluate("document.querySelector('form').noValidate = true")
    await page.get_by_label("E-mail address").fill("ada@")
    await page.get_by_label("Password", exact=True).fill("short")
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_label("E-mail address")).to_have_accessible_description(
        "This is not an e-mail address. It looks like ada@example.com."
    )
    await expect(page.get_by_label("Password", exact=True)).to_have_accessible_description(
        "Use at least 8 characters. A few words in a row are easy to remember. "
        "At least 8 characters; a few words in a row are best."
    )
    await expect(page.get_by_label("E-mail address")).to_have_value("ada@")
    await expect(page.get_by_label("Password", exact=True)).to_have_value("")


async def test_a_forgotten_password_is_replaced_and_ends_the_other_sessions(
    accounts: World, browser: Browser, page: Page, person: str
) -> None:
    other, _ = await accounts.context(browser)
    visitor = await other.new_page()
    await visitor.goto("/sign-in")
    await visitor.get_by_role("link", name="Forgot the password?").click()
    await visitor.get_by_label("E-mail address").fill(person)
    await visitor.get_by_role("button", name="Send a code").click()
    await visitor.get_by_label("Code").fill(await accounts.newest_code(person))
    await visitor.get_by_role("button", name="Continue").click()
    await visitor.get_by_label("New password", exact=True).fill("copper velvet window")
    await visitor.get_by_role("button", name="Save and sign in").click()
    await expect(visitor.get_by_role("heading", name="Machines")).to_be_visible()
    await page.goto("/account")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await sign_in(page, person)
    await expect(page.get_by_text("The e-mail address or the password is not right.")).to_be_visible()
    await other.close()


async def test_a_password_is_changed_only_with_the_current_one(page: Page, person: str) -> None:
    await page.get_by_role("link", name="Account", exact=True).click()
    for current, new, told in [
        ("not my password", "copper velvet window", "This is not your current password."),
        (PASSWORD, PASSWORD, "This is the password you already have. Choose another."),
    ]:
        await page.get_by_label("Current password", exact=True).fill(current)
        await page.get_by_label("New password", exact=True).fill(new)
        await page.get_by_role("button", name="Change password").click()
        await expect(page.get_by_text(told)).to_be_visible()
    await page.get_by_label("Current password", exact=True).fill(PASSWORD)
    await page.get_by_label("New password", exact=True).fill("copper velvet window")
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("The password was changed.")).to_be_visible()


async def test_all_other_sessions_end_at_once(
    accounts: World, browser: Browser, page: Page, person: str
) -> None:
    others = []
    for _ in range(2):
        context, _ = await accounts.context(browser)
        other = await context.new_page()
        await sign_in(other, person)
        await expect(other.get_by_role("heading", name="Machines")).to_be_visible()
        others.append(other)
    await page.goto("/account/sessions")
    await page.get_by_role("button", name="End all others").click()
    await expect(page.get_by_role("status").get_by_text("All other sessions were ended.")).to_be_visible()
    await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    for other in others:
        await other.goto("/machines")
        await expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
        await other.context.close()


async def test_a_page_that_needs_signing_in_is_come_back_to(page: Page, person: str) -> None:
    await sign_out(page)
    await page.goto("/account/sessions")
    await page.get_by_label("E-mail address").fill(person)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/account/sessions")


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
async def test_nobody_is_sent_to_another_site_after_signing_in(
    accounts: World, page: Page, person: str, target: str
) -> None:
    await sign_out(page)
    await page.goto(f"/sign-in?redirect_url={target}")
    await page.get_by_label("E-mail address").fill(person)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{accounts.origin}/machines")


async def test_the_back_button_does_not_show_a_person_who_left(page: Page, person: str) -> None:
    await page.goto("/account")
    await sign_out(page)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_text(person)).to_have_count(0)


async def test_somebody_signed_in_is_not_led_through_a_forgotten_password(page: Page, person: str) -> None:
    await page.goto("/sign-in/forgot")
    await page.wait_for_url("**/account")
