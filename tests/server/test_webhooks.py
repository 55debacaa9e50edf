"""Webhooks of a whole node: the job runs where identity does, to hosts the operator named."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorward.server.node import running_node
from tests.identity_webhooks.receiver import Receiver
from tests.server.plans import identity_alone


@pytest.mark.anyio
async def test_a_node_with_identity_sends_what_is_queued(tmp_path: Path) -> None:
    plan = identity_alone(tmp_path, webhook_private_hosts=("localhost",))
    async with Receiver().running(None) as receiver, running_node(plan) as node:
        assert node.identity is not None
        made = await node.identity.webhooks.create(receiver.url, actor=None)
        event_id = await node.identity.webhooks.send_test(made.endpoint.id, actor=None)
        [received] = await receiver.wait_for(1)
        assert received.headers["svix-id"] == event_id
        assert f'"instance_id":"{node.identity.instance_id}"'.encode() in received.body
