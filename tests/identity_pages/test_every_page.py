"""Every page and state: at 320 px and at 1280 px, light and dark, by keyboard and by name.

The console's are in tests/identity_console. `make pictures` leaves what was seen in build/screenshots.
"""

import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from doorward.identity.oauth.clients import PASTE_PATH
from tests.identity_pages.test_applications import ask_for_device, authorize_url
from tests.identity_pages.test_machines import ATTIC, CELLAR, WORKBENCH, RelayAnswers
from tests.identity_pages.world import PASSWORD, World, new_address, sign_in, sign_out, sign_up
from tests.web.browser import Complaints
from tests.web.pictures import look as look_at

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


async def look(page: Page, name: str) -> None:
    await look_at(page, f"identity/{name}")


@pytest.fixture
async def watched(accounts: World, browser: Browser) -> AsyncIterator[tuple[BrowserContext, Complaints]]:
    context, complaints = await accounts.context(browser)
    yield context, complaints
    await context.close()
    assert complaints.heard == []


async def test_pages_for_people_who_are_not_signed_in(
    accounts: World, watched: tuple[BrowserContext, Complaints]
) -> None:
    page = await watched[0].new_page()
    await page.goto("/dev/inbox")
    await look(page, "inbox-empty" if not accounts.inbox.messages else "inbox-first")
    await page.goto("/sign-up")
    await look(page, "sign-up")
    await page.evaluate("document.querySelector('form').noValidate = true")
    await page.get_by_label("E-mail address").fill("ada@")
    await page.get_by_label("Password", exact=True).fill("short")
    await page.get_by_role("button", name="Create account").click()
    await page.locator("[aria-invalid]").first.wait_for()
    await look(page, "sign-up-wrong")

    address = new_address()
    await page.goto("/sign-up")
    await page.get_by_label("E-mail address").fill(address)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await page.get_by_label("Code").wait_for()
    await look(page, "sign-up-verify")
    await page.get_by_label("Code").fill("000000")
    await page.get_by_role("button", name="Continue").click()
    await page.locator("[aria-invalid]").wait_for()
    await look(page, "sign-up-verify-wrong")

    known = new_address()
    await sign_up(page, accounts, known)
    await sign_out(page)
    await page.get_by_role("heading", name="Sign in").wait_for()
    await look(page, "sign-in")
    await sign_in(page, known, "not the password")
    await page.locator("[aria-invalid]").wait_for()
    await look(page, "sign-in-wrong")

    await page.goto("/sign-in/forgot")
    await look(page, "forgot")
    await page.get_by_label("E-mail address").fill(known)
    await page.get_by_role("button", name="Send a code").click()
    await page.get_by_label("Code").wait_for()
    await look(page, "reset-code")
    await page.get_by_label("Code").fill(await accounts.newest_code(known))
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_label("New password", exact=True).wait_for()
    await look(page, "new-password")
    await page.goto("/dev/inbox")
    await look(page, "inbox")
    await page.goto("/nowhere")
    await look(page, "error-404")


async def test_pages_for_people_who_are_signed_in(
    accounts: World, browser: Browser, watched: tuple[BrowserContext, Complaints]
) -> None:
    context, _ = watched
    page, address = await context.new_page(), new_address()
    await sign_up(page, accounts, address)
    await page.get_by_role("heading", name="No machine is linked yet").wait_for()
    await look(page, "machines-empty")
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [WORKBENCH, ATTIC, CELLAR]
        await page.reload()
        await page.get_by_role("heading", name="workbench").wait_for()
        await page.locator("details").first.evaluate("(details) => { details.open = true; }")
        await look(page, "machines")
        relay.status = None
        await page.reload()
        await page.get_by_text("The relay does not answer").wait_for()
        await look(page, "machines-problem")

    await page.goto("/account")
    await look(page, "account")
    await page.get_by_label("Current password", exact=True).fill("not the password")
    await page.get_by_label("New password", exact=True).fill("copper velvet window")
    await page.get_by_role("button", name="Change password").click()
    await page.locator("[aria-invalid]").wait_for()
    await expect(page.locator(".navigation [aria-current=page]")).to_have_text(["Account"])
    await look(page, "account-wrong")

    elsewhere, _ = await accounts.context(
        browser,
        user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1",
    )
    await sign_in(await elsewhere.new_page(), address)
    await page.goto("/account/sessions")
    await look(page, "sessions")
    await elsewhere.close()

    origin = f"http://workbench-0abc.{accounts.gate_zone}"
    await page.goto(
        authorize_url(
            f"{origin}/gate/callback",
            client_id="doorward-gate",
            resource=origin,
            scope="openid profile email",
        )
    )
    await look(page, "consent-machine")
    await page.goto(authorize_url("http://127.0.0.1:34338/callback"))
    await look(page, "consent-program")
    await page.goto(authorize_url(f"{accounts.origin}{PASTE_PATH}"))
    await look(page, "consent-terminal")
    await page.get_by_role("button", name="Allow").click()
    await page.get_by_role("heading", name="Paste this code into your terminal").wait_for()
    await look(page, "paste")
    await page.goto(f"{PASTE_PATH}?error=access_denied")
    await look(page, "paste-denied")
    await page.goto("/sign-in/confirm?redirect_url=/account")
    await look(page, "confirm")
    await page.goto(authorize_url("http://127.0.0.1:34338/callback", client_id="nobody"))
    await look(page, "error-application")

    await page.goto("/device")
    await look(page, "device")
    asked = await ask_for_device(accounts)
    await page.goto(asked["verification_uri_complete"])
    await look(page, "device-request")
    await page.get_by_role("button", name="Approve").click()
    await page.get_by_role("heading", name="The machine is signed in").wait_for()
    await look(page, "device-done")


async def test_pages_ask_for_nothing_but_their_own_files(accounts: World, page: Page) -> None:
    """Fonts, scripts and pictures of other hosts would tell those hosts who signs in where."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto("/sign-in")
    await page.wait_for_load_state("networkidle")
    assert asked
    assert [url for url in asked if not url.startswith(f"{accounts.origin}/")] == []


async def test_each_file_is_the_one_its_name_promises(accounts: World) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(accounts.identity.app)) as client:
        sign_in_page = await client.get(f"{accounts.origin}/sign-in")
        assert sign_in_page.headers["cache-control"] == "no-store"
        (path,) = {
            part.split('"')[0] for part in sign_in_page.text.split('href="') if ".css" in part.split('"')[0]
        }
        style = await client.get(f"{accounts.origin}{path}")
    assert hashlib.sha256(style.content).hexdigest()[:16] in path
