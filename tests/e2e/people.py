"""What a person does in a browser, in the words of the pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, expect

PASSWORD = "lintel-harbour-quiet-42"
EMAIL = "ada@example.com"


@asynccontextmanager
async def person(browser: Browser, *, ignore_https_errors: bool = False) -> AsyncIterator[Page]:
    """A browser profile of its own."""
    context = await browser.new_context(ignore_https_errors=ignore_https_errors)
    # Shown by pytest when the test fails.
    context.on(
        "response",
        lambda seen: print(seen.status, seen.request.method, seen.url) if seen.status >= 400 else None,
    )
    context.on("console", lambda message: print(message.type, message.text))
    context.on("weberror", lambda error: print("uncaught", error.error))
    try:
        yield await context.new_page()
    finally:
        await context.close()


async def sign_up(page: Page, link: str) -> None:
    """Fill in the form; the code page is next."""
    await page.goto(link)
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.locator("main form button[type=submit]").first.click()
    await expect(page.get_by_label("Code")).to_be_visible()


async def enter_code(page: Page, code: str) -> None:
    await page.get_by_label("Code").fill(code)
    await page.locator("main form button[type=submit]").first.click()
    await page.wait_for_url(re.compile(r"/machines"))


async def sign_in(page: Page) -> None:
    """On the sign-in page the browser was sent to."""
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.locator("main form button[type=submit]").first.click()


async def phrase_on(page: Page, selector: str) -> str:
    """The six words shown inside the element, as one string."""
    shown = page.locator(selector)
    await expect(shown).to_be_visible()
    words = re.findall(r"[a-z]+", (await shown.inner_text()).lower())
    assert len(words) == 6, words
    return " ".join(words)
