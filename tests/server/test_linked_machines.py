"""What the relay knows of an account's machines stands in the console of a node that has both tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorward.identity import DevelopmentInbox, IdentitySettings
from doorward.identity.linked_machines import LinkedMachine
from doorward.relay import LinkDirectory, RelaySettings
from doorward.relay.links.store import Capabilities, LinkRow, revoke, upsert
from doorward.relay.services.store import claim
from doorward.server.linked_machines import machines_in
from doorward.server.node import NodePlan, running_node
from doorward.store import Database, Tx, system_clock
from tests.conftest import OpenTestDatabase
from tests.identity_console.visitors import Visitor, become_administrator, new_user, text_of
from tests.identity_pages.world import SCHEMAS, world

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
    accounts, relay = "http://accounts.localhost:8080", "http://relay.localhost:8080"
    plan = NodePlan(
        roles=("identity",),
        database_url=f"sqlite:///{tmp_path}/server.sqlite",
        key_file=tmp_path / "kek",
        identity=IdentitySettings(
            origin=accounts,
            development=True,
            sign_up="open",
            relay_origin=relay,
            gate_zone="env.localhost:8080",
        ),
        relay=RelaySettings(
            origin=relay,
            zone="env.localhost",
            endpoint_scheme="http",
            endpoint_port=8080,
            edge_url="http://edge.env.localhost:8080",
            accounts_issuer=accounts,
            jwks_url=f"{accounts}/.well-known/jwks.json",
        ),
        mailer=DevelopmentInbox(system_clock),
    )
    async with running_node(plan) as node:
        assert node.identity is not None
        await link(node.database, "user_ada")
        assert [each.label for each in await node.identity.linked_machines("user_ada")] == [LABEL]
