"""The edge of one node, joined to the relay's registrations and, through the database, to the other nodes' edges."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Collection, Mapping

import msgspec

from doorward.http1 import Upstream
from doorward.identity.accounts.service import BARRED_CHANNEL
from doorward.relay import (
    CLAIMS_CHANNEL,
    STANDINGS_CHANNEL,
    WANTED_CHANNEL,
    Relay,
    TunnelClaimed,
    TunnelRefused,
    TunnelWanted,
)
from doorward.server.background import background
from doorward.server.own_edge import OwnEdge
from doorward.store import Database
from doorward.tunnel import (
    UNLIMITED,
    Allowances,
    Authorize,
    Claim,
    Edge,
    HostOwner,
    Probing,
    ResolveHost,
    TunnelGrant,
    TunnelHello,
    TunnelRefusal,
    Want,
)

_EVERY_GENERATION = 2**63
#: What anybody may ask of a machine, ours or T3 Code's.
_PUBLIC_PATH = b"/.well-known/t3/environment"


class _TunnelNotice(msgspec.Struct, rename="camel"):
    environment_id: str
    generation: int


@contextlib.asynccontextmanager
async def running_edge(
    relay: Relay,
    database: Database,
    *,
    control: Mapping[str, Upstream],
    trusted_proxies: Collection[str],
    allowances: Allowances = UNLIMITED,
    is_alone: bool = True,
) -> AsyncIterator[Edge]:
    """An edge that follows what the relay and the other nodes decide; closed at the end."""
    node = secrets.token_hex(8)
    edge = Edge(
        origin=relay.settings.edge_url,
        authorize=_authorize(relay),
        resolve_host=_resolve_host(relay),
        claim=_claim(relay),
        want=_want(relay, node),
        control=control,
        trusted_proxies=trusted_proxies,
        allowances=allowances,
        t3_relay=relay.settings.t3_relay,
        probing=Probing(target=_PUBLIC_PATH),
    )
    # A machine that is not here may be at another node, which this one cannot see.
    relay.is_connected = lambda tunnel_id: edge.is_connected(tunnel_id) or (False if is_alone else None)
    relay.nearby = OwnEdge(edge).to
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(edge.close)
        for work in (
            _follow_unlinks(database, relay, edge),
            _follow_names(database, relay, edge),
            _follow_claims(database, relay, edge),
            _follow_wanted(database, edge, node),
            _follow_bans(database, relay, edge, BARRED_CHANNEL),
            _follow_bans(database, relay, edge, STANDINGS_CHANNEL),
        ):
            await stack.enter_async_context(background(work))
        yield edge


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


def _claim(relay: Relay) -> Claim:
    async def claim(hello: TunnelHello) -> int:
        return await relay.claims.claim(hello.environment_id, instance=hello.instance)

    return claim


def _want(relay: Relay, node: str) -> Want:
    async def want(environment_id: str, hostname: str) -> None:
        await relay.claims.want(TunnelWanted(environment_id, hostname, node))

    return want


async def _follow_unlinks(database: Database, relay: Relay, edge: Edge) -> None:
    """Close the tunnel of a machine whose link ended or was renewed, on whichever node holds it."""
    async with database.subscribe("relay.tunnel") as notices:
        async for payload in notices:
            if payload:
                notice = msgspec.json.decode(payload, type=_TunnelNotice)
                edge.close_tunnel(notice.environment_id, below_generation=notice.generation)
            else:
                await _check_all(relay, edge)


async def _follow_bans(database: Database, relay: Relay, edge: Edge, channel: str) -> None:
    """End the tunnels, and with them the visitors, of an account that was banned or deleted on whichever node.

    That change's own transaction tells of it, or the one that wrote down what a webhook told; the machine's next attempt
    is refused by the row.
    """
    async with database.subscribe(channel) as told:
        async for user_id in told:
            for account in [user_id] if user_id else edge.accounts():
                if await relay.is_barred(account):
                    edge.close_account(account)


async def _follow_names(database: Database, relay: Relay, edge: Edge) -> None:
    """Give a connected machine the names it claimed, and take back those it gave up."""
    async with database.subscribe("relay.hostnames") as notices:
        async for environment_id in notices:
            if environment_id:
                edge.set_hostnames(environment_id, await relay.hostnames(environment_id))
            else:
                await _check_all(relay, edge)


async def _follow_claims(database: Database, relay: Relay, edge: Edge) -> None:
    """End the connections of a connector that another one replaced, wherever that one was admitted."""
    async with database.subscribe(CLAIMS_CHANNEL) as notices:
        async for payload in notices:
            if payload:
                notice = msgspec.json.decode(payload, type=TunnelClaimed)
                edge.supersede(notice.environment_id, epoch=notice.epoch)
            else:
                for environment_id in edge.environments():
                    edge.supersede(environment_id, epoch=await relay.claims.epoch(environment_id))


async def _follow_wanted(database: Database, edge: Edge, node: str) -> None:
    """Send a machine to the node where its visitors wait. A missed notice costs a visitor the wait, nothing else."""
    async with database.subscribe(WANTED_CHANNEL) as notices:
        async for payload in notices:
            if payload:
                notice = msgspec.json.decode(payload, type=TunnelWanted)
                if notice.node != node:
                    edge.wanted_elsewhere(notice.environment_id, notice.hostname)


async def _check_all(relay: Relay, edge: Edge) -> None:
    """A notice may have been missed: hold every open tunnel against what is registered now."""
    for environment_id in edge.environments():
        registration = await relay.registration(environment_id)
        if registration is None:
            edge.close_tunnel(environment_id, below_generation=_EVERY_GENERATION)
        else:
            edge.close_tunnel(environment_id, below_generation=registration.generation)
            edge.set_hostnames(environment_id, registration.hostnames)
