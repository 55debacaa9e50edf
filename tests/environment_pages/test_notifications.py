"""Notifications of the Connections page: who can subscribe a browser, and the service worker in a real one.

A real push service cannot be had here. The browser's `subscribe` is answered by ours, which decrypts what the machine
sends; what it read is then delivered to the page's real service worker by the browser's own protocol.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, expect

from doorward.environment.access import MACHINE
from doorward.jose import b64url_decode
from doorward.store import system_clock
from tests.environment_gate.machine import Machine, running_machine
from tests.environment_pages.devices import check, knock, open_connections
from tests.environment_pages.test_machine_door import opened, page_of, url
from tests.push.services import Browser, Services, running_services
from tests.web.browser import Complaints
from tests.web.notifications import SUBSCRIBE, Worker, vendor

pytestmark = pytest.mark.anyio

ROUTE = "/connections/notifications"


@pytest.fixture
async def services(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Services]:
    async with running_services(tmp_path / "tls", system_clock) as running:
        yield running


@pytest.fixture
async def pushing(services: Services, tmp_path: Path) -> AsyncIterator[Machine]:
    """A machine that trusts the push service and may reach it on this computer."""
    async with running_machine(tmp_path / "home", system_clock, outbound=services.outbound) as running:
        yield running


async def post(machine: Machine, path: str, headers: dict[str, str], body: Any) -> httpx.Response:
    return await machine.client.post(url(machine, path), json=body, headers=headers)


async def test_a_page_with_a_session_subscribes_and_is_told(pushing: Machine, services: Services) -> None:
    headers = await opened(pushing)
    answer = await pushing.client.get(url(pushing, ROUTE), headers=headers)
    assert answer.headers["cache-control"] == "no-store"
    assert len(b64url_decode(answer.json()["applicationServerKey"])) == 65
    browser = services.push.subscribe()
    assert (await post(pushing, ROUTE, headers, browser.subscription)).json() == {"ok": True}
    await knock(pushing, "Chrome on Android")
    await services.push.server.wait_for(1)
    [(receiver, message)] = services.push.messages
    assert receiver is browser
    assert "Chrome on Android" in message["body"]
    ended = {"endpoint": browser.endpoint}
    assert (await post(pushing, f"{ROUTE}/end", headers, ended)).json() == {"ok": True}
    assert (await post(pushing, f"{ROUTE}/end", headers, ended)).json() == {"ok": False}


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "http://evil.test"},
        {"origin": "http://machine.localhost:1"},
        {"origin": None},
        {"host": "evil.test"},
        {"cookie": None},
        {"doorward-page": None},
        {"doorward-page": "x" * 43},
    ],
)
@pytest.mark.parametrize("path", [ROUTE, f"{ROUTE}/end"])
async def test_no_other_page_and_no_half_of_a_session_subscribes_anybody(
    pushing: Machine, services: Services, changes: dict[str, str | None], path: str
) -> None:
    headers = {name: value for name, value in {**await opened(pushing), **changes}.items() if value}
    answer = await post(pushing, path, headers, services.push.subscribe().subscription)
    assert answer.status_code in (401, 403)
    stored = await pushing.environment.database.read(
        lambda tx: tx.fetch_all("SELECT 1 FROM environment_push_subscriptions")
    )
    assert stored == []


async def test_without_a_session_not_even_the_key_is_told(pushing: Machine) -> None:
    answer = await pushing.client.get(url(pushing, ROUTE), headers=page_of(pushing))
    assert (answer.status_code, answer.json()["error"]) == (401, "sign_in_required")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"endpoint": "http://push.localhost/1", "keys": {"p256dh": "x", "auth": "y"}},
        {"endpoint": "https://push.localhost/1", "keys": {"p256dh": "AAAA", "auth": "AAAA"}},
    ],
)
async def test_what_is_no_subscription_is_refused(pushing: Machine, body: Any) -> None:
    answer = await post(pushing, ROUTE, await opened(pushing), body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_through_the_tunnel_only_an_administrator_device_subscribes(
    services: Services, tmp_path: Path
) -> None:
    async with running_machine(
        tmp_path / "home", system_clock, outbound=services.outbound, remote_admin=True
    ) as machine:
        host = machine.api_origin.partition("//")[2]
        key, issued = await machine.session()

        async def subscribe(token: str, browser: Browser) -> httpx.Response:
            proof = machine.proof(key, token, ROUTE, method="POST", origin=machine.api_origin)
            headers = {
                "authorization": f"DPoP {token}",
                "dpop": proof,
                "origin": machine.api_origin,
                "content-type": "application/json",
            }
            content = json.dumps(browser.subscription)
            return await machine.ask(ROUTE, method="POST", host=host, headers=headers, content=content)

        refused = await subscribe(issued.token, services.push.subscribe())
        assert (refused.status_code, refused.json()["error"]) == (403, "not_allowed")
        await machine.environment.approvals.approve(MACHINE, key.public.thumbprint, role="administrator")
        _, issued = await machine.session(key)
        await machine.environment.approvals.approve(MACHINE, key.public.thumbprint, role="administrator")
        browser = services.push.subscribe()
        assert (await subscribe(issued.token, browser)).json() == {"ok": True}
        await knock(machine)
        await services.push.server.wait_for(1)
        assert services.push.messages[0][0] is browser


async def test_the_worker_has_a_policy_and_a_scope_of_its_own(pushing: Machine) -> None:
    worker = await pushing.client.get(
        url(pushing, "/connections/notifier.js"), headers={"host": pushing.loopback}
    )
    assert worker.headers["content-type"] == "text/javascript; charset=utf-8"
    assert worker.headers["content-security-policy"] == "default-src 'none'"
    assert worker.headers["cache-control"] == "no-cache"
    assert "service-worker-allowed" not in worker.headers
    page = await pushing.client.get(url(pushing, "/connections"), headers={"host": pushing.loopback})
    policy = page.headers["content-security-policy"]
    assert "worker-src 'self'" in policy
    assert "trusted-types doorward-notifier" in policy


# --- in a real browser ------------------------------------------------------------------------------------------


@pytest.fixture
async def owner(push_browser: Chromium) -> AsyncIterator[Page]:
    """A fresh browser in which this computer's pages may notify."""
    context = await push_browser.new_context()
    await context.grant_permissions(["notifications"])
    complaints = Complaints(context)
    page = await context.new_page()
    await page.add_init_script(SUBSCRIBE)
    yield page
    await context.close()
    assert complaints.heard == []


