"""A real Chromium, and what every page has to hold in it."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    async_playwright,
    expect,
)

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


def chromium_program(*, whole: bool = False) -> str:
    """Skips the test (fails it in CI) where there is none.

    Unless the `whole` browser is asked for, it is the engine without the windows around it, which opens a page at a fifth
    of the cost. Playwright chooses it too. It has all that a page meets but push messages.
    """
    names = ["chromium"] if whole else ["chromium-headless-shell", "chromium"]
    path = next(filter(None, map(shutil.which, names)), None)
    require_system_part("Chromium", None if path else f"no {' or '.join(names)} on the PATH")
    assert path is not None
    return path


@asynccontextmanager
async def chromium(*arguments: str, program: str | None = None) -> AsyncIterator[Browser]:
    """`program` is what starts it in place of `chromium_program`."""
    path = program or chromium_program()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
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
  const focusable = "a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex='-1'])";
  for (const node of document.querySelectorAll(`[aria-hidden=true] :is(${focusable}), :is(a[href], button) :is(${focusable})`)) {
    if (visible(node)) found.push(`cannot be reached rightly: ${node.outerHTML.slice(0, 120)}`);
  }
  for (const node of document.querySelectorAll("[tabindex]")) if (node.tabIndex > 0) found.push(`changes the order of focus: ${node.outerHTML.slice(0, 120)}`);
  for (const node of document.querySelectorAll("dialog, nav, [role=group], [role=region]")) {
    const named = node.ariaLabel || (node.getAttribute("aria-labelledby") ?? "").split(" ").some((id) => id && document.getElementById(id));
    if (!named) found.push(`has no name: ${node.outerHTML.slice(0, 120)}`);
  }
  for (const list of document.querySelectorAll("ul, ol")) {
    if ([...list.children].some((child) => child.tagName !== "LI")) found.push(`a list of other things: ${list.outerHTML.slice(0, 120)}`);
  }
  for (const image of document.querySelectorAll("img:not([alt]), svg:not([aria-hidden]):not([role])")) found.push(`image without words: ${image.outerHTML.slice(0, 120)}`);
  if (!document.documentElement.lang) found.push("no language");
  if (!document.title.trim() || document.title.trim().startsWith("·")) found.push("no title");
  return found;
}"""


# Text that is too faint for WCAG 2.2's 4.5:1 (3:1 for large text), measured as it is painted: a pair of colours that no
# one thought of when the tokens were chosen. Disabled controls are exempt there and here.
_FAINT_TEXT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, below) => below.map((part, at) => (at === 3 ? 255 : (top[at] * top[3] + part * (255 - top[3])) / 255));
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const layer = rgba(getComputedStyle(at).backgroundColor);
      if (layer[3]) layers.push(layer);
      if (layer[3] === 255) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 255]);
  };
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest(".unseen, script, :disabled, [aria-disabled=true]")) continue;
    const style = getComputedStyle(node);
    const ground = behind(node);
    const [light, dark] = [luminance(over(rgba(style.color), ground)), luminance(ground)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < (isLarge ? 3 : 4.5)) found.add(`faint (${ratio.toFixed(2)}): ${node.outerHTML.slice(0, 120)}`);
  }
  return [...found];
}"""


async def accessibility_faults(page: Page) -> list[str]:
    """What a person using the keyboard, a screen reader or weak eyes would stumble over; the page in light and in dark."""
    faults: list[str] = await page.evaluate(_ACCESSIBILITY)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        faults += [f"{scheme}: {fault}" for fault in await page.evaluate(_FAINT_TEXT)]
    await page.emulate_media(color_scheme="light")
    return faults


async def follow(page: Page, leading: Locator) -> None:
    """Click what leads to another page, and be there: a click alone returns while the old one may still be seen."""
    async with page.expect_navigation():
        await leading.click()


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


async def focused_without_ring(page: Page, stops: int = 40, *, skips_navigation: bool = False) -> list[str]:
    """Walk the page with the Tab key; name the elements that take the focus and do not show it."""
    faults: list[str] = []
    await page.evaluate("document.activeElement?.blur()")
    if skips_navigation:
        await page.evaluate("document.querySelector('main').focus()")
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
