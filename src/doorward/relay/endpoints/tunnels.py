"""What the edge asks: may this connector open a tunnel, and whose is this host name.

Both answers are read from the rows at the moment of the question, so an unlink is effective at once, on every node.
"""

import msgspec

from doorward.jose import b64url_decode
from doorward.relay.endpoints import store
from doorward.relay.endpoints.tunnel_proof import is_signed_by
from doorward.relay.services.hosts import ServiceHosts
from doorward.relay.services.store import list_active
from doorward.relay.users.barring import IsBarred, nobody_is_barred
from doorward.store import Database, Tx


class TunnelAuthorized(msgspec.Struct, frozen=True, kw_only=True):
    """The registration behind an accepted connector. `public_key` is the raw Ed25519 key; `account` is opaque."""

    environment_id: str
    generation: int
    hostnames: tuple[str, ...]
    account: str
    public_key: bytes


class TunnelRefused(msgspec.Struct, frozen=True):
    """`reason` is `unlinked`, `generation_superseded`, `invalid_signature` or `account_barred`; asking again soon will
    not change it."""

    reason: str
    message: str


class EndpointOwner(msgspec.Struct, frozen=True):
    environment_id: str
    account: str


class Registration(msgspec.Struct, frozen=True):
    """The generation a connector must have, and every name that leads to its tunnel."""

    generation: int
    hostnames: tuple[str, ...]


_UNLINKED = TunnelRefused("unlinked", "This machine is not linked. Link it again to expose its services.")
_SUPERSEDED = TunnelRefused(
    "generation_superseded",
    "This connector's key was released or replaced by a newer one. Restart the agent.",
)
_FORGED = TunnelRefused("invalid_signature", "The connector's signature does not match its registered key.")
_BARRED = TunnelRefused("account_barred", "The account this machine is linked to was banned or deleted.")


class Tunnels:
    """Read-only view of the allocations for the edge."""

    def __init__(
        self, database: Database, hosts: ServiceHosts, *, is_barred: IsBarred = nobody_is_barred
    ) -> None:
        self._database = database
        self._is_barred = is_barred
        self._hosts = hosts

    async def authorize(
        self, *, tunnel_id: str, generation: int, token: str
    ) -> TunnelAuthorized | TunnelRefused:
        """Whether the connector that signed `token` (typ `doorward-tunnel+jwt`) may serve this tunnel now."""

        def read(tx: Tx) -> tuple[store.AllocationRow | None, tuple[str, ...]]:
            allocation = store.find_linked_by_tunnel(tx, tunnel_id)
            return allocation, () if allocation is None else self._hostnames(tx, allocation)

        allocation, hostnames = await self._database.read(read)
        if allocation is None or not allocation.is_ready:
            return _UNLINKED
        if allocation.generation != generation or allocation.tunnel_public_key is None:
            return _SUPERSEDED
        public_key = b64url_decode(allocation.tunnel_public_key)
        if not is_signed_by(public_key, token):
            return _FORGED
        if await self._is_barred(allocation.user_id):
            return _BARRED
        return TunnelAuthorized(
            environment_id=tunnel_id,
            generation=generation,
            hostnames=hostnames,
            account=allocation.user_id,
            public_key=public_key,
        )

    async def resolve_host(self, host: str) -> EndpointOwner | None:
        """The tunnel behind a host name (port ignored), connected or not; `None` for names nobody holds.

        One spelling for each name: the edge keeps what it was told, and `name.zone.` with any number of dots would
        let a stranger fill its memory. A machine's gate answers none of those spellings anyway.
        """
        hostname = host.rsplit(":", 1)[0].lower()
        name = self._hosts.name_at(hostname)
        if name is None:
            return None

        def read(tx: Tx) -> store.AllocationRow | None:
            own = store.find_linked_by_hostname(tx, hostname)
            if own is not None:
                return own
            service = store.find_linked_by_service(tx, name)
            is_there = service is not None and self._hosts.host_of(name, service.user_id) == hostname
            return service if is_there else None

        allocation = await self._database.read(read)
        if allocation is None or not allocation.is_ready or allocation.tunnel_id is None:
            return None
        return EndpointOwner(allocation.tunnel_id, allocation.user_id)

    async def hostnames(self, tunnel_id: str) -> tuple[str, ...]:
        """Every name that leads to a tunnel now, its API host first; empty when it is not linked."""

        registration = await self.registration(tunnel_id)
        return () if registration is None else registration.hostnames

    async def registration(self, tunnel_id: str) -> Registration | None:
        """What is registered for a tunnel now; `None` when it is not linked."""

        def read(tx: Tx) -> Registration | None:
            allocation = store.find_linked_by_tunnel(tx, tunnel_id)
            if allocation is None or not allocation.is_ready:
                return None
            return Registration(allocation.generation, self._hostnames(tx, allocation))

        return await self._database.read(read)

    def _hostnames(self, tx: Tx, allocation: store.AllocationRow) -> tuple[str, ...]:
        services = list_active(tx, user_id=allocation.user_id, environment_id=allocation.environment_id)
        return (allocation.hostname, *(self._hosts.host_of(row.name, row.user_id) for row in services))
