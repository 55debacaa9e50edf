"""Notifications in a real browser, without the vendor's push service, which cannot be had here."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from playwright.async_api import CDPSession, Page

from tests.push.services import Browser, Services

# The browser vendor's side, which is not to be had here: hands out the subscription the test made.
SUBSCRIBE = """
  PushManager.prototype.subscribe = async function ({ userVisibleOnly, applicationServerKey }) {
    if (!userVisibleOnly || !applicationServerKey) throw new DOMException("", "NotAllowedError");
    const key = Uint8Array.from(atob(applicationServerKey.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const json = JSON.parse(await window.vendorSubscribes());
    window.subscribed = {
      endpoint: json.endpoint,
      options: { applicationServerKey: key.buffer },
      toJSON: () => json,
      unsubscribe: async () => { window.subscribed = null; return true; },
    };
    return window.subscribed;
  };
  PushManager.prototype.getSubscription = async () => window.subscribed ?? null;
"""


async def vendor(page: Page, services: Services) -> Browser:
    browser = services.push.subscribe()
    await page.expose_function("vendorSubscribes", lambda: json.dumps(browser.subscription))
    return browser


class Worker:
    """The page's service worker, driven by the browser's own protocol."""

    def __init__(
        self, page: Page, session: CDPSession, registration: asyncio.Future[str], origin: str, path: str
    ) -> None:
        self._page = page
        self._session = session
        self._registration = registration
        self._origin = origin
        self._path = path

    @classmethod
    async def of(cls, page: Page, origin: str, path: str) -> Worker:
        """That of the page at `path`, once it is registered."""
        session = await page.context.new_cdp_session(page)
        registration: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def updated(event: dict[str, Any]) -> None:
            for found in event["registrations"]:
                if found["scopeURL"] == f"{origin}{path}/" and not registration.done():
                    registration.set_result(found["registrationId"])

        session.on("ServiceWorker.workerRegistrationUpdated", updated)
        await session.send("ServiceWorker.enable")
        return cls(page, session, registration, origin, path)

    async def deliver(self, data: str) -> None:
        async with asyncio.timeout(20):
            registration = await self._registration
        await self._session.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": self._origin, "registrationId": registration, "data": data},
        )

    async def shown(self, count: int = 1) -> list[dict[str, str]]:
        """What the browser shows, once that is `count` notifications."""
        async with asyncio.timeout(20):
            while len(found := await self._page.evaluate(_SHOWN, f"{self._path}/notifier.js")) != count:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.05)
        return found  # type: ignore[no-any-return]


_SHOWN = """async (script) => {
  const worker = await navigator.serviceWorker.getRegistration(script);
  const shown = await worker?.getNotifications() ?? [];
  return shown.map(({ title, body, tag }) => ({ title, body, tag }));
}"""
