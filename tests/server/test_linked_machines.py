"""What the relay knows of an account's machines stands in the console of a node that has both tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorward.identity.linked_machines import LinkedMachine
from doorward.relay import LinkDirectory
from doorward.relay.links.store import Capabilities, LinkRow, revoke, upsert
from doorward.relay.services.store import claim
from doorward.server.linked_machines import machines_in
from doorward.server.node import running_node
from doorward.store import Database, Tx
from tests.conftest import OpenTestDatabase
from tests.identity_console.visitors import become_administrator, new_user
from tests.identity_pages.visitors import Visitor, text_of
from tests.identity_pages.world import SCHEMAS, world
from tests.server.plans import identity_alone

pytestmark = pytest.mark.anyio

LABEL = "<b>workbench</b>"


async def link(database: Database, user_id: str, *, is_over: bool = False) -> None:
    """As the relay writes a link and a name of one."""
    row = LinkRow(
        user_id=user_id,
        environment_id=f"env-{is_over}",
        environment_label=LABEL,
        environment_public_key="key",
        http_base_url="http://workbench.env.localhost:8080",
        ws_base_url="ws://workbench.env.localhost:8080",
        provider_kind="manual",
        created_at=1,
        made_at=1,
        made_from="",
    )

    def write(tx: Tx) -> None:
        upsert(tx, row, Capabilities(False, False, False), device_id=None, now=1)
        if is_over:
            revoke(tx, user_id=user_id, environment_id=row.environment_id, now=2)
        else:
            claim(tx, f"notebook-{user_id.lower()[-6:]}", user_id=user_id, environment_id="env-False", now=1)

    await database.write(write)


async def test_the_console_shows_a_users_linked_machines_as_text(
    open_test_database: OpenTestDatabase,
) -> None:
    database = await open_test_database(*SCHEMAS)
    async with world(database) as opened, Visitor(opened) as visitor:
        opened.identity.linked_machines = machines_in(LinkDirectory(database))
        address, user_id = await become_administrator(opened), await new_user(opened)
        await link(database, user_id)
        await link(database, user_id, is_over=True)
        (machine,) = await opened.identity.linked_machines(user_id)
        name = f"notebook-{user_id.lower()[-6:]}"
        assert machine == LinkedMachine(
            environment_id="env-False", label=LABEL, services=(name,), linked_at=1
        )
        await visitor.sign_in(address)
        page = await visitor.get(f"/admin/users/{user_id}")
        assert LABEL not in page.text
        assert f"Opens {name}" in text_of(page)
        other = await visitor.get(f"/admin/users/{await new_user(opened)}")
        assert name not in other.text


async def test_a_node_with_identity_alone_knows_them(tmp_path: Path) -> None:
    async with running_node(identity_alone(tmp_path)) as node:
        assert node.identity is not None
        await link(node.database, "user_ada")
        assert [each.label for each in await node.identity.linked_machines("user_ada")] == [LABEL]
