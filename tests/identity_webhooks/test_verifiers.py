"""Deliveries against the packages that receivers verify them with: Clerk's, Svix's and Standard Webhooks'."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import msgspec
import pytest
from svix.webhooks import Webhook, WebhookVerificationError

from doorward.identity.webhooks import rules
from doorward.verify.errors import WebhookRefused
from doorward.verify.webhooks import verify_webhook
from tests.identity_webhooks.conftest import Hooks
from tests.identity_webhooks.receiver import Received
from tests.sdk_clients.installed import javascript_sdks
from tests.sdk_clients.npm import PROJECT

BY = ("clerk", "clerk after a parser", "svix", "standardwebhooks")
#: What makes JSON differ from writer to writer.
AWKWARD = msgspec.Raw(
    b'{ "ratio": 1.0, "tiny": 1e-7, "large": 1e21, "name": "\\u00c9va \\u2028 <&>", "10": "ten", "9": "nine",'
    b' "beyond": 12345678901234567890 }'
)


class Case(msgspec.Struct):
    by: str
    secret: str
    headers: dict[str, str]
    body: str


def signed(received: Received) -> dict[str, str]:
    return {
        name: value
        for name, value in received.headers.items()
        if name.partition("-")[0] in ("svix", "webhook")
    }


def cases(received: Received, secret: str, *, body: str | None = None) -> list[Case]:
    """One for each verifier."""
    text = received.body.decode() if body is None else body
    return [Case(by, secret, signed(received), text) for by in BY]


async def verdicts(table: list[Case]) -> list[dict[str, Any]]:
    await asyncio.to_thread(javascript_sdks)
    node = await asyncio.create_subprocess_exec(
        "node", "webhooks.mjs", cwd=PROJECT, stdin=-1, stdout=-1, stderr=-1
    )
    out, err = await asyncio.wait_for(node.communicate(msgspec.json.encode(table)), 120)
    assert node.returncode == 0, err.decode()
    return list(json.loads(out))


def accepts_in_python(received: Received, secret: str) -> bool:
    """Svix's package and our own."""
    with contextlib.suppress(WebhookVerificationError):
        Webhook(secret).verify(received.body, signed(received))
        assert verify_webhook(received.headers, received.body, signing_secret=secret).type == "role.created"
        return True
    with pytest.raises(WebhookRefused):
        verify_webhook(received.headers, received.body, signing_secret=secret)
    return False


async def delivered(hooks: Hooks, data: object = AWKWARD) -> Received:
    """What arrived of one event, sent now."""
    await hooks.happen(data=data)
    assert await hooks.deliverer().work()
    return hooks.receiver.received[-1]


@pytest.fixture
def hooks_today(hooks: Hooks) -> Hooks:
    """Verifiers look at the real clock."""
    hooks.world.clock.now = int(time.time() * 1000)
    return hooks


@pytest.mark.conformance("clerk-backend", 192, 193, 194, 195)
async def test_every_verifier_takes_what_is_true_and_nothing_else(hooks_today: Hooks) -> None:
    hooks = hooks_today
    made = await hooks.listen()
    true = await delivered(hooks)
    hooks.world.clock.now = int(time.time() * 1000) - 301_000
    old = await delivered(hooks)
    assert {f"svix-{name}" for name in ("id", "timestamp", "signature")} < set(true.headers)
    changed = true.body.decode().replace("nine", "none")
    other = "whsec_" + "k" * 44

    found = await verdicts(
        [
            *cases(true, made.secret),
            *cases(true, made.secret, body=changed),
            *cases(old, made.secret),
            *cases(true, other),
        ]
    )

    assert [verdict["error"] for verdict in found[:4]] == [None] * 4
    assert all(verdict["error"] for verdict in found[4:]), found[4:]
    for verdict in found[:2]:
        assert verdict["event"]["type"] == "role.created"
        assert verdict["event"]["data"]["name"] == "Éva \u2028 <&>"
    assert accepts_in_python(true, made.secret)
    assert not accepts_in_python(true, other)
    assert not accepts_in_python(old, made.secret)
    assert not accepts_in_python(Received("", true.headers, changed.encode()), made.secret)


@pytest.mark.conformance("clerk-backend", 196)
async def test_during_a_rotation_every_verifier_takes_either_secret_and_afterwards_the_new_one(
    hooks_today: Hooks,
) -> None:
    hooks = hooks_today
    hooks.world.clock.advance(-rules.OVERLAP_MS)
    first = await hooks.listen()
    second = await hooks.service.rotate_secret(first.endpoint.id, actor="admin")
    hooks.world.clock.advance(rules.OVERLAP_MS - 1)
    during = await delivered(hooks)
    hooks.world.clock.advance(1)
    after = await delivered(hooks)

    found = await verdicts(
        [case for one in (during, after) for key in (second, first) for case in cases(one, key.secret)]
    )

    assert [verdict["error"] is None for verdict in found] == [True] * 12 + [False] * 4
    assert [accepts_in_python(during, key.secret) for key in (first, second)] == [True, True]
    assert [accepts_in_python(after, key.secret) for key in (first, second)] == [False, True]
