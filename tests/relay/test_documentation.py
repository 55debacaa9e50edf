"""The relay's one page, in a real browser."""

import pytest
from playwright.async_api import Browser

from tests.relay import raw
from tests.relay.world import World
from tests.web.browser import Complaints, served
from tests.web.pictures import look

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


async def test_the_page_shows_every_route_and_is_held_to_what_pages_owe(
    wire: World, browser: Browser
) -> None:
    async with served(wire.relay.app) as port:
        context = await browser.new_context()
        complaints = Complaints(context)
        shown = await context.new_page()
        await shown.goto(f"http://relay.localhost:{port}/")
        assert shown.url.endswith("/docs")
        await look(shown, "relay/documentation")
        entries = await shown.locator("li").all_inner_texts()
        assert any(
            entry.startswith("POST /v1/environments/{environmentId}/connect") and "DPoP" in entry
            for entry in entries
        )
        assert any("dpop-token" in entry and "DPoP proof, and a session" in entry for entry in entries)
        await context.close()
    assert complaints.heard == []


async def test_nothing_foreign_runs_in_it_and_nothing_frames_it(wire: World) -> None:
    answer = await raw.send(wire, "GET", "/docs")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
