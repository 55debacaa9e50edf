"""The owner's page in a real browser: live, one change at a time, nothing shown that is not known."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Browser, Page, Request, expect

from doorward.environment.access import MACHINE
from doorward.environment.keys import names
from doorward.environment.settings import Service
from doorward.jose import key_phrase
from tests.environment_gate.machine import Machine, bound_socket, serving
from tests.environment_pages.devices import check, knock, open_connections, row_of
from tests.ports import free_ports
from tests.web.browser import Complaints, focused_without_ring

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

PENDING = '[data-part="pending"]'
DEVICES = '[data-part="devices"]'


async def test_an_empty_machine_says_how_a_device_comes_here(machine: Machine, owner: Page) -> None:
    await open_connections(owner, machine)
    assert owner.url == f"http://{machine.loopback}/connections"
    await expect(owner.get_by_role("heading", name="No devices yet")).to_be_visible()
    await expect(owner.locator('[data-part="services"]')).to_contain_text(machine.origin)
    await check(owner, "connections-empty")
    assert await focused_without_ring(owner) == []


async def test_a_device_that_knocks_appears_with_its_key_phrase_and_without_a_reload(
    machine: Machine, owner: Page
) -> None:
    await open_connections(owner, machine)
    await owner.evaluate("window.notReloaded = true")
    key = await knock(machine, "Chrome on Android")
    card = owner.locator(f"{PENDING} > li")
    await expect(card).to_contain_text("Chrome on Android")
    words = await card.locator(".key-phrase li").all_inner_texts()
    assert " ".join(words) == key_phrase(key.public.thumbprint)
    for fact in ("Mobile, Android", "7f1c2f0e-11aa-4c1b-9a70-0a9f9b8b8f00", "linked this machine"):
        await expect(card).to_contain_text(fact)
    await expect(owner).to_have_title(re.compile(r"^\(1\) Connections"))
    await check(owner, "connections-pending")
    await card.get_by_role("button", name="Approve").click()
    await expect(owner.locator(f"{DEVICES} > li")).to_contain_text("Approved")
    await expect(owner.locator('[data-part="audit"] > li').first).to_contain_text(
        "Approved Chrome on Android"
    )
    assert await machine.environment.approvals.status(key.public.thumbprint) == "approved"
    assert await owner.evaluate("window.notReloaded")
    await check(owner, "connections-approved")


@pytest.mark.conformance("connect-environment", 228)
async def test_each_state_of_a_device_has_its_own_buttons(machine: Machine, owner: Page) -> None:
    key = await knock(machine)
    await open_connections(owner, machine)
    waiting = owner.locator(f"{PENDING} > li")
    await expect(waiting.get_by_role("button")).to_have_count(2)
    await expect(waiting.get_by_role("button", name="Approve")).to_be_visible()
    await waiting.get_by_role("button", name="Reject").click()
    row = owner.locator(f"{DEVICES} > li")
    await expect(row).to_contain_text("Rejected")
    await check(owner, "connections-rejected")
    await expect(row.get_by_role("button")).to_have_count(2)
    await row.get_by_role("button", name="Revoke").click()
    dialog = owner.get_by_role("dialog")
    await expect(dialog).to_contain_text("no longer refused")
    await dialog.get_by_role("button", name="Cancel").click()
    await row.get_by_role("button", name="Approve").click()
    await expect(row).to_contain_text("Approved")
    await expect(row.get_by_role("button")).to_have_count(1)
    await row.get_by_role("button", name="Revoke").click()
    await expect(dialog).to_contain_text("Revoke Chrome on Android?")
    await expect(dialog).to_contain_text("loses access at once")
    await check(owner, "connections-revoke-question")
    await dialog.get_by_role("button", name="Cancel").click()
    assert await machine.environment.approvals.status(key.public.thumbprint) == "approved"
    await row.get_by_role("button", name="Revoke").click()
    await dialog.get_by_role("button", name="Revoke").click()
    await expect(row).to_have_count(0)
    assert await machine.environment.approvals.status(key.public.thumbprint) == "unknown"


@pytest.mark.conformance("connect-environment", 227)
async def test_one_change_at_a_time_and_a_double_click_sends_one(machine: Machine, owner: Page) -> None:
    key, _, inside = [await knock(machine, label) for label in ("First", "Second", "Inside")]
    await machine.environment.approvals.approve(MACHINE, inside.public.thumbprint)
    await open_connections(owner, machine)
    await expect(row_of(owner, inside).get_by_role("button", name="Revoke")).to_be_enabled()
    sent: list[Request] = []
    release = asyncio.Event()

    async def hold(route):  # type: ignore[no-untyped-def]
        sent.append(route.request)
        await release.wait()
        await route.continue_()

    await owner.route("**/connections/decisions", hold)
    await row_of(owner, key).get_by_role("button", name="Approve").dblclick(no_wait_after=True)
    await expect(owner.get_by_role("button", name="Approving…")).to_be_visible()
    buttons = owner.locator(f"{PENDING} button, {DEVICES} button")
    await expect(buttons).to_have_count(5)
    for button in await buttons.all():
        await expect(button).to_be_disabled()
    release.set()
    await expect(owner.locator(DEVICES).locator(row_of(owner, key))).to_contain_text("First")
    await expect(owner.locator(PENDING).get_by_role("button", name="Approve")).to_be_enabled()
    assert len(sent) == 1


@pytest.mark.conformance("connect-environment", 223)
async def test_until_the_machine_has_said_the_mode_none_is_shown(machine: Machine, owner: Page) -> None:
    async def never(route):  # type: ignore[no-untyped-def]
        await asyncio.sleep(60)

    await owner.route("**/connections/events", never)
    await owner.goto(await machine.environment.pairing.one_time_link())
    await expect(owner.get_by_text("Loading the state of this machine.")).to_be_visible()
    for choice in await owner.locator("[data-mode]").all():
        await expect(choice).to_be_hidden()
    await check(owner, "connections-loading")


@pytest.mark.conformance("connect-environment", 224)
async def test_an_unreadable_mode_offers_two_ways_out_and_is_never_shown_as_account(
    machine: Machine, owner: Page
) -> None:
    machine.environment.secrets.set(names.SECURITY_MODE, b"acount")
    await open_connections(owner, machine)
    await expect(owner.get_by_text("The rule for new devices cannot be read")).to_be_visible()
    await expect(owner.locator('[data-mode="account"]')).to_be_hidden()
    section = owner.locator('[data-mode="unreadable"]')
    await expect(section.get_by_role("button")).to_have_count(2)
    await check(owner, "connections-unreadable")
    await section.get_by_role("button", name="Require approval").click()
    await expect(owner.locator('[data-mode="client-approval"]')).to_be_visible()
    assert machine.environment.approvals.mode() == "client-approval"


@pytest.mark.conformance("connect-environment", 225)
async def test_trusting_the_account_is_asked_twice_and_a_failure_keeps_the_known_mode(
    machine: Machine, owner: Page
) -> None:
    await open_connections(owner, machine)
    await owner.get_by_role("button", name="Let in every device of the account").click()
    dialog = owner.get_by_role("dialog")
    await check(owner, "connections-account-question")
    await owner.keyboard.press("Escape")
    assert machine.environment.approvals.mode() == "client-approval"

    async def fail(route):  # type: ignore[no-untyped-def]
        await route.fulfill(status=500, json={"error": "internal_error"})

    await owner.route("**/connections/mode", fail)
    await owner.get_by_role("button", name="Let in every device of the account").click()
    await dialog.get_by_role("button", name="Let them all in").click()
    await expect(owner.get_by_role("alert").first).to_be_visible()
    await expect(owner.locator('[data-mode="client-approval"]')).to_be_visible()
    await check(owner, "connections-failed-change")
    await owner.unroute("**/connections/mode")
    await owner.get_by_role("button", name="Let in every device of the account").click()
    await dialog.get_by_role("button", name="Let them all in").click()
    await expect(owner.locator('[data-mode="account"]')).to_be_visible()
    await check(owner, "connections-account")
    await owner.get_by_role("button", name="Require approval").click()
    await expect(owner.locator('[data-mode="client-approval"]')).to_be_visible()


async def test_who_let_whom_in_is_told_in_sentences_and_in_pages(machine: Machine, owner: Page) -> None:
    approvals = machine.environment.approvals
    keys = [await knock(machine, f"Phone {number}") for number in range(12)]
    for key in keys:
        await approvals.approve(MACHINE, key.public.thumbprint)
    await approvals.revoke(MACHINE, keys[0].public.thumbprint)
    await open_connections(owner, machine)
    rows = owner.locator('[data-part="audit"] > li')
    await expect(rows).to_have_count(10)
    # The newest is this page's own link; then the revocation, which has its name though the device is gone.
    await expect(rows.nth(1)).to_contain_text("Revoked Phone 0")
    await expect(rows.nth(1)).to_contain_text(key_phrase(keys[0].public.thumbprint))
    await expect(rows.nth(1)).to_contain_text("on the machine itself")
    await row_of(owner, keys[5]).get_by_role("button", name="Revoke").click()
    await owner.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(rows.first).to_contain_text("Revoked Phone 5")
    await expect(rows.first).to_contain_text("by Chrome on Linux on the machine’s own page (127.0.0.1)")
    await owner.get_by_role("button", name="Show older").click()
    await expect(owner.get_by_role("button", name="Show older")).to_be_hidden()
    await expect(rows.last).to_contain_text("Required approval of new devices")
    texts = await rows.all_inner_texts()
    assert [text.splitlines()[0] for text in texts].count("Approved Phone 11") == 1
    for number in range(12):
        assert sum(f"Approved Phone {number}" == text.splitlines()[0] for text in texts) == 1
    assert await owner.evaluate("document.activeElement.closest('[data-part=audit]') !== null")
    await approvals.reject(MACHINE, keys[6].public.thumbprint)
    await expect(rows.first).to_contain_text("Rejected Phone 6")
    await expect(rows).to_have_count(len(texts) + 1)
    await check(owner, "connections-audit")


async def test_older_entries_that_cannot_be_fetched_are_said_beside_their_button(
    machine: Machine, owner: Page
) -> None:
    for number in range(12):
        await machine.environment.approvals.approve(
            MACHINE, (await knock(machine, f"{number}")).public.thumbprint
        )
    await open_connections(owner, machine)
    await owner.route(
        "**/connections/audit?**", lambda route: route.fulfill(status=500, json={"error": "internal_error"})
    )
    await owner.get_by_role("button", name="Show older").click()
    await expect(
        owner.get_by_role("alert").filter(has_text="Older entries could not be fetched")
    ).to_be_visible()
    await owner.unroute("**/connections/audit?**")
    await owner.get_by_role("button", name="Show older").click()
    await expect(owner.get_by_text("Older entries could not be fetched")).to_be_hidden()
    await expect(owner.get_by_role("button", name="Show older")).to_be_hidden()


async def test_a_service_that_stopped_is_said_and_comes_back(machine: Machine, owner: Page) -> None:
    (port,) = free_ports(1)
    await machine.environment.services.add(MACHINE, Service(name="wiki", port=port))
    await open_connections(owner, machine)
    row = owner.locator('[data-part="services"] > [data-key="wiki"]')
    await expect(row).to_contain_text("Not running")
    await expect(row).to_contain_text(f"Nothing listens at 127.0.0.1:{port}")
    await expect(owner.locator('[data-part="services"] > [data-key="notes"]')).to_contain_text("Running")
    await check(owner, "connections-stopped-service")
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port):
        await expect(row.get_by_text("Running", exact=True)).to_be_visible()


async def test_what_the_device_says_of_itself_is_text(machine: Machine, owner: Page) -> None:
    await knock(
        machine, "<img src=x onerror=alert(1)>" + "w" * 150, os="<b>OS</b>", device_id="</li>" + "d" * 150
    )
    await open_connections(owner, machine)
    card = owner.locator(f"{PENDING} > li")
    await expect(card).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(card.locator("img, b")).to_have_count(0)
    await check(owner, "connections-hostile-text")


async def test_without_a_link_the_page_shows_nothing_of_the_machine(machine: Machine, owner: Page) -> None:
    await knock(machine, "Secret device")
    await owner.goto(f"http://{machine.loopback}/connections")
    await expect(owner.get_by_role("heading", name="Open this page with a link")).to_be_visible()
    assert "Secret device" not in await owner.content()
    await expect(owner.get_by_role("button", name="Sign out of this page")).to_be_hidden()
    await check(owner, "connections-no-session")


async def test_from_outside_the_page_says_how_to_decide_at_the_machine(machine: Machine, owner: Page) -> None:
    """Without remote administration; the accounts site's list of machines leads there."""
    await owner.goto(f"{machine.api_origin}/connections")
    await expect(owner.get_by_role("heading", name="Decide at Study desk itself")).to_be_visible()
    await expect(owner.get_by_text("doorward connect page")).to_be_visible()
    await check(owner, "connections-elsewhere")


