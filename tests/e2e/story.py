"""The browser story of first light, step by step, for whatever browsers and installation a test has."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.e2e.installations import Installation
from tests.e2e.people import enter_code, phrase_on, sign_in, sign_up

WAITING = '[data-screen="waiting"]'
PHRASE = f"{WAITING} [data-phrase] .key-phrase"
PENDING = '[data-part="pending"]'

#: Seconds within which a revocation has cut what is open, on a machine with much else to do. What it takes on one without
#: is measured by the faults.
CUT = 10


async def knock_be_let_in_and_shown_out(owner: Page, device: Page, installation: Installation) -> None:
    """Sign-up, link, wait, approve, tick, revoke, reject. `owner` is a browser on the exposed machine."""
    # The first administrator signs up with the one-time link.
    await sign_up(owner, installation.administrator)
    await enter_code(owner, installation.mailed_code())

    # The machine is linked: by itself in `up`, by the device grant elsewhere.
    if user_code := installation.link_machine():
        await allow_device_code(owner, installation, user_code)
    service, connections = installation.expose()
    await owner.goto(connections)
    await expect(owner.get_by_role("heading", name="Connections")).to_be_visible()
    await expect(owner.locator('[data-part="services"]')).to_contain_text("demo")

    # Another browser opens the service and has to wait.
    await service_is_linked(device, service)
    await sign_in(device)
    await device.locator("button", has_text=re.compile("Allow|Continue")).first.click()
    phrase = await phrase_on(device, PHRASE)
    assert device.url.startswith(service) is False

    # The owner sees the same six words at once, without reloading, and approves.
    assert await phrase_on(owner, f"{PENDING} .key-phrase") == phrase
    await owner.locator(PENDING).get_by_role("button", name=re.compile("^Approve")).first.click()

    # The waiting browser goes on by itself, to the service and its ticking clock.
    await device.wait_for_url(service)
    await ticking(device)
    await uploads(device)

    # Reloading needs no new approval: the service has its own cookie.
    await device.reload()
    await ticking(device)
    names = {cookie["name"] for cookie in await device.context.cookies(service)}
    assert "__Host-doorward" in names

    # Revoked: the open stream ends at once, and the next request is refused.
    await owner.locator('[data-part="devices"]').get_by_role("button", name=re.compile("^Revoke")).click()
    await owner.locator("dialog [data-dialog-yes]").click()
    await expect(device.locator("#clock-state")).to_contain_text("closed", timeout=CUT * 1_000)
    assert await device.evaluate("fetch('/visitor').then((answer) => answer.status)") == 401

    # Coming back makes it a new request; rejecting it is told.
    await device.goto(service)
    assert await phrase_on(device, PHRASE) == phrase
    await owner.locator(PENDING).get_by_role("button", name=re.compile("^Reject")).click()
    await expect(device.locator('[data-screen="rejected"]')).to_be_visible()


async def allow_device_code(owner: Page, installation: Installation, user_code: str) -> None:
    await owner.goto(f"{installation.accounts}/device?user_code={user_code}")
    await owner.get_by_role("button", name="Approve").click()
    await expect(owner.get_by_role("heading", name="The machine is signed in")).to_be_visible()


async def service_is_linked(page: Page, service: str) -> None:
    """Open the service as soon as its name leads to the machine."""
    for _ in range(40):
        answer = await page.goto(service)
        if answer is not None and answer.status < 400:
            return
        await page.wait_for_timeout(500)
    pytest.fail(f"{service} never led anywhere")


async def ticking(page: Page) -> None:
    """Two different times were shown."""
    clock = page.locator("#clock")
    await expect(clock).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    shown = await clock.inner_text()
    await expect(clock).not_to_have_text(shown)


async def uploads(page: Page) -> None:
    """A megabyte goes up and comes back counted."""
    await page.locator("#file").set_input_files(
        {"name": "a.bin", "mimeType": "application/octet-stream", "buffer": b"\1" * 1_000_000}
    )
    await page.get_by_role("button", name="Upload").click()
    await expect(page.locator("#upload-state")).to_contain_text("received 1,000,000 bytes")
