"""One environment, put together: its secrets, database, services and the two applications."""

import asyncio
import logging
from contextlib import suppress

from starlette.types import ASGIApp

from doorward.environment import replay
from doorward.environment.access import MACHINE, Actor
from doorward.environment.approvals.mode import SecurityModes
from doorward.environment.approvals.service import Approvals
from doorward.environment.audit import Audit
from doorward.environment.children import Children
from doorward.environment.children import store as children_store
from doorward.environment.descriptor import describe_auth, describe_environment
from doorward.environment.keys import Keys, SecretStore, SecretStoreFailed, load_environment_id
from doorward.environment.link.cli_token import CliTokenRefused, CliTokens, CliTokenUnavailable
from doorward.environment.link.reconcile import Reconciler
from doorward.environment.link.service import CHANNEL as LINK_CHANNEL
from doorward.environment.link.service import Link
from doorward.environment.link.supervisor import Supervisor
from doorward.environment.link.undo import RelayOutcome, revoke_at_relay
from doorward.environment.mint import Mint
from doorward.environment.notifications import Notifications
from doorward.environment.notifications import store as notification_store
from doorward.environment.pairing import store as pairing_store
from doorward.environment.pairing.service import Pairing
from doorward.environment.relay_client import PageInstallation, RelayClient, RelayClientNeed
from doorward.environment.replay import ReplayGuards
from doorward.environment.services import PublishedService, Services
from doorward.environment.services.liveness import Liveness
from doorward.environment.sessions import store as session_store
from doorward.environment.sessions.authentication import Authentication
from doorward.environment.sessions.ending import Endings
from doorward.environment.sessions.service import Sessions
from doorward.environment.settings import EnvironmentSettings, Service
from doorward.outbound import Outbound
from doorward.store import Clock, Database, Schema, StoreError, Tx
from doorward.t3_connect import InsecureOrigin, secure_origin
from doorward.t3_connect.messages import EndpointRuntimeStatus

log = logging.getLogger(__name__)

SCHEMA = Schema("environment", "doorward.environment.migrations")

PRUNE_SECONDS = 60.0
#: Ended sessions and used credentials are kept this long, for the person who asks what happened.
KEEP_ENDED_MS = 7 * 24 * 3_600_000


class ServiceRefused(Exception):
    """This service must not be exposed; the message says why."""

    code = "service_refused"