@pytest.mark.browser
@pytest.mark.xdist_group("push browser")
async def test_a_browser_is_told_of_a_device_and_shows_it(
    pushing: Machine, services: Services, owner: Page
) -> None:
    receiver = await vendor(owner, services)
    await open_connections(owner, pushing)
    worker = await Worker.of(owner, f"http://{pushing.loopback}", "/connections")
    await check(owner, "notifications-off")
    await owner.get_by_role("button", name="Notify me on this browser").click()
    stop = owner.get_by_role("button", name="Stop notifying")
    await expect(stop).to_be_visible()
    await check(owner, "notifications-on")
    await knock(pushing, "Chrome on Android")
    await services.push.server.wait_for(1)
    [(told, message)] = services.push.messages
    assert told is receiver
    await worker.deliver(json.dumps(message))
    assert await worker.shown() == [{name: message[name] for name in ("title", "body", "tag")}]
    for garbage in ("", "no JSON"):  # whatever arrives, something of ours is shown, and once
        await worker.deliver(garbage)
    await owner.wait_for_function(
        "async () => (await (await navigator.serviceWorker.getRegistration('/connections/notifier.js'))"
        ".getNotifications()).some((one) => one.body.startsWith('Open the page'))"
    )
    assert len(await worker.shown(2)) == 2
    await stop.click()
    await expect(owner.get_by_role("button", name="Notify me on this browser")).to_be_visible()
    await knock(pushing, "Another")
    assert await owner.evaluate("navigator.serviceWorker.getRegistration('/connections/notifier.js')") is None
    assert len(services.push.messages) == 1


@pytest.mark.browser
@pytest.mark.xdist_group("push browser")
async def test_without_a_push_service_the_page_says_so_and_nothing_is_stored(
    pushing: Machine, push_browser: Chromium
) -> None:
    """This browser is really offline: its own `subscribe` fails."""
    context = await push_browser.new_context()
    await context.grant_permissions(["notifications"])
    page = await context.new_page()
    await open_connections(page, pushing)
    await page.get_by_role("button", name="Notify me on this browser").click()
    await expect(page.get_by_role("alert").filter(has_text="push service")).to_be_visible(timeout=30_000)
    await expect(page.get_by_role("button", name="Notify me on this browser")).to_be_visible()
    await context.close()


@pytest.mark.browser
@pytest.mark.xdist_group("push browser")
async def test_where_notifications_are_blocked_the_page_says_how_to_allow_them(
    pushing: Machine, push_browser: Chromium
) -> None:
    context = await push_browser.new_context()
    page = await context.new_page()
    await page.add_init_script("Object.defineProperty(Notification, 'permission', { get: () => 'denied' })")
    await open_connections(page, pushing)
    await expect(page.get_by_text("Notifications of this page are blocked")).to_be_visible()
    await context.close()