async def test_a_spent_link_says_so(machine: Machine, owner: Page) -> None:
    link = await machine.environment.pairing.one_time_link()
    await owner.goto(link)
    await owner.locator('[data-state="ready"]').wait_for()
    await owner.evaluate("localStorage.clear()")
    await owner.goto(link)
    await expect(owner.get_by_role("heading", name="This link does not work any more")).to_be_visible()
    assert "token" not in owner.url
    await check(owner, "connections-spent-link")


async def test_signing_out_and_being_signed_out(machine: Machine, owner: Page) -> None:
    await open_connections(owner, machine)
    await owner.get_by_role("button", name="Sign out of this page").click()
    await expect(owner.get_by_role("heading", name="Signed out")).to_be_visible()
    await owner.reload()
    await expect(owner.get_by_role("heading", name="Open this page with a link")).to_be_visible()
    await open_connections(owner, machine)
    sessions = await machine.environment.sessions.list(MACHINE)
    for listed in sessions:
        await machine.environment.sessions.end(listed.session.id, by=MACHINE)
    await expect(owner.get_by_role("heading", name="This session has ended")).to_be_visible()
    await check(owner, "connections-ended")


async def test_a_machine_that_stops_answering_is_said_and_comes_back(
    machine: Machine, browser: Browser
) -> None:
    context = await browser.new_context()
    complaints = Complaints(context)
    complaints.allowed = ("Failed to load resource", "ERR_")
    owner = await context.new_page()
    door = bound_socket()
    machine.environment.port = door.getsockname()[1]
    async with serving(machine.environment.loopback_app, bound=door):
        await open_connections(owner, machine)
        await knock(machine)
        await expect(owner.locator(f"{PENDING} > li")).to_have_count(1)
    await expect(owner.get_by_text("The machine does not answer", exact=True)).to_be_visible()
    for button in await owner.locator(f"{PENDING} button").all():
        await expect(button).to_be_disabled()
    reach = owner.locator('[data-part="reach"]')
    await expect(reach).to_have_text("Not known now")
    await check(owner, "connections-offline")
    await knock(machine, "Came meanwhile")
    async with serving(machine.environment.loopback_app, bound=bound_socket(machine.environment.port)):
        await expect(owner.locator(f"{PENDING} > li")).to_have_count(2)
        await expect(owner.get_by_text("The machine does not answer", exact=True)).to_be_hidden()
        await expect(reach).not_to_have_text("Not known now")
        await context.close()
    assert complaints.heard == []


