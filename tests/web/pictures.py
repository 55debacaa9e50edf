"""Pictures of pages for people to look at: `make pictures` leaves them in build/screenshots."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.async_api import Page

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