class Environment:
    """Made by `create_environment`. `start` before serving, `stop` at the end; the attributes are the services."""

    loopback_app: ASGIApp
    tunnel_app: ASGIApp

    def __init__(
        self, settings: EnvironmentSettings, database: Database, *, outbound: Outbound, clock: Clock
    ) -> None:
        """Raises SecretStoreFailed or OSError when the data folder cannot be used."""
        self.settings = settings
        self.database = database
        self.outbound = outbound
        self.clock = clock
        self.label = settings.label
        self.environment_id = load_environment_id(settings.state_dir)
        self.descriptor = describe_environment(self.environment_id, settings.label)
        self.auth_descriptor = describe_auth(settings.host)
        self.secrets = SecretStore(settings.state_dir / "secrets")
        self.keys = Keys(self.secrets)
        self.modes = SecurityModes(self.secrets)
        self.guards = ReplayGuards(database, clock)
        self.authentication = Authentication(database, clock, self.keys, self.guards)
        self.sessions = Sessions(database, clock, self.keys)
        self.endings = Endings(database, clock)
        self.children = Children(database, clock)
        self.pairing = Pairing(database, clock)
        self.approvals = Approvals(database, clock, self.modes, is_remote_admin_on=settings.remote_admin)
        self.notifications = Notifications(
            database,
            clock,
            self.secrets,
            outbound,
            machine=settings.label,
            contact=settings.relay_url,
            is_remote_admin_on=settings.remote_admin,
        )
        self.audit = Audit(database)
        self.services = Services(database, clock)
        self.liveness = Liveness()
        self.relay_client = RelayClient(settings.home / "tools", outbound)
        self.relay_client_need = RelayClientNeed(settings.home, outbound)
        self.installation = PageInstallation(self.relay_client, self._announce_link)
        self.supervisor = Supervisor(self.relay_client)
        self.link = Link(database, clock, self.secrets, self.modes, self.supervisor)
        self.tokens = CliTokens(
            self.secrets,
            clock,
            outbound,
            accounts_origin=settings.accounts_origin,
            client_id=settings.cli_client_id,
        )
        self.reconciler = Reconciler(
            clock=clock,
            outbound=outbound,
            keys=self.keys,
            link=self.link,
            tokens=self.tokens,
            services=self.services,
            descriptor=self.descriptor,
            relay_url=settings.relay_url,
        )
        self.mint = Mint(
            clock=clock,
            keys=self.keys,
            link=self.link,
            approvals=self.approvals,
            guards=self.guards,
            descriptor=self.descriptor,
        )
        self.port = settings.port
        #: Set before the listeners close: whoever holds a request open ends it now instead of being cut off.
        self.is_stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def port(self) -> int:
        """Where the loopback door listens; part of every loopback name and of the one-time link."""
        return self.pairing.port

    @port.setter
    def port(self, port: int) -> None:
        self.pairing.port = port

    async def start(self) -> None:
        """Load what is kept in memory and start the background work."""
        self.secrets.sweep()
        await self.approvals.finish_interrupted()
        self.link.load()
        await self.services.load()
        for service in self.settings.services:
            await self.add_service(MACHINE, service)
        is_watching, is_telling, is_following = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._tasks = [
            asyncio.create_task(self.endings.watch(is_watching), name="session endings"),
            asyncio.create_task(self.notifications.watch(is_telling), name="notifications"),
            asyncio.create_task(self.services.watch(is_following), name="services"),
            asyncio.create_task(self._prune_for_ever(), name="prune"),
        ]
        await is_watching.wait()
        await is_telling.wait()
        await is_following.wait()

    async def stop(self) -> None:
        """Stop the tunnel and the background work; the database closes last."""
        await self.installation.close()
        await self.supervisor.close()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.database.close()

    async def _announce_link(self) -> None:
        """Let every page that shows the link look again."""
        await self.database.write(lambda tx: tx.notify(LINK_CHANNEL, "install"))

    async def unlink(self, actor: Actor) -> EndpointRuntimeStatus:
        """Undo the link on this side: the connector stops, visits end, the services lose their public hosts.

        A visit must not live on into a later link, which may be another account's.
        """
        status = await self.link.unlink(actor)
        await self.approvals.end_visits()
        await self.services.forget_addresses(actor)
        return status

    async def unlink_everywhere(self, actor: Actor) -> RelayOutcome:
        """Undo the link here, whatever the relay says, then its record there; what became of that record.

        Raises NotAllowed, LinkRefused before anything is undone.
        """
        state = self.link.state(actor)
        was_linked = state.linked or self.link.is_wanted()
        await self.unlink(actor)
        return await self._revoke_record(state.relay_url) if was_linked else "not_linked"

    async def _revoke_record(self, linked_relay: str | None) -> RelayOutcome:
        try:
            bearer = await self.tokens.existing()
            if bearer is None:
                return "not_authenticated"
            relay = secure_origin(linked_relay or self.settings.relay_url or "")
        except (CliTokenRefused, CliTokenUnavailable, SecretStoreFailed, InsecureOrigin) as error:
            log.warning(
                "the relay's record stays: %s", error, extra={"operation": "relay-environment-unlink"}
            )
            return "failed"
        return await revoke_at_relay(
            self.outbound, relay=relay, bearer=bearer, environment_id=self.environment_id
        )

    async def add_service(self, actor: Actor, service: Service) -> PublishedService:
        """Add a service, or change one, and claim its name at once. Raises ServiceRefused, NotAllowed."""
        if service.port == self.port and service.host in ("127.0.0.1", "::1", "localhost"):
            raise ServiceRefused(
                f"Port {service.port} is this machine's own page, which is never exposed. Name another service's port."
            )
        added = await self.services.add(actor, service)
        self.reconciler.trigger(only_names=True)
        return added

    async def remove_service(self, actor: Actor, name: str) -> bool:
        """Forget a service here, and give its name back at the relay where that can be reached."""
        is_removed = await self.services.remove(actor, name)
        if is_removed:
            await self.reconciler.release_name(name)
        return is_removed

    async def prune(self) -> None:
        """Delete what can no longer be asked about: used guards, expired codes, long-ended sessions."""
        now = self.clock()

        def prune(tx: Tx) -> None:
            replay.prune(tx, now)
            children_store.prune(tx, now)
            pairing_store.prune(tx, now - KEEP_ENDED_MS)
            session_store.prune(tx, now - KEEP_ENDED_MS)
            notification_store.prune(tx, before=now - KEEP_ENDED_MS)

        await self.database.write(prune)

    async def _prune_for_ever(self) -> None:
        while True:
            try:
                await self.prune()
            except StoreError:
                log.warning("old rows could not be pruned; trying again later", exc_info=True)
            await asyncio.sleep(PRUNE_SECONDS)
