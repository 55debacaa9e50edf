"""Webhooks of a whole node: the job runs where identity does, to hosts the operator named."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorward.identity import DevelopmentInbox, IdentitySettings
from doorward.relay import RelaySettings
from doorward.server.node import NodePlan, running_node
from doorward.store import system_clock
from tests.identity_webhooks.receiver import Receiver

ACCOUNTS, RELAY = "http://accounts.localhost:8080", "http://relay.localhost:8080"


@pytest.mark.anyio
async def test_a_node_with_identity_sends_what_is_queued(tmp_path: Path) -> None:
    plan = NodePlan(
        roles=("identity",),
        database_url=f"sqlite:///{tmp_path}/server.sqlite",
        key_file=tmp_path / "kek",
        identity=IdentitySettings(
            origin=ACCOUNTS,
            development=True,
            sign_up="open",
            relay_origin=RELAY,
            gate_zone="env.localhost:8080",
            webhook_private_hosts=("localhost",),
        ),
        relay=RelaySettings(
            origin=RELAY,
            zone="env.localhost",
            endpoint_scheme="http",
            endpoint_port=8080,
            edge_url="http://edge.env.localhost:8080",
            accounts_issuer=ACCOUNTS,
            jwks_url=f"{ACCOUNTS}/.well-known/jwks.json",
        ),
        mailer=DevelopmentInbox(system_clock),
    )
    async with Receiver().running(None) as receiver, running_node(plan) as node:
        assert node.identity is not None
        made = await node.identity.webhooks.create(receiver.url, actor=None)
        event_id = await node.identity.webhooks.send_test(made.endpoint.id, actor=None)
        [received] = await receiver.wait_for(1)
        assert received.headers["svix-id"] == event_id
        assert f'"instance_id":"{node.identity.instance_id}"'.encode() in received.body
