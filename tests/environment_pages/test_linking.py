"""Linking and unlinking on the machine's own page: local first, one at a time, and nothing of it where none is possible."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from doorward.environment.access import MACHINE
from doorward.environment.approvals.mode import SecurityMode
from doorward.environment.keys import names
from doorward.environment.link.cli_token import CliToken
from doorward.environment.relay_client import PageInstallation, RelayClient
from doorward.environment.relay_client.releases import Asset, Release, this_platform
from doorward.outbound import Outbound
from doorward.store import system_clock
from tests.environment_gate.machine import Machine, bound_socket, running_machine, serving
from tests.environment_pages.devices import check, knock, open_connections
from tests.environment_pages.test_machine_door import opened, url

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

DEVICES = '[data-part="devices-section"]'


class Relay:
    """As much of a relay as unlinking meets. `release` lets a held answer go; `status` is what it is."""

    def __init__(self) -> None:
        self.status = 200
        self.asked = asyncio.Event()
        self.release = asyncio.Event()
        self.release.set()
        self.requests: list[str] = []
        self.was_linked_when_asked: bool | None = None
        self.machine: Machine | None = None
        self.metadata: dict[str, str] | None = None

    async def answer(self, request: Request) -> Response:
        self.requests.append(f"{request.method} {request.url.path}")
        if self.machine is not None:
            self.was_linked_when_asked = self.machine.environment.link.relay_origin() is not None
        self.asked.set()
        await self.release.wait()
        if self.metadata is not None:
            return JSONResponse(self.metadata)
        return JSONResponse({"ok": True}, self.status)


@asynccontextmanager
async def linked_machine(home: Path) -> AsyncIterator[tuple[Machine, Relay]]:
    """A machine that is linked to a relay on loopback and signed in to its account."""
    relay, socket = Relay(), bound_socket()
    origin = f"http://relay.localhost:{socket.getsockname()[1]}"
    routes = [Route("/{path:path}", relay.answer, methods=["GET", "POST", "PUT", "DELETE"])]
    async with (
        serving(Starlette(routes=routes), bound=socket),
        running_machine(home, system_clock, relay_url=origin) as machine,
    ):
        relay.machine = machine
        machine.environment.secrets.set(names.RELAY_URL, origin.encode())
        machine.environment.link.want()
        sign_in(machine)
        yield machine, relay
        relay.release.set()


def sign_in(machine: Machine) -> None:
    machine.environment.tokens.store(
        CliToken(
            access_token="access", refresh_token="refresh", expires_at_epoch_ms=system_clock() + 3_600_000
        )
    )


@pytest.mark.conformance("connect-environment", 229)
async def test_unlinking_is_done_here_before_the_relay_is_asked_and_stays_done_when_it_fails(
    tmp_path: Path, owner: Page
) -> None:
    async with linked_machine(tmp_path / "home") as (machine, relay):
        relay.status = 500
        relay.release.clear()
        await open_connections(owner, machine)
        await check(owner, "connections-linked")
        await owner.get_by_role("button", name="Unlink").click()
        dialog = owner.get_by_role("dialog")
        await check(owner, "connections-unlink-question")
        await dialog.get_by_role("button", name="Unlink").click()
        await asyncio.wait_for(relay.asked.wait(), 20)
        assert relay.was_linked_when_asked is False
        await expect(owner.get_by_role("button", name="Unlinking…")).to_be_disabled()
        relay.release.set()
        await expect(
            owner.get_by_role("status").filter(has_text="The relay could not be told")
        ).to_be_visible()
        await expect(owner.locator('[data-part="link-state"]')).to_have_text("Not linked")
        await expect(owner.get_by_role("button", name="Link this machine")).to_be_enabled()
        assert relay.requests == [f"DELETE /v1/client/environment-links/{machine.environment.environment_id}"]
        assert not machine.environment.link.state(MACHINE).linked
        await check(owner, "connections-unlinked")


PROGRAM = b"#!/bin/sh\nexit 0\n"


@asynccontextmanager
async def machine_at_a_foreign_relay(home: Path) -> AsyncIterator[tuple[Machine, Relay, asyncio.Event]]:
    """Signed in at a relay that gives Cloudflare's tunnels, without cloudflared; its download ends with the event."""
    may_end, socket = asyncio.Event(), bound_socket()

    async def download(_: Request) -> Response:
        await may_end.wait()
        return Response(PROGRAM)

    async with (
        serving(Starlette(routes=[Route("/{path:path}", download)]), bound=socket),
        linked_machine(home) as (machine, relay),
    ):
        environment = machine.environment
        environment.secrets.remove(names.RELAY_URL)
        await environment.unlink(MACHINE)
        platform = this_platform()
        release = Release(
            version="2026.5.2",
            base_url=f"http://localhost:{socket.getsockname()[1]}",
            assets={str(platform): Asset("cloudflared", hashlib.sha256(PROGRAM).hexdigest())},
        )
        client = RelayClient(
            home / "tools", Outbound(), environ={"PATH": "/nowhere"}, release=release, platform=platform
        )
        environment.relay_client = client
        environment.installation = PageInstallation(client, environment._announce_link)
        relay.metadata = {"issuer": "http://relay"}
        assert environment.settings.relay_url is not None
        assert await environment.relay_client_need.learn(environment.settings.relay_url)
        relay.requests.clear()
        yield machine, relay, may_end
        may_end.set()


