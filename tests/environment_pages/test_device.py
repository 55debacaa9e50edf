"""A device's way in, in a real browser against the whole stack: sign in, wait, be let in, be turned away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from doorward.environment.access import MACHINE
from doorward.environment.approvals.rules import Client
from doorward.jose import key_phrase
from tests.e2e.storm import until
from tests.environment_pages.devices import check, row_of
from tests.environment_pages.stack import ADDRESS, Stack, allow, running_stack, sign_in, sign_up
from tests.identity_pages.world import PASSWORD
from tests.web.browser import PATIENCE, Complaints

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


@pytest.fixture(scope="module")
async def stack(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> AsyncIterator[Stack]:
    """One machine, linked to the account of `ADDRESS`."""
    folder: Path = tmp_path_factory.mktemp("s")
    async with running_stack(folder, remote_admin=True) as stack:
        context = await browser.new_context()
        await sign_up(await context.new_page(), stack)
        await context.close()
        yield stack


@pytest.fixture
async def device(browser: Browser) -> AsyncIterator[Page]:
    """Another browser profile; a violation of the policy or an error of a script fails the test at its end."""
    context = await browser.new_context()
    complaints = Complaints(context)
    complaints.allowed = ("Failed to load resource",)
    page = await context.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    await context.close()
    assert complaints.heard == []


async def at(page: Page, state: str) -> None:
    await page.locator(f'[data-gate][data-state="{state}"]').wait_for()


async def waiting(page: Page, stack: Stack, path: str = "") -> Client:
    """Open the service, sign in, and wait for approval; what the owner sees of it."""
    await page.goto(stack.service + path)
    await sign_in(page)
    await at(page, "waiting")
    clients = await stack.environment.approvals.list(MACHINE)
    return max(
        (client for client in clients if client.status == "pending"), key=lambda client: client.requested_at
    )


async def page_reached(page: Page) -> dict[str, object]:
    reached: dict[str, object] = json.loads(await page.locator("body").inner_text())
    return reached


async def let_in(page: Page, stack: Stack, path: str = "") -> Client:
    client = await waiting(page, stack, path)
    await stack.environment.approvals.approve(MACHINE, client.thumbprint)
    await page.wait_for_url(stack.service + path)
    return client


async def test_a_device_waits_with_its_phrase_and_goes_on_by_itself(stack: Stack, device: Page) -> None:
    client = await waiting(device, stack, "deep/page?x=1&y=%2F#part")
    shown = device.locator('[data-screen="waiting"]')
    words = await shown.locator(".key-phrase li").all_inner_texts()
    assert " ".join(words) == key_phrase(client.thumbprint)
    # Noted when the page asks whether it was let in, which is a moment after it says that it waits.
    approvals = stack.environment.approvals
    heard = await until(
        "the address is noted", lambda: approvals.addresses(MACHINE), lambda found: client.thumbprint in found
    )
    assert heard[client.thumbprint] == "127.0.0.1"
    for text in ("Study desk", ADDRESS, "Chrome on Linux"):
        await expect(shown).to_contain_text(text)
    assert client.label == "Chrome on Linux"
    assert (client.device_type, client.os) == ("desktop", "Linux")
    assert (await device.title()).startswith("Waiting for approval")
    await expect(device.get_by_role("status").filter(has_text="Waiting for approval")).to_have_count(1)
    await check(device, "gate-waiting")
    await stack.environment.approvals.approve(MACHINE, client.thumbprint)
    await device.wait_for_url("**/deep/page?x=1&y=%2F**")
    assert (await page_reached(device))["path"] == "/deep/page"


async def test_the_owner_was_mailed_that_this_machine_is_theirs_and_is_asked_on_the_list(
    stack: Stack, device: Page
) -> None:
    [told] = [received.mail for received in stack.inbox.messages if received.mail.kind == "machine_linked"]
    assert told.to == ADDRESS
    assert "The machine “Study desk” was linked to your account" in told.text
    await device.goto(f"{stack.accounts}/sign-in")
    await device.get_by_label("E-mail address").fill(ADDRESS)
    await device.get_by_label("Password", exact=True).fill(PASSWORD)
    await device.get_by_role("button", name="Sign in").click()
    await expect(device.get_by_text("Newly linked. Was it you?")).to_be_visible()
    await device.get_by_role("button", name="It was me Study desk").click()
    await expect(device.get_by_text("Newly linked. Was it you?")).to_be_hidden()
    await device.get_by_text("Devices, address and link").click()
    await expect(device.get_by_role("link", name="Connections page")).to_have_attribute(
        "href", f"{stack.environment.link.api_origin()}/connections"
    )


async def test_the_key_cannot_leave_the_browser_and_is_not_on_the_services_origin(
    stack: Stack, device: Page
) -> None:
    await let_in(device, stack)
    assert await device.evaluate("indexedDB.databases().then((all) => all.length)") == 0
    names = {cookie["name"]: cookie for cookie in await device.context.cookies(stack.service)}
    assert names["__Host-doorward"]["httpOnly"]
    assert "__Host-doorward" not in await device.evaluate("document.cookie")
    await device.goto(f"{stack.environment.link.api_origin()}/gate")
    await at(device, "nowhere")
    await check(device, "gate-nowhere")
    exported = await device.evaluate(
        """async () => {
          const open = indexedDB.open("doorward-device");
          await new Promise((resolve) => { open.onsuccess = resolve; });
          const read = open.result.transaction("kept").objectStore("kept").get("key");
          await new Promise((resolve) => { read.onsuccess = resolve; });
          return crypto.subtle.exportKey("jwk", read.result.privateKey).then(() => "left", (error) => error.name);
        }"""
    )
    assert exported == "InvalidAccessError"


async def test_a_rejected_device_is_told_and_hears_when_the_owner_changes_their_mind(
    stack: Stack, device: Page
) -> None:
    client = await waiting(device, stack)
    await stack.environment.approvals.reject(MACHINE, client.thumbprint)
    await at(device, "rejected")
    await check(device, "gate-rejected")
    await stack.environment.approvals.approve(MACHINE, client.thumbprint)
    await device.wait_for_url(stack.service)


async def test_a_renewal_is_one_quick_hop_without_the_relay_or_a_sign_in(stack: Stack, device: Page) -> None:
    await let_in(device, stack)
    await device.context.clear_cookies(name="__Host-doorward")
    await device.context.clear_cookies(domain="accounts.localhost")
    hosts: list[str] = []
    device.on("request", lambda request: hosts.append(request.url.split("/")[2].partition(":")[0]))
    await device.goto(f"{stack.service}after")
    await device.wait_for_url(f"{stack.service}after")
    assert (await page_reached(device))["path"] == "/after"
    assert "relay.localhost" not in hosts
    assert "accounts.localhost" not in hosts


async def test_a_revoked_device_asks_anew_and_waits(stack: Stack, device: Page) -> None:
    client = await let_in(device, stack)
    await stack.environment.approvals.revoke(MACHINE, client.thumbprint)
    answer = await device.evaluate(
        "fetch('/x').then(async (a) => [a.status, a.headers.get('doorward-gate')])"
    )
    assert answer == [401, f"{stack.environment.link.api_origin()}/gate"]
    await device.goto(stack.service)
    await at(device, "waiting")
    words = await device.locator('[data-screen="waiting"] .key-phrase li').all_inner_texts()
    assert " ".join(words) == key_phrase(client.thumbprint)


async def test_another_account_is_told_that_the_machine_is_not_its_own(stack: Stack, device: Page) -> None:
    await sign_up(device, stack, "eve@example.com")
    await device.goto(stack.service)
    await allow(device)
    await at(device, "not-owner")
    await expect(device.locator('[data-screen="not-owner"]')).to_contain_text("eve@example.com")
    await check(device, "gate-not-owner")
    assert all(client.label != "eve" for client in await stack.environment.approvals.list(MACHINE))
    await device.get_by_role("button", name="Use another account").click()
    await expect(device.get_by_text("Signed in as eve@example.com")).to_be_visible()
    await expect(device.get_by_text("Not you?")).to_be_visible()


async def test_declining_and_a_foreign_answer_say_so_and_lead_on(stack: Stack, device: Page) -> None:
    api = stack.environment.link.api_origin()
    await device.goto(f"{api}/gate/callback?code=stolen&state=never-started")
    await at(device, "sign-in-failed")
    assert "stolen" not in device.url
    await check(device, "gate-sign-in-failed")
    await device.goto(stack.service)
    await device.get_by_label("E-mail address").wait_for()
    state = parse_qs(urlsplit(parse_qs(urlsplit(device.url).query)["redirect_url"][0]).query)["state"][0]
    await device.goto(f"{api}/gate/callback?error=access_denied&state={state}")
    await at(device, "sign-in-declined")
    await check(device, "gate-sign-in-declined")
    await device.get_by_role("button", name="Sign in").click()
    await sign_in(device)
    await at(device, "waiting")


@pytest.mark.parametrize("service", ["evil.test", "notes.env.localhost.evil.test", "other.env.localhost"])
async def test_the_gate_leads_to_this_machines_services_only(
    stack: Stack, device: Page, service: str
) -> None:
    await device.goto(
        f"{stack.environment.link.api_origin()}/gate?service={service}&nonce={'a' * 43}&return=/"
    )
    await at(device, "unknown-service")
    if service == "evil.test":
        await check(device, "gate-unknown-service")


async def test_a_code_made_for_another_browsers_nonce_is_worth_nothing_here(
    stack: Stack, device: Page
) -> None:
    """A link that carries an attacker's nonce lets a device in at most to a page that says it did not work."""
    await let_in(device, stack)
    await device.context.clear_cookies(name="__Host-doorward")
    service = stack.service.split("/")[2]
    await device.goto(
        f"{stack.environment.link.api_origin()}/gate?service={service}&nonce={'A' * 43}&return=/"
    )
    await device.wait_for_url("**/.doorward/callback**")
    await expect(device.get_by_role("heading", name="This link does not work any more")).to_be_visible()
    await check(device, "gate-dead-link")
    await device.get_by_role("link", name="Open the service again").click()
    await device.wait_for_url(stack.service)


