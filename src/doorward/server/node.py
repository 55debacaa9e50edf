"""One server process: identity, relay and edge, by role, from one configuration.

`control` answers for the accounts and relay origins; `edge` for the machines' host names and their tunnels. In
`serve` each has its own listener. In `up` the edge owns the public ones and hands control hosts on over a unix socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.types import ASGIApp

from doorward.http1 import UnixUpstream
from doorward.identity.app import SCHEMA as IDENTITY_SCHEMA
from doorward.identity.app import Identity, create_identity
from doorward.identity.mail import Mailer
from doorward.identity.settings import IdentitySettings
from doorward.outbound import Outbound
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.relay import Relay, RelaySettings, TunnelRefused, create_relay
from doorward.server.configuration import Role
from doorward.server.hosts import HostDispatcher
from doorward.server.metered import MeteredApp, MeteredDatabase
from doorward.store import Clock, Database, Schema, Sealer, open_database, system_clock
from doorward.tunnel import (
    Authorize,
    Edge,
    HostOwner,
    ResolveHost,
    TunnelGrant,
    TunnelHello,
    TunnelRefusal,
)


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """What a node is made of. `control_upstreams` are the hosts an edge hands on (`host[:port]` to socket path);
    `is_measured` has requests and transactions counted, for whoever shows `doorward.metering`."""

    roles: tuple[Role, ...]
    database_url: str
    key_file: Path
    identity: IdentitySettings
    relay: RelaySettings
    mailer: Mailer
    ca_file: Path | None = None
    control_upstreams: Mapping[str, Path] | None = None
    trusted_proxies: tuple[str, ...] = ()
    is_measured: bool = False


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that runs. `control` is its ASGI application, or None where it has neither identity nor relay."""

    database: Database
    identity: Identity | None
    relay: Relay | None
    edge: Edge | None
    control: HostDispatcher | None


_EVERY_GENERATION = 2**63


class _TunnelNotice(msgspec.Struct, rename="camel"):
    environment_id: str
    generation: int


@contextlib.asynccontextmanager
async def running_node(plan: NodePlan, *, clock: Clock = system_clock) -> AsyncIterator[Node]:
    """Open the database, assemble the roles, run their background work; undo all of it at the end."""
    needs_relay = "relay" in plan.roles or "edge" in plan.roles
    schemas: list[Schema] = []
    if "identity" in plan.roles:
        schemas.append(IDENTITY_SCHEMA)
    if needs_relay:
        schemas.append(RELAY_SCHEMA)
    sealer = Sealer.from_file(plan.key_file)
    async with contextlib.AsyncExitStack() as stack:
        database = await open_database(plan.database_url, schemas=schemas)
        if plan.is_measured:
            database = MeteredDatabase(database)
        stack.push_async_callback(database.close)
        outbound = Outbound(ca_file=plan.ca_file)
        stack.push_async_callback(outbound.close)

        identity = relay = edge = None
        applications: dict[str, ASGIApp] = {}

        def mount(role: Role, origin: str, app: ASGIApp) -> None:
            applications[urlsplit(origin).netloc] = MeteredApp(app, role) if plan.is_measured else app

        if "identity" in plan.roles:
            identity = await create_identity(
                plan.identity, database, sealer=sealer, mailer=plan.mailer, clock=clock
            )
            await identity.start()
            stack.push_async_callback(identity.stop)
            mount("identity", plan.identity.origin, identity.app)
        if needs_relay:
            relay = await create_relay(plan.relay, database, sealer=sealer, outbound=outbound, clock=clock)
            if "relay" in plan.roles:
                await relay.start()
                stack.push_async_callback(relay.stop)
                mount("relay", plan.relay.origin, relay.app)
        if "edge" in plan.roles and relay is not None:
            edge = Edge(
                origin=plan.relay.edge_url,
                authorize=_authorize(relay),
                resolve_host=_resolve_host(relay),
                control={
                    host: UnixUpstream(str(path)) for host, path in (plan.control_upstreams or {}).items()
                },
                trusted_proxies=plan.trusted_proxies,
            )
            relay.is_connected = edge.is_connected
            stack.push_async_callback(edge.close)
            await stack.enter_async_context(_background(_follow_unlinks(database, relay, edge)))
            await stack.enter_async_context(_background(_follow_names(database, relay, edge)))
        yield Node(
            database=database,
            identity=identity,
            relay=relay,
            edge=edge,
            control=HostDispatcher(applications) if applications else None,
        )


def _authorize(relay: Relay) -> Authorize:
    """The relay's registration in the edge's words."""

    async def authorize(hello: TunnelHello) -> TunnelGrant | TunnelRefusal:
        answer = await relay.authorize_tunnel(
            environment_id=hello.environment_id, generation=hello.generation, token=hello.token
        )
        if isinstance(answer, TunnelRefused):
            return TunnelRefusal(answer.reason, answer.message)
        return TunnelGrant(
            environment_id=answer.environment_id,
            generation=answer.generation,
            hostnames=answer.hostnames,
            account=answer.account,
            public_key=answer.public_key,
        )

    return authorize


def _resolve_host(relay: Relay) -> ResolveHost:
    async def resolve_host(host: str) -> HostOwner | None:
        owner = await relay.resolve_host(host)
        return None if owner is None else HostOwner(owner.environment_id, owner.account)

    return resolve_host


async def _follow_unlinks(database: Database, relay: Relay, edge: Edge) -> None:
    """Close the tunnel of a machine whose link ended or was renewed, on whichever node holds it."""
    async with database.subscribe("relay.tunnel") as notices:
        async for payload in notices:
            if payload:
                notice = msgspec.json.decode(payload, type=_TunnelNotice)
                edge.close_tunnel(notice.environment_id, below_generation=notice.generation)
            else:
                await _check_all(relay, edge)


async def _follow_names(database: Database, relay: Relay, edge: Edge) -> None:
    """Give a connected machine the names it claimed, and take back those it gave up."""
    async with database.subscribe("relay.hostnames") as notices:
        async for environment_id in notices:
            if environment_id:
                edge.set_hostnames(environment_id, await relay.hostnames(environment_id))
            else:
                await _check_all(relay, edge)


async def _check_all(relay: Relay, edge: Edge) -> None:
    """A notice may have been missed: hold every open tunnel against what is registered now."""
    for environment_id in edge.environments():
        registration = await relay.registration(environment_id)
        if registration is None:
            edge.close_tunnel(environment_id, below_generation=_EVERY_GENERATION)
        else:
            edge.close_tunnel(environment_id, below_generation=registration.generation)
            edge.set_hostnames(environment_id, registration.hostnames)


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