@pytest.mark.conformance("connect-environment", 230)
async def test_linking_installs_first_where_the_relay_takes_it_and_asks_the_relay_nothing_when_declined(
    tmp_path: Path, owner: Page
) -> None:
    async with machine_at_a_foreign_relay(tmp_path / "home") as (machine, relay, may_end):
        link = machine.environment.link
        await open_connections(owner, machine)
        button = owner.get_by_role("button", name="Link this machine")
        await button.click()
        dialog = owner.get_by_role("dialog")
        await expect(dialog).to_contain_text("cloudflared 2026.5.2")
        await check(owner, "connections-install-question")
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(button).to_be_enabled()
        assert (relay.requests, link.is_wanted()) == ([], False)

        await button.click()
        await dialog.get_by_role("button", name="Download and install").click()
        await expect(owner.locator('[data-part="install-step"]')).to_have_text(
            "Downloading relay client, 3 of 7"
        )
        await expect(button).to_be_disabled()
        await check(owner, "connections-installing")
        assert (relay.requests, link.is_wanted()) == ([], False)
        may_end.set()
        await expect(owner.locator('[data-part="install"]')).to_be_hidden()
        await expect(owner.locator('[data-part="link-state"]')).to_have_text("Being linked")
        assert link.is_wanted()


@pytest.mark.conformance("connect-environment", 231)
async def test_a_link_is_refused_while_what_it_takes_is_missing_or_on_its_way(tmp_path: Path) -> None:
    async with machine_at_a_foreign_relay(tmp_path / "home") as (machine, relay, _):
        headers = await opened(machine)
        for path, answer in (
            ("link", "relay_client_missing"),
            ("relay-client", None),
            ("relay-client", "change_under_way"),
            ("link", "change_under_way"),
        ):
            response = await machine.client.post(
                url(machine, f"/connections/{path}"), json={}, headers=headers
            )
            assert response.json().get("error") == answer
        assert relay.requests == []


@pytest.mark.conformance("connect-environment", 231)
async def test_a_second_change_while_one_is_under_way_is_refused(tmp_path: Path) -> None:
    async with linked_machine(tmp_path / "home") as (machine, relay):
        relay.release.clear()
        headers = await opened(machine)
        first = asyncio.create_task(
            machine.client.post(url(machine, "/connections/unlink"), json={}, headers=headers)
        )
        await asyncio.wait_for(relay.asked.wait(), 20)
        for change in ("unlink", "link"):
            second = await machine.client.post(
                url(machine, f"/connections/{change}"), json={}, headers=headers
            )
            assert (second.status_code, second.json()["error"]) == (409, "change_under_way")
        relay.release.set()
        assert (await first).json() == {"relay": "revoked"}
        assert not machine.environment.link.is_wanted()


@pytest.mark.conformance("connect-environment", 231)
async def test_a_second_question_on_the_page_is_refused_while_one_is_open(
    tmp_path: Path, owner: Page
) -> None:
    async with linked_machine(tmp_path / "home") as (machine, _):
        await open_connections(owner, machine)
        await owner.get_by_role("button", name="Unlink").click()
        # A click that no person can make while a modal dialog is open, but a script or a screen reader's can.
        await owner.locator('[data-set-mode="account"]').first.dispatch_event("click")
        await expect(owner.get_by_role("dialog")).to_contain_text("Unlink Study desk?")
        await owner.get_by_role("dialog").get_by_role("button", name="Unlink").click()
        await expect(owner.locator('[data-part="link-state"]')).to_have_text("Not linked")
        assert machine.environment.approvals.mode() == "client-approval"


