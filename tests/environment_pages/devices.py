"""Devices that knock, and pictures of what the owner sees."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Locator, Page

from doorward.environment.approvals.rules import Knock
from doorward.jose import PrivateKey, generate_key
from tests.environment_gate.machine import ACCOUNT, Machine
from tests.web.browser import accessibility_faults, horizontal_overflow

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"


async def knock(machine: Machine, label: str | None = "Chrome on Android", **details: object) -> PrivateKey:
    """A device asks to be let in; its key."""
    key = generate_key("ES256")
    described = {
        "device_type": "mobile",
        "os": "Android",
        "device_id": "7f1c2f0e-11aa-4c1b-9a70-0a9f9b8b8f00",
    } | details
    await machine.environment.approvals.decide(
        Knock(thumbprint=key.public.thumbprint, cloud_user_id=ACCOUNT, label=label, **described)  # type: ignore[arg-type]
    )
    return key


async def open_connections(page: Page, machine: Machine) -> None:
    """Open the owner's page with a one-time link."""
    await page.goto(await machine.environment.pairing.one_time_link())
    await page.locator('[data-connections][data-state="ready"]').wait_for()


def row_of(page: Page, key: PrivateKey | str) -> Locator:
    """What the page shows of one device, by its key: any text of one card, a word of its phrase too, may stand in another."""
    thumbprint = key if isinstance(key, str) else key.public.thumbprint
    return page.locator(f'[data-key="{thumbprint}"]')


async def picture(page: Page, name: str) -> None:
    """The page as it is now, wide and narrow, light and dark."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    size = page.viewport_size
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in (1280, 320):
            await page.set_viewport_size({"width": width, "height": 800})
            await page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
    await page.emulate_media(color_scheme="light")
    if size is not None:
        await page.set_viewport_size(size)


async def check(page: Page, name: str) -> None:
    """Pictures of this state, and what must hold in each."""
    await picture(page, name)
    assert await accessibility_faults(page) == []
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await horizontal_overflow(page) == []
    await page.set_viewport_size({"width": 1280, "height": 800})
