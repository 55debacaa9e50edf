"""Pictures of pages for people to look at: `make pictures` leaves them in build/screenshots."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.async_api import Page

from tests.web.browser import accessibility_faults, focused_without_ring, horizontal_overflow

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
SIZES = ((1280, 800), (320, 640))


async def picture(page: Page, name: str) -> None:
    """The page as it is now, wide and narrow, light and dark. Only where somebody asked for pictures: they take long."""
    if not os.environ.get("DOORWARD_PICTURES"):
        return
    path = SCREENSHOTS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    size = page.viewport_size
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            await page.screenshot(path=path.with_name(f"{path.name}-{width}-{scheme}.png"), full_page=True)
    await page.emulate_media(color_scheme="light")
    if size is not None:
        await page.set_viewport_size(size)


async def look(page: Page, name: str, *, skips_navigation: bool = False) -> None:
    """Hold the page, as it stands, to what every page owes its readers, wide and narrow. With `skips_navigation` the Tab key
    walks its content alone, and once: what many pages share is walked on one of them."""
    await picture(page, name)
    await page.emulate_media(reduced_motion="reduce")
    for size in SIZES:
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        assert await horizontal_overflow(page) == [], name
        assert await accessibility_faults(page) == [], name
        if not skips_navigation or size == SIZES[-1]:
            assert await focused_without_ring(page, skips_navigation=skips_navigation) == [], name
