"""Devices that knock, and what must hold of what their owner sees."""

from __future__ import annotations

from playwright.async_api import Locator, Page

from doorward.environment.approvals.rules import Knock
from doorward.jose import PrivateKey, generate_key
from tests.environment_gate.machine import ACCOUNT, Machine
from tests.web.browser import accessibility_faults, horizontal_overflow
from tests.web.pictures import picture


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


async def check(page: Page, name: str) -> None:
    """Pictures of this state, and what must hold in each."""
    await picture(page, name)
    assert await accessibility_faults(page) == []
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await horizontal_overflow(page) == []
    await page.set_viewport_size({"width": 1280, "height": 800})