async def test_linking_is_asked_for_on_the_page_and_needs_a_signed_in_machine(
    tmp_path: Path, owner: Page
) -> None:
    async with linked_machine(tmp_path / "home") as (machine, _):
        await machine.environment.unlink(MACHINE)
        machine.environment.tokens.remove()
        await open_connections(owner, machine)
        await expect(owner.get_by_text("doorward connect login")).to_be_visible()
        await expect(owner.get_by_role("button", name="Link this machine")).to_be_hidden()
        await check(owner, "connections-not-signed-in")
        refused = await machine.client.post(
            url(machine, "/connections/link"), json={}, headers=await opened(machine)
        )
        assert refused.json()["error"] == "machine_not_signed_in"
        assert not machine.environment.link.is_wanted()
        sign_in(machine)
        await owner.get_by_role("button", name="Link this machine").click()
        await expect(owner.locator('[data-part="link-state"]')).to_have_text("Being linked")
        assert machine.environment.link.is_wanted()
        await check(owner, "connections-linking")
        await owner.get_by_role("button", name="Stop linking").click()
        await owner.get_by_role("dialog").get_by_role("button", name="Unlink").click()
        await expect(owner.locator('[data-part="link-state"]')).to_have_text("Not linked")
        await expect(owner.locator('[data-part="audit"]')).to_contain_text(
            "Asked for this machine to be linked"
        )


@pytest.mark.conformance("connect-environment", 232)
async def test_signing_out_forgets_the_session_before_it_asks_anybody(machine: Machine, owner: Page) -> None:
    await open_connections(owner, machine)
    asked, release = asyncio.Event(), asyncio.Event()

    async def hold(route) -> None:  # type: ignore[no-untyped-def]
        asked.set()
        await release.wait()
        await route.abort()

    await owner.route("**/connections/sign-out", hold)
    await owner.get_by_role("button", name="Sign out of this page").click()
    await asyncio.wait_for(asked.wait(), 20)
    assert await owner.evaluate("localStorage.length") == 0
    await expect(owner.get_by_role("heading", name="Signed out")).to_be_visible()
    release.set()
    await expect(owner.get_by_role("heading", name="Signed out")).to_be_visible()
    await owner.reload()
    await expect(owner.get_by_role("heading", name="Open this page with a link")).to_be_visible()


@pytest.mark.conformance("connect-environment", 233)
async def test_a_machine_that_knows_no_relay_shows_nothing_of_the_outside_and_asks_nobody(
    tmp_path: Path, owner: Page
) -> None:
    home = tmp_path / "home"
    async with running_machine(home, system_clock, relay_url=None, accounts_origin=None) as machine:
        asked: set[str] = set()
        owner.on("request", lambda request: asked.add(request.url.split("/")[2]))
        await knock(machine)
        await open_connections(owner, machine)
        await expect(owner.get_by_text("Nobody comes to this machine from outside")).to_be_visible()
        for part in (
            "link-section",
            "mode-section",
            "devices-section",
            "pending-section",
            "reach",
            "notify-place",
        ):
            await expect(owner.locator(f'[data-part="{part}"]')).to_be_hidden()
        await expect(owner.locator('[data-part="services-section"]')).to_be_visible()
        assert asked == {machine.loopback}
        await check(owner, "connections-no-relay")


@pytest.mark.conformance("connect-environment", 226)
@pytest.mark.parametrize(
    ("mode", "has_link", "has_device", "is_shown"),
    [
        ("client-approval", False, False, True),
        (None, False, False, True),
        ("account", False, False, False),
        ("account", False, True, True),
        ("account", True, False, True),
    ],
)
async def test_devices_are_shown_wherever_one_may_have_to_be_decided_about(
    machine: Machine,
    owner: Page,
    mode: SecurityMode | None,
    has_link: bool,
    has_device: bool,
    is_shown: bool,
) -> None:
    if not has_link:
        await machine.environment.unlink(MACHINE)
    if has_device:
        await knock(machine)
    if mode is None:
        machine.environment.secrets.set(names.SECURITY_MODE, b"acount")
    else:
        await machine.environment.approvals.set_mode(MACHINE, mode)
    await open_connections(owner, machine)
    await expect(owner.locator(DEVICES)).to_be_visible(visible=is_shown)
