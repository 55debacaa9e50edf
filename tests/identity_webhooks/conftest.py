"""The world of tests.identity, with a receiver that listens and a deliverer that sends when told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from doorward.identity.webhooks import outbox
from doorward.identity.webhooks.deliverer import Deliverer
from doorward.identity.webhooks.deliveries import Attempt, Delivery
from doorward.identity.webhooks.kinds import EventKind
from doorward.identity.webhooks.service import MadeSecret, Webhooks
from doorward.outbound import Outbound
from doorward.server.tls import LocalAuthority, ensure_local_authority
from tests.identity.conftest import MakeWorld, World, make_world, world
from tests.identity_webhooks.receiver import HOST, Receiver

__all__ = ["Hooks", "hooks", "make_world", "world"]


@dataclass
class Hooks:
    """An instance whose events go to `receiver`."""

    world: World
    receiver: Receiver
    authority: LocalAuthority
    outbound: Outbound
    deliverers: list[Deliverer] = field(default_factory=list)

    @property
    def service(self) -> Webhooks:
        return self.world.identity.webhooks

    def deliverer(self, *, timeout: float = 15.0) -> Deliverer:
        """One of a node's; several share the database as nodes do."""
        world = self.world
        made = Deliverer(
            world.database, world.sealer, self.outbound, world.clock, instance_id="ins_1", timeout=timeout
        )
        self.deliverers.append(made)
        return made

    async def listen(self, *kinds: str, url: str | None = None) -> MadeSecret:
        return await self.service.create(url or self.receiver.url, kinds=kinds, actor="admin")

    async def happen(self, kind: EventKind = "role.created", data: object = None) -> str:
        """An event's id; somebody must be listening."""
        now = self.world.clock()
        shown = {"object": "role", "id": "role_1"} if data is None else data
        event_id = await self.world.database.write(lambda tx: outbox.enqueue(tx, kind, shown, now=now))
        assert event_id is not None
        return event_id

    async def deliveries(self, endpoint: MadeSecret) -> list[Delivery]:
        page = await self.service.list_deliveries(endpoint.endpoint.id)
        return [logged.delivery for logged in page.deliveries]

    async def attempts(self, endpoint: MadeSecret) -> list[Attempt]:
        page = await self.service.list_deliveries(endpoint.endpoint.id)
        return [attempt for logged in page.deliveries for attempt in logged.attempts]

    async def audited(self) -> list[tuple[Any, ...]]:
        return await self.world.database.read(
            lambda tx: tx.fetch_all(
                "SELECT action, actor, detail FROM identity_audit WHERE action LIKE 'webhook%' ORDER BY at, id"
            )
        )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    return ensure_local_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def hooks(make_world: MakeWorld, authority: LocalAuthority, tmp_path: Path) -> AsyncIterator[Hooks]:
    world = await make_world(webhook_private_hosts=(HOST,))
    outbound = Outbound(ca_file=authority.certificate_path, private_hosts=[HOST])
    async with Receiver().running(authority) as receiver:
        made = Hooks(world, receiver, authority, outbound)
        yield made
    # The receiver first: what waits for it is over at once.
    for deliverer in made.deliverers:
        await deliverer.stop()
    await outbound.close()
