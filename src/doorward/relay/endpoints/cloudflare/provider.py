"""Endpoints made of a Cloudflare tunnel and a DNS record.

Each step writes down what it made before the next begins, so that an attempt cut short is continued by the next one
and never made twice: the tunnel is found by its name, the record by its id or name.
"""

import contextlib
import logging
from collections.abc import Iterator

from doorward.outbound import Outbound
from doorward.relay.endpoints import store
from doorward.relay.endpoints.cloudflare.api import NAME_TAKEN, CloudflareApi, CloudflareError, Tunnel
from doorward.relay.endpoints.cloudflare.dns import ensure_record
from doorward.relay.endpoints.embedded import close_endpoint
from doorward.relay.endpoints.leases import Leased, LeaseLost, Leases
from doorward.relay.endpoints.names import names_for
from doorward.relay.endpoints.provider import (
    EndpointError,
    Provisioned,
    ProvisioningFailed,
    ProvisionRequest,
    Reconciled,
    TeardownFailed,
)
from doorward.relay.endpoints.rules import loopback_url, urls_of
from doorward.relay.endpoints.store import AllocationRow
from doorward.relay.endpoints.tunnel_limit import check_tunnel_limit
from doorward.relay.links import store as link_store
from doorward.relay.settings import CloudflareSettings, RelaySettings
from doorward.store import Clock, Database, StoreError, Tx

logger = logging.getLogger("doorward.relay")


