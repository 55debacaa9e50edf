"""The terminal's way: sign in by code, expose, list, forward, decide, undo — with the real program as subprocesses."""

from __future__ import annotations

import asyncio
import json
import re
import time

import httpx
import pytest
from playwright.async_api import Browser
from websockets.asyncio.client import connect as open_websocket

from tests.e2e.installations import Installation, each_once
from tests.e2e.people import enter_code, person, sign_up
from tests.e2e.processes import Program, command
from tests.e2e.story import CUT, allow_device_code

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


def run(installation, home, *arguments, status=0):
    """Run a command beside the installation; its standard output."""
    done = command(*arguments, home=home, environ=installation.client_environ())
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stderr


@each_once
@pytest.mark.xdist_group("the one callback port")
async def test_a_terminal_gets_in_after_approval_and_out_after_revocation(
    installation: Installation, browser: Browser, tmp_path
):
    machine, laptop = installation.machine_home, tmp_path / "laptop"
    async with person(browser) as owner:
        # Nobody signed in yet: told, with the way out.
        assert "doorward connect login" in run(installation, laptop, "list", status=1)

        await sign_up(owner, installation.administrator)
        await enter_code(owner, installation.mailed_code())
        if user_code := installation.link_machine():
            await allow_device_code(owner, installation, user_code)
        service, _ = installation.expose()
        service = service.rstrip("/")

        # The laptop signs in through the browser, by PKCE on loopback.
        login = Program(
            ["connect", "login"], home=laptop, environ={**installation.client_environ(), "BROWSER": "true"}
        )
        installation.programs["laptop login"] = login
        url = login.wait_for(r"^(http\S+/oauth/authorize\S+)$").group(1)
        await owner.goto(url)
        await owner.get_by_role("button", name="Allow").click()
        await owner.get_by_role("heading", name="T3 Connect authorization complete").wait_for()
        login.wait_for(r"Signed in to T3 Connect\.")
        assert installation.programs.pop("laptop login").finish() == 0

    linked = await eventually(lambda: "demo" in run(installation, laptop, "list"))
    assert linked
    listed = json.loads(run(installation, laptop, "list", "--json"))["machines"]
    assert [s["name"] for s in listed[0]["services"]] == ["demo"]
    assert json.loads(run(installation, laptop, "open", "demo", "--json")) == {"url": f"{service}/"}
    assert "No machine or service named 'nothing'" in run(installation, laptop, "open", "nothing", status=1)

    # Forwarding waits for the owner, showing the same six words the machine's terminal shows.
    forward = Program(["forward", "demo"], home=laptop, environ=installation.client_environ())
    installation.programs["forward"] = forward
    phrase = forward.wait_for(r"^\s+((?:[a-z]+ ){5}[a-z]+)$").group(1)
    clients = json.loads(run(installation, machine, "connect", "security", "clients", "--json"))["clients"]
    thumbprint = clients[0]["clientProofKeyThumbprint"]
    assert clients[0]["status"] == "pending"
    assert phrase in run(installation, machine, "connect", "security", "clients")
    assert "Approved" in run(installation, machine, "connect", "security", "approve", thumbprint)
    local = forward.wait_for(r"(http://127\.0\.0\.1:\d+)").group(1)

    async with httpx.AsyncClient(base_url=local) as client:
        assert "through the door" in (await client.get("/")).text
        # The app's own Authorization passes untouched; ours never reaches it.
        visitor = (await client.get("/visitor", headers={"authorization": "Basic YXBwOm93bg=="})).json()
        assert visitor["authorization"] == "Basic YXBwOm93bg=="
        assert visitor["assertion"].count(".") == 2
        body = b"x" * 3_000_000
        assert (await client.post("/upload", content=body)).json()["bytes"] == len(body)
        # A web page elsewhere may not borrow this device's rights.
        for foreign in (
            {"host": "rebound.example"},
            {"origin": "https://evil.example"},
            {"sec-fetch-site": "cross-site"},
        ):
            assert (await client.get("/visitor", headers=foreign)).status_code == 403

        async with open_websocket(f"ws{local.removeprefix('http')}/clock") as clock:
            assert re.fullmatch(r"\d\d:\d\d:\d\d", await clock.recv())
            assert "Revoked" in run(installation, machine, "connect", "security", "revoke", thumbprint)
            await asyncio.wait_for(clock.wait_closed(), CUT)
        assert (await client.get("/visitor")).status_code in (401, 502, 503)
    installation.programs.pop("forward").kill()

    # A thumbprint that starts with a dash is no option, and an unknown one is no failure.
    assert "No active T3 Connect client found for -abc." in run(
        installation, machine, "connect", "security", "reject", "-abc"
    )
    status = json.loads(run(installation, machine, "connect", "status", "--json"))
    assert (status["desired"], status["authenticated"], status["linked"]) == (True, True, True)
    assert status["connectSecurityMode"] == "client-approval"

    # Undoing: unlink twice is fine, then the machine is gone from the list.
    assert "T3 Connect is disabled locally." in run(installation, machine, "connect", "unlink")
    assert "demo" not in run(installation, laptop, "list")
    assert "T3 Connect is disabled locally." in run(installation, machine, "connect", "unlink")
    assert "Signed out of T3 Connect locally." in run(installation, machine, "connect", "logout")
    assert json.loads(run(installation, machine, "connect", "status", "--json"))["authenticated"] is False
    installation.stop()


async def eventually(check, seconds: float = 60.0) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        await asyncio.sleep(0.3)
    return False
