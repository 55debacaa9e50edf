"""What an agent does, from the machine that publishes it to the notification in its owner's browser."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from doorward.environment.keys import names
from doorward.jose import sign_jwt
from doorward.store import system_clock
from doorward.t3_connect import iso
from tests.environment_pages.stack import Stack, running_stack, sign_up
from tests.push.services import running_services
from tests.web.browser import Complaints, accessibility_faults
from tests.web.notifications import SUBSCRIBE, Worker, vendor
from tests.web.pictures import picture

pytestmark = [pytest.mark.anyio, pytest.mark.browser, pytest.mark.xdist_group("push browser")]


async def publish(stack: Stack, phase: str) -> httpx.Response:
    """As an agent on the machine would: with its credential and a proof by its link key."""
    environment, relay = stack.environment, f"http://relay.localhost:{stack.port}"
    environment_id, thread_id = environment.environment_id, "thread-1"
    state = {
        "environmentId": environment_id,
        "threadId": thread_id,
        "projectTitle": "Doorward",
        "threadTitle": "Mend the door",
        "phase": phase,
        "headline": "At work",
        "modelTitle": "A model",
        "updatedAt": iso(system_clock()),
        "deepLink": "/threads/thread-1",
    }
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": f"t3-env:{environment_id}",
        "aud": relay,
        "sub": environment_id,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + 300,
        "environmentId": environment_id,
        "threadId": thread_id,
        "state": state,
    }
    proof = sign_jwt(claims, environment.keys.link_key(), typ="t3-env-activity+jwt", include_kid=False)
    credential = environment.secrets.get_text(names.ENVIRONMENT_CREDENTIAL)
    path = f"/v1/environments/{environment_id}/threads/{thread_id}/agent-activity"
    async with httpx.AsyncClient(timeout=20) as client:
        return await client.post(
            f"http://127.0.0.1:{stack.port}{path}",
            json={"state": state, "proof": proof},
            headers={"host": f"relay.localhost:{stack.port}", "authorization": f"Bearer {credential}"},
        )


async def test_a_browser_shows_what_the_agents_of_its_machines_do(
    push_browser: Chromium, tmp_path: Path
) -> None:
    async with (
        running_services(tmp_path / "tls", system_clock) as services,
        running_stack(tmp_path / "stack", services=services) as stack,
    ):
        context = await push_browser.new_context()
        await context.grant_permissions(["notifications"])
        complaints = Complaints(context)
        page = await context.new_page()
        await page.add_init_script(SUBSCRIBE)
        receiver = await vendor(page, services)
        await sign_up(page, stack)
        worker = await Worker.of(page, stack.accounts, "/machines")
        await page.get_by_role("button", name="Notify me on this browser").click()
        await expect(page.get_by_role("button", name="Stop notifying")).to_be_visible()
        await picture(page, "machines-notified")
        assert await accessibility_faults(page) == []
        answer = await publish(stack, "waiting_for_approval")
        assert [each["kind"] for each in answer.json()["deliveries"]] == ["push_notification"], answer.text
        await services.push.server.wait_for(1)
        [(told, message)] = services.push.messages
        assert told is receiver
        await worker.deliver(json.dumps(message))
        [shown] = await worker.shown()
        assert (shown["title"], shown["body"]) == ("Mend the door", "Approval: Doorward")
        await page.get_by_role("button", name="Stop notifying").click()
        await expect(page.get_by_role("button", name="Notify me on this browser")).to_be_visible()
        assert (await publish(stack, "completed")).json()["deliveries"] == []
        await context.close()
        assert complaints.heard == []
