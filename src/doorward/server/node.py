"""One server process: identity, relay and edge, by role, from one configuration.

`control` answers for the accounts and relay origins; `edge` for the machines' host names and their tunnels. In
`serve` each has its own listener. In `up` the edge owns the public ones and hands control hosts on over a unix socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from doorward.http1 import UnixUpstream
from doorward.identity import Identity, IdentitySettings, Mailer
from doorward.outbound import Outbound
from doorward.relay import Relay, RelaySettings
from doorward.server.configuration import Role
from doorward.server.hosts import HostDispatcher
from doorward.store import Clock, Database, Schema, Sealer, open_database, system_clock
from doorward.tunnel import Edge


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """What a node is made of. `control_upstreams` are the hosts an edge hands on (`host[:port]` to socket path)."""

    roles: tuple[Role, ...]
    database_url: str
    key_file: Path
    identity: IdentitySettings
    relay: RelaySettings
    mailer: Mailer
    ca_file: Path | None = None
    control_upstreams: Mapping[str, Path] | None = None


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that runs. `control` is its ASGI application, or None where it has neither identity nor relay."""

    database: Database
    identity: Identity | None
    relay: Relay | None
    edge: Edge | None
    control: HostDispatcher | None


class _TunnelNotice(msgspec.Struct, rename="camel"):
    environment_id: str
    generation: int


@contextlib.asynccontextmanager
async def running_node(plan: NodePlan, *, clock: Clock = system_clock) -> AsyncIterator[Node]:
    """Open the database, assemble the roles, run their background work; undo all of it at the end."""
    from doorward import identity as identity_room
    from doorward import relay as relay_room

    needs_relay = "relay" in plan.roles or "edge" in plan.roles
    schemas: list[Schema] = []
    if "identity" in plan.roles:
        schemas.append(identity_room.SCHEMA)
    if needs_relay:
        schemas.append(relay_room.SCHEMA)
    sealer = Sealer.from_file(plan.key_file)
    async with contextlib.AsyncExitStack() as stack:
        database = await open_database(plan.database_url, schemas=schemas)
        stack.push_async_callback(database.close)
        outbound = Outbound(ca_file=plan.ca_file)
        stack.push_async_callback(outbound.close)

        identity = relay = edge = None
        applications = {}
        if "identity" in plan.roles:
            identity = await identity_room.create_identity(
                plan.identity, database, sealer=sealer, mailer=plan.mailer, clock=clock
            )
            await identity.start()
            stack.push_async_callback(identity.stop)
            applications[urlsplit(plan.identity.origin).netloc] = identity.app
        if needs_relay:
            relay = await relay_room.create_relay(
                plan.relay, database, sealer=sealer, outbound=outbound, clock=clock
            )
            if "relay" in plan.roles:
                await relay.start()
                stack.push_async_callback(relay.stop)
                applications[urlsplit(plan.relay.origin).netloc] = relay.app
        if "edge" in plan.roles and relay is not None:
            edge = Edge(
                authorize=relay.authorize_tunnel,
                resolve_host=relay.resolve_host,
                control={
                    host: UnixUpstream(str(path)) for host, path in (plan.control_upstreams or {}).items()
                },
            )
            relay.is_connected = edge.is_connected
            stack.push_async_callback(edge.close)
            await stack.enter_async_context(_background(_follow_unlinks(database, edge)))
            await stack.enter_async_context(_background(_follow_names(database, relay, edge)))
        yield Node(
            database=database,
            identity=identity,
            relay=relay,
            edge=edge,
            control=HostDispatcher(applications) if applications else None,
        )


async def _follow_unlinks(database: Database, edge: Edge) -> None:
    """Close the tunnel of a machine whose link ended or was renewed, on whichever node holds it."""
    async with database.subscribe("relay.tunnel") as notices:
        async for payload in notices:
            if payload:
                notice = msgspec.json.decode(payload, type=_TunnelNotice)
                edge.close_tunnel(notice.environment_id, below_generation=notice.generation)
            else:
                # Something may have been missed: each tunnel proves itself again.
                edge.readmit_all()


async def _follow_names(database: Database, relay: Relay, edge: Edge) -> None:
    """Give a connected machine the names it claimed, and take back those it gave up."""
    async with database.subscribe("relay.hostnames") as notices:
        async for environment_id in notices:
            if environment_id:
                edge.set_hostnames(environment_id, await relay.hostnames(environment_id))
            else:
                edge.readmit_all()


@contextlib.asynccontextmanager
async def _background(coroutine: object) -> AsyncIterator[None]:
    task = asyncio.ensure_future(coroutine)  # type: ignore[call-overload]
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
