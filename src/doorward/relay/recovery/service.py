"""Releasing a tunnel, telling of it, and bringing it back."""

import logging

from doorward.relay.audit.store import Origin, record
from doorward.relay.credentials.store import CredentialOwner
from doorward.relay.endpoints import store as endpoint_store
from doorward.relay.endpoints.provider import (
    EndpointError,
    EndpointProvider,
    Provisioned,
    ProvisionRequest,
    Reconciled,
)
from doorward.relay.endpoints.rules import urls_of
from doorward.relay.links import store as link_store
from doorward.relay.links.store import LinkRow
from doorward.relay.recovery.rules import (
    EndpointMismatch,
    RecoveryRefused,
    RecoveryWish,
    check_recoverable,
    check_recovery_proof,
)
from doorward.relay.settings import RelaySettings
from doorward.store import Clock, Database, Tx

logger = logging.getLogger("doorward.relay")


class EndpointNotReachable(Exception):
    """The provider could not do its part; asking again may help."""


class TunnelRecovery:
    def __init__(
        self, settings: RelaySettings, database: Database, provider: EndpointProvider, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._provider = provider
        self._clock = clock

    async def release(self, *, user_id: str, environment_id: str, origin: Origin) -> bool:
        """End the tunnel, keep the link. False when a provision owns it now. Raises `EndpointNotReachable`."""
        try:
            released = await self._provider.release(user_id=user_id, environment_id=environment_id)
        except EndpointError as error:
            raise _not_reachable(error) from error
        if released:
            await self._audit(user_id, "tunnel.released", environment_id, origin)
        return released

    async def register(self, owner: CredentialOwner, wish: RecoveryWish) -> Reconciled:
        """Whether the tunnel the environment runs is the recorded one; then it may also be ended when idle, because
        its environment is known to bring it back. Raises `RecoveryRefused`, `EndpointNotReachable`.
        """
        await self._check(owner, wish, with_endpoint=True)
        request, tunnel_id = _request(wish), wish.tunnel_id or ""
        try:
            answer = await self._provider.reconcile(request, tunnel_id=tunnel_id)
        except EndpointError as error:
            raise _not_reachable(error) from error
        if answer == "ready":
            now = self._clock()
            await self._database.write(lambda tx: self._enable(tx, owner, request, tunnel_id, now))
        return answer

    async def recover(
        self, owner: CredentialOwner, wish: RecoveryWish, origin: Origin
    ) -> tuple[LinkRow, Provisioned]:
        """A fresh connector token for the same names. Raises `RecoveryRefused`, `EndpointNotReachable`.

        Should the link end meanwhile, nothing is left behind: the rows are written only together with a look at it.
        """
        await self._check(owner, wish)
        request = _request(wish)
        now = self._clock()

        def write(tx: Tx) -> tuple[LinkRow, Provisioned]:
            link = self._link(tx, owner)
            provisioned = prepared.record(tx, now=now)
            if (provisioned.urls.http, provisioned.urls.ws) != (link.http_base_url, link.ws_base_url):
                raise EndpointMismatch("managed_endpoint_mismatch")
            self._enable(tx, owner, request, provisioned.tunnel_id, now)
            record(
                tx,
                at=now,
                actor=f"t3-env:{owner.environment_id}",
                action="tunnel.recovered",
                object_id=owner.environment_id,
                origin=origin,
                detail={"account": owner.user_id},
            )
            tx.notify("relay.hostnames", provisioned.tunnel_id)
            return link, provisioned

        try:
            prepared = await self._provider.prepare(request)
        except EndpointError as error:
            raise _not_reachable(error) from error
        try:
            return await self._database.write(write)
        except BaseException as error:
            await prepared.abandon()
            if isinstance(error, RecoveryRefused):
                await self._forget(owner, is_mismatch=isinstance(error, EndpointMismatch))
            if isinstance(error, EndpointError):
                raise _not_reachable(error) from error
            raise

    async def _check(
        self, owner: CredentialOwner, wish: RecoveryWish, *, with_endpoint: bool = False
    ) -> None:
        issuer = self._settings.issuer
        check_recovery_proof(wish, owner=owner, issuer=issuer, now=self._clock() // 1000)

        def look(tx: Tx) -> None:
            link = self._link(tx, owner)
            if with_endpoint:
                self._check_endpoint(tx, link)

        await self._database.read(look)

    def _check_endpoint(self, tx: Tx, link: LinkRow) -> None:
        """Rows that disagree are ours to mend: the machine is not told to make another tunnel of them.

        An allocation that is closed has no say: a link without a tunnel has URLs of its own.
        """
        allocation = endpoint_store.find(tx, user_id=link.user_id, environment_id=link.environment_id)
        if allocation is None or not allocation.is_ready:
            return
        urls = urls_of(allocation.hostname, self._settings)
        if (urls.http, urls.ws) != (link.http_base_url, link.ws_base_url):
            raise EndpointNotReachable("the link's endpoint is not the allocation's")

    def _link(self, tx: Tx, owner: CredentialOwner) -> LinkRow:
        link = link_store.find_active(tx, user_id=owner.user_id, environment_id=owner.environment_id)
        return check_recoverable(link, owner)

    def _enable(
        self, tx: Tx, owner: CredentialOwner, request: ProvisionRequest, tunnel_id: str, now: int
    ) -> None:
        """Raises `RecoveryRefused` when link, tunnel or origin are no longer what was checked."""
        self._link(tx, owner)
        enabled = endpoint_store.enable_recovery(
            tx,
            user_id=owner.user_id,
            environment_id=owner.environment_id,
            tunnel_id=tunnel_id,
            origin=request.origin,
            public_key=owner.environment_public_key,
            now=now,
        )
        if not enabled:
            raise RecoveryRefused("changed_meanwhile")

    async def _forget(self, owner: CredentialOwner, *, is_mismatch: bool) -> None:
        """Remove what was made for a link that ended, or for one that has other URLs."""
        whose = {"user_id": owner.user_id, "environment_id": owner.environment_id}
        try:
            if is_mismatch:
                await self._provider.release(**whose)
            else:
                await self._provider.tear_down(**whose)
        except EndpointError as error:
            logger.warning("A tunnel that nobody will use is still there: %s", error)

    async def _audit(self, actor: str, action: str, environment_id: str, origin: Origin) -> None:
        now = self._clock()
        await self._database.write(
            lambda tx: record(tx, at=now, actor=actor, action=action, object_id=environment_id, origin=origin)
        )


def _request(wish: RecoveryWish) -> ProvisionRequest:
    return ProvisionRequest(
        user_id=wish.cloud_user_id,
        environment_id=wish.environment_id,
        local_host=wish.origin.local_http_host,
        local_port=wish.origin.local_http_port,
    )


def _not_reachable(error: EndpointError) -> EndpointNotReachable:
    logger.warning("A tunnel could not be changed: %s %s", type(error).__name__, error)
    return EndpointNotReachable(str(error))
