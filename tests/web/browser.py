"""A real Chromium, and what every page has to hold in it."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from tests.system_parts import require_system_part

ARGUMENTS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: Milliseconds. How long an expectation waits: what has to happen happens, but on a machine with much else to do.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    require_system_part("Chromium", None if path else "no chromium on the PATH")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def served(app: Any, listener: socket.socket | None = None) -> AsyncIterator[int]:
    """`app` on a free loopback port, or on `listener`; gives the port."""
    listener = listener or free_listener()
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1, http="httptools")
    )
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if running.done():
            await running
        await asyncio.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running
        listener.close()


def free_listener() -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    return listener


class Complaints:
    """What the browser complained of: violations of the policy, errors of scripts, static files that are missing.

    Chromium also notes every answer of 400 and above, which is what a form with a mistake is answered with.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.heard: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.heard.append(f"uncaught: {error.error}"))

    def _console(self, message: ConsoleMessage) -> None:
        url = str(message.location.get("url", ""))
        is_answer = message.text.startswith("Failed to load resource") and "/assets/" not in url
        if message.type in ("error", "warning") and not is_answer:
            self.heard.append(f"{message.type}: {message.text} {url}")


# What a person using the keyboard or a screen reader meets: a field without a name, a button without a word,
# two elements of one id, a reference to nothing, a page with no or several main landmarks or first headings.
_ACCESSIBILITY = """() => {
  const found = [];
  const visible = (node) => node.checkVisibility();
  const words = (node) => (node.getAttribute("aria-label") || node.textContent || "").trim();
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!field.ariaLabel && (!field.labels.length || !words(field.labels[0]))) found.push(`field ${field.name} has no label`);
  }
  for (const control of document.querySelectorAll("a[href], button")) {
    if (visible(control) && !words(control)) found.push(`no words: ${control.outerHTML}`);
  }
  for (const node of document.querySelectorAll("[id]")) {
    if (document.querySelectorAll(`#${CSS.escape(node.id)}`).length > 1) found.push(`id twice: ${node.id}`);
  }
  for (const name of ["aria-describedby", "aria-labelledby", "aria-controls"]) {
    for (const node of document.querySelectorAll(`[${name}]`)) {
      for (const id of node.getAttribute(name).split(" ")) if (!document.getElementById(id)) found.push(`${name} names nothing: ${id}`);
    }
  }
  if (document.querySelectorAll("main").length !== 1) found.push("not exactly one main landmark");
  const headings = [...document.querySelectorAll("h1, h2, h3, h4")].filter(visible).map((h) => Number(h.tagName[1]));
  if (headings.filter((level) => level === 1).length !== 1) found.push(`not exactly one h1: ${headings}`);
  headings.forEach((level, at) => { if (at && level > headings[at - 1] + 1) found.push(`heading level skipped: ${headings}`); });
  if (!document.documentElement.lang) found.push("no language");
  if (!document.title.trim() || document.title.trim().startsWith("·")) found.push("no title");
  return found;
}"""


async def accessibility_faults(page: Page) -> list[str]:
    faults: list[str] = await page.evaluate(_ACCESSIBILITY)
    return faults


async def horizontal_overflow(page: Page) -> list[str]:
    """Elements that stick out of the window to the right, when the page can be scrolled sideways at all."""
    return await page.evaluate(
        """() => {
          const root = document.scrollingElement;
          if (root.scrollWidth <= root.clientWidth) return [];
          return [...document.querySelectorAll("body *")]
            .filter((node) => node.getBoundingClientRect().right > root.clientWidth + 0.5)
            .map((node) => node.outerHTML.slice(0, 120));
        }"""
    )


async def focused_without_ring(page: Page, stops: int = 40) -> list[str]:
    """Walk the page with the Tab key; name the elements that take the focus and do not show it."""
    faults: list[str] = []
    await page.evaluate("document.activeElement?.blur()")
    for _ in range(stops):
        await page.keyboard.press("Tab")
        seen = await page.evaluate(
            """() => {
              const node = document.activeElement;
              if (!node || node === document.body) return null;
              const style = getComputedStyle(node);
              const box = node.getBoundingClientRect();
              const shown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
                && box.width > 1 && box.bottom > 0 && box.top < innerHeight;
              return { shown, name: node.outerHTML.slice(0, 120) };
            }"""
        )
        if seen is None:
            break
        if not seen["shown"]:
            faults.append(seen["name"])
    return faults
