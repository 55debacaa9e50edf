"""From sign-up to the WebSocket clock ticking through the tunnel: approve, reject, revoke, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page, expect

from doorward.outbound import Outbound
from tests.e2e.installations import Installation, connections_link, each_once
from tests.e2e.people import enter_code, person, phrase_on, sign_in, sign_up
from tests.e2e.story import (
    PHRASE,
    WAITING,
    allow_device_code,
    knock_be_let_in_and_shown_out,
    service_is_linked,
)

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_a_second_browser_gets_in_only_after_the_owner_approved_its_key(
    installation: Installation, browser: Browser
):
    async with person(browser) as owner, person(browser) as device:
        await knock_be_let_in_and_shown_out(owner, device, installation)
    installation.stop()


@each_once
async def test_a_signed_in_account_alone_can_approve_nothing(installation: Installation, browser: Browser):
    """Whatever page or door it tries, with every credential a signed-in person has."""
    async with person(browser) as owner, person(browser) as device:
        await sign_up(owner, installation.administrator)
        await enter_code(owner, installation.mailed_code())
        if user_code := installation.link_machine():
            await allow_device_code(owner, installation, user_code)
        service, _ = installation.expose()
        await service_is_linked(device, service)
        await sign_in(device)
        await device.locator("button", has_text=re.compile("Allow|Continue")).first.click()
        await phrase_on(device, PHRASE)
        api_host = re.match(r"https?://[^/]+", device.url).group(0)
        attempts = [
            ("POST", f"{api_host}/api/auth/connect-clients/approve"),
            ("POST", f"{api_host}/api/auth/connect-security-mode"),
            ("GET", f"{api_host}/api/auth/connect-clients"),
            ("POST", f"{api_host}/connections/approve"),
            ("POST", f"{api_host}/api/connect/unlink"),
            ("POST", f"{service.rstrip('/')}/api/auth/connect-clients/approve"),
            ("POST", f"{installation.relay}/v1/environments/any/approve"),
            ("POST", f"{installation.accounts}/connections/approve"),
        ]
        token = await session_token(owner, installation)
        outbound = Outbound()
        for page in (owner, device):
            for method, url in attempts:
                cookies = "; ".join(f"{c['name']}={c['value']}" for c in await page.context.cookies(url))
                answer = await outbound.request(
                    method,
                    url,
                    headers={
                        "authorization": f"Bearer {token}",
                        "content-type": "application/json",
                        "cookie": cookies,
                        "origin": re.match(r"https?://[^/]+", url).group(0),
                    },
                    body=b'{"clientProofKeyThumbprint":"x","mode":"account"}' if method == "POST" else None,
                )
                assert answer.status in (401, 403, 404, 405), (method, url, answer.status, answer.body)
        await outbound.close()

        # The machine's own page answers no one without its one-time link, not even on the machine.
        page_link = connections_link(installation)
        await owner.goto(page_link.partition("/connections")[0] + "/connections")
        await expect(owner.locator('[data-screen="no-session"]')).to_be_visible()
        await expect(device.locator(WAITING)).to_be_visible()
    installation.stop()


async def session_token(page: Page, installation: Installation) -> str:
    """The `t3-relay` token of the session in this browser."""
    await page.goto(f"{installation.accounts}/machines")
    return await page.evaluate(
        """async () => {
          const { response } = await (await fetch("/v1/client")).json();
          const session = response.sessions[0].id;
          const answer = await fetch(`/v1/client/sessions/${session}/tokens/t3-relay`, { method: "POST" });
          return (await answer.json()).jwt;
        }"""
    )