async def test_the_keyboard_reaches_a_decision_and_keeps_its_place(machine: Machine, owner: Page) -> None:
    key = await knock(machine, "First")
    await open_connections(owner, machine)
    await row_of(owner, key).get_by_role("button", name="Reject").focus()
    await knock(machine, "Second")
    await expect(owner.locator(f"{PENDING} > li")).to_have_count(2)
    focused = await owner.evaluate("document.activeElement.textContent")
    assert focused.startswith("Reject")
    assert "First" in focused


async def test_an_administrator_is_made_behind_a_second_question_with_the_phrase(
    administered_machine: Machine, owner: Page
) -> None:
    machine = administered_machine
    key = await knock(machine, "Phone")
    await open_connections(owner, machine)
    await owner.locator(PENDING).get_by_role("button", name="Approve as administrator").click()
    dialog = owner.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    assert " ".join(await dialog.locator(".key-phrase li").all_inner_texts()) == key_phrase(
        key.public.thumbprint
    )
    await check(owner, "connections-administrator-question")
    await dialog.get_by_role("button", name="Approve as administrator").click()
    await expect(owner.locator(DEVICES)).to_contain_text("Administrator")


async def test_the_offer_of_administrators_is_absent_where_it_is_off(machine: Machine, owner: Page) -> None:
    await knock(machine)
    await open_connections(owner, machine)
    await expect(owner.get_by_role("button", name="Approve as administrator")).to_have_count(0)


async def test_chromium_keeps_host_only_cookies_of_localhost_names_over_plain_http(
    machine: Machine, owner: Page
) -> None:
    await open_connections(owner, machine)
    cookies = {cookie["name"]: cookie for cookie in await owner.context.cookies()}
    kept = cookies["__Host-doorward-machine"]
    assert kept["domain"] == "machine.localhost"
    assert (kept["secure"], kept["httpOnly"], kept["sameSite"]) == (True, True, "Strict")
