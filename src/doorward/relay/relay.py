"""Putting the relay together."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from doorward.outbound import Carrier, Outbound
from doorward.push import VapidKey
from doorward.relay.activity import store as activity_store
from doorward.relay.activity.publication import Publications
from doorward.relay.activity.rules import KEEP_TERMINAL_MS
from doorward.relay.api.accounts import AccountsApi
from doorward.relay.api.activity import ActivityApi
from doorward.relay.api.client import ClientApi
from doorward.relay.api.connect import ConnectApi
from doorward.relay.api.devices import DevicesApi
from doorward.relay.api.documentation import DocumentationApi
from doorward.relay.api.guards import Guards
from doorward.relay.api.metadata import MetadataApi
from doorward.relay.api.mobile import MobileApi
from doorward.relay.api.proofs import RequestProofs
from doorward.relay.api.recovery import RecoveryApi
from doorward.relay.api.refusals import to_relay_error
from doorward.relay.api.services import ServicesApi
from doorward.relay.api.token import TokenApi
from doorward.relay.connect.service import Connector
from doorward.relay.credentials.service import Credentials
from doorward.relay.delivery import store as delivery_store
from doorward.relay.delivery.keys import load_job_secret, load_vapid_key
from doorward.relay.delivery.queue import DeliveryQueue
from doorward.relay.delivery.senders import Senders, build_senders
from doorward.relay.delivery.worker import Deliveries
from doorward.relay.devices.service import Devices
from doorward.relay.endpoints.claims import TunnelClaims
from doorward.relay.endpoints.cloudflare.census import Sweep, TunnelCensus
from doorward.relay.endpoints.cloudflare.provider import CloudflareProvider
from doorward.relay.endpoints.embedded import EmbeddedProvider
from doorward.relay.endpoints.manual import ManualProvider
from doorward.relay.endpoints.provider import EndpointProvider
from doorward.relay.endpoints.rules import normalize_zone
from doorward.relay.endpoints.tunnels import (
    EndpointOwner,
    Registration,
    TunnelAuthorized,
    TunnelRefused,
    Tunnels,
)
from doorward.relay.http.app import RelayApp
from doorward.relay.http.routing import Route
from doorward.relay.limits import store as limit_store
from doorward.relay.limits.service import WINDOW_MS, Limits
from doorward.relay.link_notices import store as notice_store
from doorward.relay.link_notices.service import KEEP_MS, LinkNotices
from doorward.relay.links.service import Links
from doorward.relay.recovery.service import TunnelRecovery
from doorward.relay.replay import store as replay_store
from doorward.relay.replay.service import DpopProofs
from doorward.relay.services.hosts import ServiceHosts
from doorward.relay.services.service import ServiceNames
from doorward.relay.settings import RelaySettings
from doorward.relay.tokens.mint_key import load_mint_key
from doorward.relay.tokens.rules import TokenSigner
from doorward.relay.users import standings
from doorward.relay.users.barring import IsBarred, nobody_is_barred
from doorward.relay.users.news import KEEP_STANDINGS_MS, AccountNews
from doorward.relay.users.service import Users
from doorward.store import Clock, Database, Schema, Sealer, StoreError, Tx, system_clock

logger = logging.getLogger("doorward.relay")

SCHEMA = Schema("relay", "doorward.relay.migrations")
PRUNE_INTERVAL_S = 300.0
KEEP_DELIVERIES_MS = 7 * 24 * 3_600_000


class Push(msgspec.Struct, frozen=True):
    """What it takes to notify devices. `secret` signs delivery jobs."""

    vapid: VapidKey
    secret: bytes
    senders: Senders

    def __repr__(self) -> str:
        return "Push(…)"


class Relay:
    """A running relay: `app` is the ASGI application, the methods are what the edge asks.

    `link_notices` are what the owners of links have to be told.
    `is_connected` may be set to a function from tunnel id to "is open now"; until then the list of environments
    does not say. `nearby` may be set to what leads to machines without the network, by their host names. `claims` is what
    the nodes of the edge agree upon, `is_barred` whether an account is banned or gone.
    """

    def __init__(
        self,
        settings: RelaySettings,
        database: Database,
        signer: TokenSigner,
        outbound: Outbound,
        clock: Clock,
        *,
        push: Push,
        is_barred: IsBarred = nobody_is_barred,
    ) -> None:
        self.settings = settings
        self.is_barred = is_barred
        self.is_connected: Callable[[str], bool | None] = lambda _tunnel_id: None
        self.nearby: Callable[[str], Carrier | None] = lambda _host: None
        self.link_notices = LinkNotices(database, clock)
        self._database = database
        self._clock = clock
        self._pruning: asyncio.Task[None] | None = None
        hosts = ServiceHosts(normalize_zone(settings.zone), settings.custom_hosts)
        self._tunnels = Tunnels(database, hosts, is_barred=is_barred)
        self.claims = TunnelClaims(database, clock)
        provider, self._census = _provider(settings, database, outbound, clock)
        self.deliveries = Deliveries(database, push.senders, push.secret, clock)
        routes = self._routes(signer, outbound, provider, push)
        self.app = RelayApp(
            [*routes, *DocumentationApi(routes, issuer=settings.issuer).routes()],
            issuer=settings.issuer,
            max_parameter=settings.max_path_parameter,
            deadline=settings.request_deadline,
            translate=to_relay_error,
        )

    def _routes(
        self, signer: TokenSigner, outbound: Outbound, provider: EndpointProvider, push: Push
    ) -> list[Route[Any, Any]]:
        settings, database, clock = self.settings, self._database, self._clock
        users = Users(settings, database, outbound, clock, is_barred=self.is_barred)
        guards = Guards(users, Credentials(database), signer, clock)
        proofs = DpopProofs(database, clock, signature_before_time=not settings.strict_base)
        limits = Limits(settings.rate_limits, database, clock)
        services = ServiceNames(settings, database, clock)
        client = ClientApi(
            settings,
            guards=guards,
            links=Links(settings, database, signer, provider, clock),
            services=services,
            limits=limits,
            cloud_mint_public_key=signer.public_key_pem,
            is_connected=lambda tunnel_id: self.is_connected(tunnel_id),
        )
        connector = Connector(settings, signer, outbound, clock, nearby=lambda host: self.nearby(host))
        publications = Publications(settings, database, DeliveryQueue(push.secret, push.senders), clock)
        devices = Devices(database, publications, clock)
        request_proofs = RequestProofs(proofs, limits)
        return [
            *MetadataApi(settings, database).routes(),
            *client.routes(),
            *TokenApi(users=users, proofs=proofs, limits=limits, signer=signer, clock=clock).routes(),
            *ConnectApi(guards=guards, proofs=request_proofs, connector=connector).routes(),
            *RecoveryApi(
                guards=guards,
                limits=limits,
                recovery=TunnelRecovery(settings, database, provider, clock),
            ).routes(),
            *DevicesApi(guards=guards, devices=devices, limits=limits, vapid=push.vapid).routes(),
            *MobileApi(
                guards=guards, proofs=request_proofs, devices=devices, publications=publications
            ).routes(),
            *ActivityApi(guards=guards, publications=publications, limits=limits).routes(),
            *(
                AccountsApi(AccountNews(settings.accounts_webhook.secret, database, clock)).routes()
                if settings.accounts_webhook is not None
                else ()
            ),
            # Names beside the machine's own lead through our own edge only; agents take 404 for "not offered".
            *(
                ServicesApi(guards=guards, services=services).routes()
                if settings.provider == "embedded"
                else ()
            ),
        ]

    async def authorize_tunnel(
        self, *, environment_id: str, generation: int, token: str
    ) -> TunnelAuthorized | TunnelRefused:
        """Whether the connector that signed `token` may open this tunnel now.

        `environment_id` is the connector token's: the tunnel's id, unique per account and environment.
        """
        return await self._tunnels.authorize(tunnel_id=environment_id, generation=generation, token=token)

    async def resolve_host(self, host: str) -> EndpointOwner | None:
        """The tunnel behind a public host name, connected or not."""
        return await self._tunnels.resolve_host(host)

    async def hostnames(self, environment_id: str) -> tuple[str, ...]:
        """Every public host name of a tunnel, for the edge to reload after "relay.hostnames"."""
        return await self._tunnels.hostnames(environment_id)

    async def registration(self, environment_id: str) -> Registration | None:
        """What is registered for a tunnel now, `None` when its link ended; for an edge that may have missed a notice."""
        return await self._tunnels.registration(environment_id)

    async def start(self) -> None:
        """Begin the background jobs: deliveries, and every five minutes forgetting what is past its use."""
        await self.deliveries.start()
        self._pruning = asyncio.create_task(self._prune_forever())

    async def stop(self) -> None:
        await self.deliveries.stop()
        if self._pruning is not None:
            self._pruning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pruning
            self._pruning = None

    async def prune(self) -> None:
        now = self._clock()

        def write(tx: Tx) -> None:
            replay_store.prune(tx, now=now)
            limit_store.prune(tx, before=now - 2 * WINDOW_MS)
            notice_store.prune(tx, before=now - KEEP_MS)
            activity_store.prune(tx, finished_before=now - KEEP_TERMINAL_MS)
            delivery_store.prune(tx, finished_before=now - KEEP_DELIVERIES_MS)
            standings.prune(tx, received_before=now - KEEP_STANDINGS_MS)

        await self._database.write(write)

    async def sweep(self) -> Sweep:
        """Look for tunnels nobody uses, where the provider keeps them elsewhere."""
        return Sweep() if self._census is None else await self._census.sweep()

    async def _prune_forever(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_INTERVAL_S)
            try:
                await self.prune()
                await self.sweep()
            except StoreError as error:
                # The next round deletes what this one could not.
                logger.warning("Pruning failed: %s", error.code)


def _provider(
    settings: RelaySettings, database: Database, outbound: Outbound, clock: Clock
) -> tuple[EndpointProvider, TunnelCensus | None]:
    """What gives the machines their public names, and who looks after what that leaves behind elsewhere."""
    if settings.cloudflare is not None:
        cloudflare = CloudflareProvider(settings, settings.cloudflare, database, outbound, clock)
        return cloudflare, TunnelCensus(
            cloudflare, database, clock, stage=settings.stage, mode=settings.cloudflare.cleanup
        )
    if settings.provider == "embedded":
        return EmbeddedProvider(settings, database, clock), None
    return ManualProvider(), None


async def create_relay(
    settings: RelaySettings,
    database: Database,
    *,
    sealer: Sealer,
    outbound: Outbound,
    clock: Clock = system_clock,
    senders: Senders | None = None,
    is_barred: IsBarred = nobody_is_barred,
) -> Relay:
    """A relay over an open database whose `SCHEMA` is up to date. `senders` replace those the settings ask for;
    `is_barred` knows who is banned.

    Raises `SealBroken` for a wrong key file, `JoseError` for a key of Apple's or Google's that is none.
    """
    key = await load_mint_key(database, sealer, clock)
    vapid = await load_vapid_key(database, sealer, clock)
    push = Push(
        vapid=vapid,
        secret=await load_job_secret(database, sealer, clock),
        senders=senders or build_senders(settings, outbound, vapid),
    )
    signer = TokenSigner(key, settings.issuer)
    return Relay(settings, database, signer, outbound, clock, push=push, is_barred=is_barred)