async def test_a_relay_that_does_not_answer_is_said_and_tried_again(stack: Stack, device: Page) -> None:
    blocked = True

    async def away(route):  # type: ignore[no-untyped-def]
        await (route.abort() if blocked else route.continue_())

    await device.context.route("**/v1/client/dpop-token", away)
    await device.goto(stack.service)
    await sign_in(device)
    await at(device, "unreachable")
    await check(device, "gate-unreachable")
    blocked = False
    await device.get_by_role("button", name="Try now").click()
    await at(device, "waiting")


async def test_a_broken_connection_while_waiting_is_said_and_mended(stack: Stack, device: Page) -> None:
    client = await waiting(device, stack)
    blocked = True

    async def away(route):  # type: ignore[no-untyped-def]
        await (route.abort() if blocked else route.continue_())

    await device.context.route("**/gate/wait", away)
    # The poll under way is answered, and the next one finds nobody.
    await stack.environment.approvals.reject(MACHINE, client.thumbprint)
    await at(device, "rejected")
    await expect(device.locator('[data-screen="rejected"] [data-lost]')).to_be_visible()
    await check(device, "gate-lost")
    blocked = False
    await stack.environment.approvals.approve(MACHINE, client.thumbprint)
    await device.wait_for_url(stack.service)


async def test_two_tabs_of_one_browser_are_one_device_and_both_get_in(stack: Stack, device: Page) -> None:
    client = await waiting(device, stack, "one")
    second = await device.context.new_page()
    await second.goto(f"{stack.service}two")
    await at(second, "waiting")
    words = [
        await p.locator('[data-screen="waiting"] .key-phrase li').all_inner_texts() for p in (device, second)
    ]
    assert words[0] == words[1]
    await stack.environment.approvals.approve(MACHINE, client.thumbprint)
    await asyncio.gather(device.wait_for_url("**/one"), second.wait_for_url("**/two"))


