"""Signing in a terminal that no browser can come back to: the page that shows a code to paste there."""

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from doorward.identity.oauth.clients import PASTE_PATH
from tests.identity_pages.test_applications import authorize_url
from tests.identity_pages.world import World, new_address, sign_up

pytestmark = [pytest.mark.browser, pytest.mark.anyio]

CODE, STATE = "c" * 43, "state-of-the-terminal"


def asked_by_a_terminal(accounts: World, verifier: str = "") -> str:
    return authorize_url(f"{accounts.origin}{PASTE_PATH}", verifier, state=STATE)


async def test_the_code_is_shown_after_consent_and_copied_by_a_button(
    accounts: World, page: Page, person: str
) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    verifier = "v" * 43
    for _ in range(2):  # the first consent is not remembered: anybody can send a person here
        await page.goto(asked_by_a_terminal(accounts, verifier))
        await expect(page.get_by_text("You get a code to paste into its terminal.")).to_be_visible()
        await expect(page.get_by_text("Did you start this yourself?")).to_be_visible()
        await page.get_by_role("button", name="Allow").click()
        await page.get_by_role("heading", name="Paste this code into your terminal").wait_for()
    shown = await page.locator(".copyable code").inner_text()
    code, _, state = shown.partition(".")
    assert state == STATE
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == shown

    async with httpx.AsyncClient(transport=httpx.ASGITransport(accounts.identity.app)) as client:
        form = {
            "grant_type": "authorization_code",
            "client_id": "doorward-cli",
            "code": code,
            "redirect_uri": f"{accounts.origin}{PASTE_PATH}",
            "code_verifier": verifier,
        }
        answers = [await client.post(f"{accounts.origin}/oauth/token", data=form) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]


async def test_denying_says_what_to_do_in_the_terminal(accounts: World, page: Page, person: str) -> None:
    await page.goto(asked_by_a_terminal(accounts))
    await page.get_by_role("button", name="Deny").click()
    await expect(page.get_by_text("Press Ctrl-C there")).to_be_visible()


async def test_the_whole_way_works_without_scripts(accounts: World, browser: Browser) -> None:
    context, _ = await accounts.context(browser, java_script_enabled=False)
    page = await context.new_page()
    await sign_up(page, accounts, new_address())
    await page.goto(asked_by_a_terminal(accounts))
    await page.get_by_role("button", name="Allow").click()
    await expect(page.locator(".copyable code")).to_contain_text(f".{STATE}")
    await expect(page.get_by_role("button", name="Copy")).to_be_hidden()
    await context.close()


async def test_the_page_is_kept_nowhere_framed_nowhere_and_loads_nothing_foreign(accounts: World) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(accounts.identity.app)) as client:
        answer = await client.get(f"{accounts.origin}{PASTE_PATH}", params={"code": CODE, "state": STATE})
    assert f"<code>{CODE}.{STATE}</code>" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self';" in policy
    assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"code": CODE},
        {"state": STATE},
        {"code": "call-0800-555-to-go-on please", "state": STATE},
        {"code": CODE, "state": "<script>alert(1)</script>"},
        {"code": "short", "state": STATE},
    ],
)
async def test_a_link_cannot_make_the_page_say_anything_but_a_code(accounts: World, query) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(accounts.identity.app)) as client:
        answer = await client.get(f"{accounts.origin}{PASTE_PATH}", params=query)
    assert answer.status_code == 404
    assert all(value not in answer.text for value in query.values())


async def test_the_words_of_an_error_come_from_us(accounts: World) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(accounts.identity.app)) as client:
        query = {"error": "access_denied", "error_description": "Call 0800 555"}
        answer = await client.get(f"{accounts.origin}{PASTE_PATH}", params=query)
    assert answer.status_code == 200
    assert "0800" not in answer.text
