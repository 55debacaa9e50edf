"""One server process: identity, relay and edge, by role, from one configuration.

`control` answers for the accounts and relay origins; `edge` for the machines' host names and their tunnels. In
`serve` each has its own listener. In `up` the edge owns the public ones and hands control hosts on over a unix socket.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from starlette.types import ASGIApp

from doorward.http1 import UnixUpstream
from doorward.identity.app import SCHEMA as IDENTITY_SCHEMA
from doorward.identity.app import create_identity
from doorward.identity.mail import Mailer
from doorward.identity.services import Identity
from doorward.identity.settings import IdentitySettings
from doorward.identity.webhooks.deliverer import Deliverer
from doorward.outbound import Outbound
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.relay import (
    LinkDirectory,
    LinkNotices,
    Relay,
    RelaySettings,
    barred_by_news,
    create_relay,
    nobody_is_barred,
)
from doorward.server.background import background
from doorward.server.barring import barred_by_either, barred_by_identity
from doorward.server.configuration import Role
from doorward.server.edge_node import running_edge
from doorward.server.hosts import HostDispatcher
from doorward.server.link_mail import tell_owners_of_links
from doorward.server.linked_machines import machines_in
from doorward.server.metered import MeteredApp, MeteredDatabase
from doorward.store import Clock, Database, Schema, Sealer, open_database, system_clock
from doorward.tunnel import UNLIMITED, Allowances, Edge


class NodePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is made of. `control_upstreams` are the hosts an edge hands on (`host[:port]` to socket path);
    `is_measured` has requests and transactions counted, for whoever shows `doorward.metering`."""

    roles: tuple[Role, ...]
    database_url: str
    key_file: Path
    identity: IdentitySettings
    relay: RelaySettings
    mailer: Mailer
    ca_file: Path | None = None
    private_push_hosts: tuple[str, ...] = ()
    control_upstreams: Mapping[str, Path] | None = None
    trusted_proxies: tuple[str, ...] = ()
    allowances: Allowances = UNLIMITED
    edge_nodes: int = 1
    is_measured: bool = False


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node that runs. `control` is its ASGI application, or None where it has neither identity nor relay."""

    database: Database
    identity: Identity | None
    relay: Relay | None
    edge: Edge | None
    control: HostDispatcher | None


@contextlib.asynccontextmanager
async def running_node(plan: NodePlan, *, clock: Clock = system_clock) -> AsyncIterator[Node]:
    """Open the database, assemble the roles, run their background work; undo all of it at the end."""
    needs_relay = "relay" in plan.roles or "edge" in plan.roles
    # An identity node reads the relay's notices, so the relay's tables are there for every role.
    schemas: list[Schema] = [RELAY_SCHEMA]
    # A relay beside our own identity asks its rows who is banned, so those are there for every role as well.
    has_own_accounts = plan.relay.accounts_issuer == plan.identity.origin
    if "identity" in plan.roles or has_own_accounts:
        schemas.append(IDENTITY_SCHEMA)
    sealer = Sealer.from_file(plan.key_file)
    async with contextlib.AsyncExitStack() as stack:
        database = await open_database(plan.database_url, schemas=schemas)
        if plan.is_measured:
            database = MeteredDatabase(database)
        stack.push_async_callback(database.close)
        outbound = Outbound(ca_file=plan.ca_file, private_hosts=plan.private_push_hosts)
        stack.push_async_callback(outbound.close)

        identity = relay = edge = None
        applications: dict[str, ASGIApp] = {}

        def mount(role: Role, origin: str, app: ASGIApp) -> None:
            applications[urlsplit(origin).netloc] = MeteredApp(app, role) if plan.is_measured else app

        if "identity" in plan.roles:
            identity = await stack.enter_async_context(_running_identity(plan, database, sealer, clock))
            mount("identity", plan.identity.origin, identity.app)
        if needs_relay:
            is_barred = barred_by_identity(database) if has_own_accounts else nobody_is_barred
            if plan.relay.accounts_webhook is not None:
                is_barred = barred_by_either(is_barred, barred_by_news(database))
            relay = await create_relay(
                plan.relay, database, sealer=sealer, outbound=outbound, clock=clock, is_barred=is_barred
            )
            if "relay" in plan.roles:
                await relay.start()
                stack.push_async_callback(relay.stop)
                mount("relay", plan.relay.origin, relay.app)
        if "edge" in plan.roles and relay is not None:
            edge = await stack.enter_async_context(
                running_edge(
                    relay,
                    database,
                    control={
                        host: UnixUpstream(str(path)) for host, path in (plan.control_upstreams or {}).items()
                    },
                    trusted_proxies=plan.trusted_proxies,
                    allowances=plan.allowances,
                    is_alone=plan.edge_nodes == 1,
                )
            )
        yield Node(
            database=database,
            identity=identity,
            relay=relay,
            edge=edge,
            control=HostDispatcher(applications) if applications else None,
        )


@contextlib.asynccontextmanager
async def _running_identity(
    plan: NodePlan, database: Database, sealer: Sealer, clock: Clock
) -> AsyncIterator[Identity]:
    """With what runs beside it: webhooks are delivered, and owners told of links that the relay noted down."""
    async with contextlib.AsyncExitStack() as stack:
        identity = await create_identity(
            plan.identity, database, sealer=sealer, mailer=plan.mailer, clock=clock
        )
        identity.linked_machines = machines_in(LinkDirectory(database))
        await identity.start()
        stack.push_async_callback(identity.stop)
        callers = Outbound(ca_file=plan.ca_file, private_hosts=plan.identity.webhook_private_hosts)
        stack.push_async_callback(callers.close)
        deliverer = Deliverer(database, sealer, callers, clock, instance_id=identity.instance_id)
        await deliverer.start()
        stack.push_async_callback(deliverer.stop)
        notices = LinkNotices(database, clock)
        await stack.enter_async_context(background(tell_owners_of_links(database, notices, identity)))
        yield identity