class CloudflareProvider:
    def __init__(
        self,
        settings: RelaySettings,
        cloudflare: CloudflareSettings,
        database: Database,
        outbound: Outbound,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._leases = Leases(database, clock)
        self.api = CloudflareApi(cloudflare, outbound)

    async def prepare(self, request: ProvisionRequest) -> "PreparedTunnel":
        """Everything but the last row: tunnel, its configuration, its name in DNS, and its token."""
        names = names_for(request, self._settings)

        def reserve(tx: Tx) -> AllocationRow:
            self.check_limit(tx, request)
            return store.reserve(
                tx,
                user_id=request.user_id,
                environment_id=request.environment_id,
                names=names,
                tunnel_id=None,
                now=self._clock(),
            )

        with _failing(ProvisioningFailed, "reserve-allocation"):
            lease = await self._leases.take(
                reserve, user_id=request.user_id, environment_id=request.environment_id, wait=True
            )
            assert lease is not None
        try:
            return await self._provision(lease, request)
        except BaseException:
            await self.free(lease)
            raise

    async def _provision(self, lease: AllocationRow, request: ProvisionRequest) -> "PreparedTunnel":
        api = self.api
        with _failing(ProvisioningFailed, "ensure-tunnel"):
            tunnel = await self._ensure_tunnel(lease.tunnel_name)
        if not tunnel.id or tunnel.name != lease.tunnel_name:
            raise ProvisioningFailed("validate-tunnel-response", f"the tunnel is called {tunnel.name!r}")
        with _failing(ProvisioningFailed, "record-tunnel"):
            await self._leases.record_tunnel(lease, tunnel.id)
        with _failing(ProvisioningFailed, "configure-tunnel"):
            service = loopback_url(request.local_host, request.local_port)
            await api.configure_tunnel(tunnel.id, hostname=lease.hostname, service=service)
        with _failing(ProvisioningFailed, "ensure-dns-record"):
            record_id = await ensure_record(
                api, hostname=lease.hostname, tunnel_id=tunnel.id, known_id=_known_record(lease)
            )
        with _failing(ProvisioningFailed, "record-dns"):
            await self._leases.record_dns(lease, record_id)
        with _failing(ProvisioningFailed, "get-tunnel-token"):
            token = await api.tunnel_token(tunnel.id)
        provisioned = Provisioned(
            urls=urls_of(lease.hostname, self._settings),
            connector_token=token,
            tunnel_id=tunnel.id,
            tunnel_name=tunnel.name,
        )
        return PreparedTunnel(self, lease, request, provisioned)

    async def _ensure_tunnel(self, name: str) -> Tunnel:
        found = await self.api.find_tunnel(name)
        if found is not None:
            return found
        try:
            return await self.api.create_tunnel(name)
        except CloudflareError as error:
            if NAME_TAKEN not in error.codes:
                raise
            found = await self.api.find_tunnel(name)
            if found is None:
                raise
            return found

    def check_limit(self, tx: Tx, request: ProvisionRequest) -> None:
        check_tunnel_limit(
            tx,
            user_id=request.user_id,
            environment_id=request.environment_id,
            default=self._settings.max_tunnels,
        )

    def mark_ready(self, tx: Tx, lease: AllocationRow, *, origin: str, now: int) -> None:
        """The database's own errors pass: the transaction may be tried again."""
        try:
            self._leases.mark_ready(tx, lease, origin=origin, now=now)
        except LeaseLost as error:
            raise ProvisioningFailed("mark-allocation-ready", "the row was taken by another call") from error

    def close(self, tx: Tx, allocation: AllocationRow, *, now: int) -> bool:
        """A tunnel of Cloudflare's ends by a call, after the transaction; one of our own, made before the operator
        chose Cloudflare, here."""
        return _is_embedded(allocation) and close_endpoint(tx, allocation, now=now)

    async def tear_down(self, *, user_id: str, environment_id: str) -> None:
        def claim(tx: Tx) -> AllocationRow | None:
            allocation = store.find(tx, user_id=user_id, environment_id=environment_id)
            if allocation is None or (allocation.tunnel_id is None and allocation.dns_record_id is None):
                return None
            is_linked = link_store.has_tunnel(tx, user_id=user_id, environment_id=environment_id)
            return None if is_linked or _is_embedded(allocation) else allocation

        with _failing(TeardownFailed, "claim-deprovision"):
            lease = await self._leases.take(claim, user_id=user_id, environment_id=environment_id, wait=True)
        if lease is None:
            return
        try:
            if lease.dns_record_id is not None:
                with _failing(TeardownFailed, "delete-dns-record"):
                    await self.api.delete_record(lease.dns_record_id)
            if lease.tunnel_id is not None:
                with _failing(TeardownFailed, "delete-tunnel"):
                    await self.api.delete_tunnel(lease.tunnel_id)
            with _failing(TeardownFailed, "remove-allocation"):
                await self._leases.clear(lease)
        except BaseException:
            await self.free(lease)
            raise

    async def release(self, *, user_id: str, environment_id: str) -> bool:
        """The row stays as it is: a machine whose tunnel is gone is offline, not unknown."""

        def snapshot(tx: Tx) -> AllocationRow | None:
            return store.find(tx, user_id=user_id, environment_id=environment_id)

        with _failing(TeardownFailed, "load-allocation"):
            seen = await self._database.read(snapshot)
        if seen is None or seen.tunnel_id is None or _is_embedded(seen):
            return True

        def claim(tx: Tx) -> AllocationRow | None:
            now_there = snapshot(tx)
            is_same = now_there is not None and (now_there.tunnel_id, now_there.generation) == (
                seen.tunnel_id,
                seen.generation,
            )
            return now_there if is_same else None

        try:
            with _failing(TeardownFailed, "claim-release"):
                lease = await self._leases.take(
                    claim, user_id=user_id, environment_id=environment_id, wait=False
                )
        except TeardownFailed as error:
            if isinstance(error.__cause__, Leased):
                return False
            raise
        if lease is None:
            return False
        try:
            with _failing(TeardownFailed, "delete-tunnel"):
                await self.api.delete_tunnel(seen.tunnel_id)
        finally:
            await self.free(lease)
        return True

    async def reconcile(self, request: ProvisionRequest, *, tunnel_id: str) -> Reconciled:
        names_for(request, self._settings)

        def current(tx: Tx) -> AllocationRow | None:
            allocation = store.find(tx, user_id=request.user_id, environment_id=request.environment_id)
            is_current = (
                allocation is not None
                and allocation.is_ready
                and allocation.tunnel_id == tunnel_id
                and not _is_embedded(allocation)
            )
            return allocation if is_current else None

        with _failing(ProvisioningFailed, "load-allocation"):
            allocation = await self._database.read(current)
        if allocation is None:
            return "recovery_required"
        if allocation.origin == request.origin:
            with _failing(ProvisioningFailed, "load-tunnel"):
                is_there = await self.api.get_tunnel(tunnel_id) is not None
            return "ready" if is_there else "recovery_required"
        with _failing(ProvisioningFailed, "sync-origin"):
            lease = await self._leases.take(
                current, user_id=request.user_id, environment_id=request.environment_id, wait=True
            )
        if lease is None:
            return "recovery_required"
        try:
            return await self._lead_to(lease, request, tunnel_id)
        except BaseException:
            await self.free(lease)
            raise

    async def _lead_to(self, lease: AllocationRow, request: ProvisionRequest, tunnel_id: str) -> Reconciled:
        service = loopback_url(request.local_host, request.local_port)
        with _failing(ProvisioningFailed, "sync-origin"):
            try:
                await self.api.configure_tunnel(tunnel_id, hostname=lease.hostname, service=service)
            except CloudflareError as error:
                if not error.is_not_found:
                    raise
                await self.free(lease)
                return "recovery_required"
            now = self._clock()
            await self._database.write(
                lambda tx: self._leases.mark_ready(tx, lease, origin=request.origin, now=now)
            )
        return "ready"

    async def free(self, lease: AllocationRow) -> None:
        """Give a lease back. Never raises."""
        try:
            await self._leases.free(lease)
        except StoreError as error:
            # It frees itself after its time; what brought us here matters more.
            logger.warning("An allocation stays leased for a while: %s", error.code)


class PreparedTunnel:
    """A tunnel that works but for the rows that say so. Holds the lease until they do."""

    def __init__(
        self,
        provider: CloudflareProvider,
        lease: AllocationRow,
        request: ProvisionRequest,
        provisioned: Provisioned,
    ) -> None:
        self._provider = provider
        self._lease = lease
        self._request = request
        self._provisioned = provisioned

    def record(self, tx: Tx, *, now: int) -> Provisioned:
        self._provider.check_limit(tx, self._request)
        self._provider.mark_ready(tx, self._lease, origin=self._request.origin, now=now)
        return self._provisioned

    async def abandon(self) -> None:
        """What was made stays, and is found by the next attempt or the census."""
        await self._provider.free(self._lease)


def _is_embedded(allocation: AllocationRow) -> bool:
    """Whether this is one of our own tunnels, of which Cloudflare knows nothing: its record is the zone's wildcard."""
    return allocation.dns_record_id == allocation.hostname


def _known_record(allocation: AllocationRow) -> str | None:
    return None if _is_embedded(allocation) else allocation.dns_record_id


@contextlib.contextmanager
def _failing(kind: type[ProvisioningFailed] | type[TeardownFailed], stage: str) -> Iterator[None]:
    """Names the stage in which something failed."""
    try:
        yield
    except EndpointError:
        raise
    except (CloudflareError, StoreError, Leased, LeaseLost) as error:
        raise kind(stage, str(error) or type(error).__name__) from error
