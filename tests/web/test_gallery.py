"""The components in a real browser."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.web.browser import (
    Complaints,
    accessibility_faults,
    focused_without_ring,
    horizontal_overflow,
    served,
)
from tests.web.gallery import PHRASE, gallery

pytestmark = [pytest.mark.browser, pytest.mark.anyio]

LONGEST_WORDS = "mushroom mushroom mushroom mushroom mushroom mushroom"


@pytest.fixture(scope="module")
async def pages(browser: Browser) -> AsyncIterator[Page]:
    async with served(gallery()) as port:
        context = await browser.new_context(
            base_url=f"http://accounts.localhost:{port}",
            viewport={"width": 320, "height": 640},
            reduced_motion="reduce",
        )
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = await context.new_page()
        complaints = Complaints(context)
        yield page
        await context.close()
        assert complaints.heard == []


@pytest.mark.parametrize("path", ["/", "/narrow"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_components_fit_are_named_and_show_the_focus(pages: Page, path: str, width: int) -> None:
    await pages.set_viewport_size({"width": width, "height": 720})
    await pages.goto(path)
    assert await horizontal_overflow(pages) == []
    assert await accessibility_faults(pages) == []
    assert await focused_without_ring(pages) == []


async def test_the_first_stop_of_the_tab_key_leads_past_the_navigation(pages: Page) -> None:
    await pages.goto("/narrow")
    await pages.keyboard.press("Tab")
    assert await pages.evaluate("document.activeElement.textContent") == "Skip to the content"
    await pages.keyboard.press("Enter")
    await expect(pages.locator("main")).to_be_focused()


async def test_the_key_phrase_of_scripts_is_the_one_of_templates(pages: Page) -> None:
    await pages.goto("/narrow")
    drawn = await pages.evaluate(
        """async (phrase) => {
          const { keyPhrase } = await import("doorward/doorward.js");
          const made = keyPhrase(phrase);
          document.querySelector("main").append(made);
          const [first, second] = document.querySelectorAll(".key-phrase");
          const plain = (node) => [node.ariaLabel, node.translate, ...[...node.children].map((word) => word.textContent)];
          return [plain(first), plain(second)];
        }""",
        PHRASE,
    )
    assert drawn[0] == drawn[1] == ["Key phrase", False, *PHRASE.split()]


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
async def test_the_longest_words_of_a_key_phrase_are_shown_whole_on_one_line(pages: Page, width: int) -> None:
    await pages.set_viewport_size({"width": width, "height": 720})
    await pages.goto("/narrow")
    await pages.evaluate(
        "(words) => document.querySelectorAll('.key-phrase li').forEach((li, at) => { li.textContent = words[at]; })",
        LONGEST_WORDS.split(),
    )
    cut = await pages.evaluate(
        """() => [...document.querySelectorAll(".key-phrase li")].filter((li) => {
          const range = document.createRange();
          range.selectNodeContents(li);
          const style = getComputedStyle(li);
          return range.getClientRects().length > 1
            || range.getBoundingClientRect().right > li.getBoundingClientRect().right - 4
            || parseFloat(style.fontSize) < 18;
        }).length"""
    )
    assert cut == 0
    rows = await pages.evaluate(
        "new Set([...document.querySelectorAll('.key-phrase li')].map((li) => li.offsetTop)).size"
    )
    assert rows == 6 if width < 400 else rows in (2, 3)


async def test_a_form_on_its_way_keeps_its_buttons_words_and_is_sent_once(pages: Page) -> None:
    await pages.goto("/")
    sent = await pages.evaluate(
        """() => {
          let sent = 0;
          addEventListener("submit", (event) => { if (!event.defaultPrevented) sent += 1; event.preventDefault(); });
          const button = [...document.querySelectorAll("button")].find((b) => b.textContent === "Primary");
          button.click();
          const during = [button.textContent, button.getAttribute("aria-disabled")];
          button.click();
          return [sent, ...during];
        }"""
    )
    assert sent == [1, "Working…", "true"]


async def test_a_password_can_be_shown_and_hidden_again(pages: Page) -> None:
    await pages.goto("/")
    reveal = pages.get_by_role("button", name="Show password")
    await reveal.click()
    await expect(pages.locator("#password")).to_have_attribute("type", "text")
    await expect(reveal).to_have_attribute("aria-pressed", "true")
    await reveal.click()
    await expect(pages.locator("#password")).to_have_attribute("type", "password")


async def test_a_code_is_copied(pages: Page) -> None:
    await pages.goto("/")
    await pages.get_by_role("button", name="Copy the code").click()
    await pages.get_by_role("button", name="Copied the code").wait_for()
    assert await pages.evaluate("navigator.clipboard.readText()") == "424242"


async def test_nothing_moves_for_those_who_asked_for_that(pages: Page) -> None:
    await pages.goto("/")
    moving = await pages.evaluate("document.getAnimations().length")
    assert moving == 0


async def test_without_scripts_no_control_is_shown_that_would_do_nothing(browser: Browser) -> None:
    async with served(gallery()) as port:
        page = await browser.new_page(java_script_enabled=False)
        await page.goto(f"http://accounts.localhost:{port}/")
        assert await page.get_by_role("button", name="Copy").count() == 0
        assert await page.get_by_role("button", name="Show").count() == 0
        await page.close()