async def test_an_administrator_device_decides_from_outside(
    stack: Stack, device: Page, browser: Browser
) -> None:
    client = await waiting(device, stack)
    await stack.environment.approvals.approve(MACHINE, client.thumbprint, role="administrator")
    await device.wait_for_url(stack.service)
    other: BrowserContext = await browser.new_context()
    knocking = await other.new_page()
    knocking.set_default_timeout(PATIENCE)
    asking = await waiting(knocking, stack)
    await device.goto(f"{stack.environment.link.api_origin()}/connections")
    card = row_of(device, asking.thumbprint)
    await expect(card).to_contain_text("Chrome on Linux")
    assert " ".join(await card.locator(".key-phrase li").all_inner_texts()) == key_phrase(asking.thumbprint)
    await check(device, "connections-from-outside")
    await expect(device.get_by_role("button", name="Approve as administrator")).to_have_count(0)
    await expect(device.locator('[data-part="mode-section"]')).to_be_hidden()
    await card.get_by_role("button", name="Approve").click()
    await knocking.wait_for_url(stack.service)
    # A standard device finds the page, and nothing on it.
    await knocking.goto(f"{stack.environment.link.api_origin()}/connections")
    await expect(knocking.get_by_role("heading", name="This device may not decide here")).to_be_visible()
    await check(knocking, "connections-not-allowed")
    await other.close()
