"""The machine on the real clock (browsers have no other), and a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from doorward.store import system_clock
from tests.environment_gate.machine import Machine, running_machine
from tests.web.browser import Complaints, chromium, chromium_program


@pytest.fixture(scope="session")
async def push_browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """The whole of Chromium: what `browser` is has no push messages. Its tests are one group, for it to start once."""
    async with chromium(program=chromium_program(whole=True)) as browser:
        yield browser


@pytest.fixture
async def machine(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Machine]:
    async with running_machine(tmp_path / "home", system_clock) as running:
        yield running


@pytest.fixture
async def administered_machine(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Machine]:
    """One whose owner turned remote administration on."""
    async with running_machine(tmp_path / "home", system_clock, remote_admin=True) as running:
        yield running


@pytest.fixture
async def owner(browser: Browser) -> AsyncIterator[Page]:
    """A fresh browser; a violation of the policy or an error of a script fails the test at its end."""
    context = await browser.new_context()
    complaints = Complaints(context)
    complaints.allowed = ("Failed to load resource",)  # an expected refusal is an error to the console
    yield await context.new_page()
    await context.close()
    assert complaints.heard == []
