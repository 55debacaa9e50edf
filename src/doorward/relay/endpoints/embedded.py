"""Our own tunnel: the connector token a machine gets, and the row the edge later checks it against.

On the wire it is announced as `cloudflare_tunnel`, the kind that every client and environment acts upon; or as
`t3_relay` to those that know that connector and where the operator lets it in. Its token is the same either way.
"""

import secrets
import uuid

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from doorward.jose import b64url_encode
from doorward.relay.endpoints import store
from doorward.relay.endpoints.names import names_for
from doorward.relay.endpoints.provider import Prepared, Provisioned, ProvisionRequest, Reconciled
from doorward.relay.endpoints.rules import EndpointNames, loopback_url, normalize_zone, t3_relay_url, urls_of
from doorward.relay.endpoints.tunnel_limit import check_tunnel_limit
from doorward.relay.services.hosts import ServiceHosts
from doorward.relay.services.store import list_active
from doorward.relay.settings import RelaySettings
from doorward.store import Clock, Database, Tx

SEED_BYTES = 32


class ConnectorToken(msgspec.Struct, frozen=True, rename="camel"):
    """What the connector reads: base64url of this as JSON. `seed` is the Ed25519 private key, base64url.

    `environment_id` is the tunnel's name towards the edge. It is not the environment's own id, which two
    accounts may share: the edge must never mistake one account's tunnel for another's. `origin` is the local server the
    link proof named, where `doorward-connector` carries to.
    """

    edge_url: str
    hostnames: list[str]
    environment_id: str
    generation: int
    seed: str
    origin: str

    def __repr__(self) -> str:
        return f"ConnectorToken(environment_id={self.environment_id!r}, generation={self.generation})"


class TunnelChange(msgspec.Struct, frozen=True, rename="camel"):
    """Payload of the channel "relay.tunnel": tunnels below this generation must close now."""

    environment_id: str
    generation: int


class EmbeddedProvider:
    """Provisions an endpoint in the relay's own zone. Makes no outside calls, so it cannot half-succeed."""

    def __init__(self, settings: RelaySettings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock

    async def prepare(self, request: ProvisionRequest) -> Prepared:
        return PreparedTunnel(self._settings, request, names_for(request, self._settings))

    def close(self, tx: Tx, allocation: store.AllocationRow, *, now: int) -> bool:
        return close_endpoint(tx, allocation, now=now)

    async def tear_down(self, *, user_id: str, environment_id: str) -> None:
        """Nothing is kept outside the database, and `close` was part of the link's transaction."""

    async def release(self, *, user_id: str, environment_id: str) -> bool:
        now = self._clock()

        def write(tx: Tx) -> None:
            allocation = store.find(tx, user_id=user_id, environment_id=environment_id)
            if allocation is not None and allocation.tunnel_public_key is not None:
                generation = store.forget_tunnel_key(tx, allocation, now=now)
                announce(tx, allocation.tunnel_id or "", generation)

        await self._database.write(write)
        return True

    async def reconcile(self, request: ProvisionRequest, *, tunnel_id: str) -> Reconciled:
        """The connector's token says where it carries to: another origin needs another token."""
        names_for(request, self._settings)
        allocation = await self._database.read(
            lambda tx: store.find(tx, user_id=request.user_id, environment_id=request.environment_id)
        )
        is_current = (
            allocation is not None
            and allocation.is_ready
            and allocation.tunnel_id == tunnel_id
            and allocation.tunnel_public_key is not None
            and allocation.origin == request.origin
        )
        return "ready" if is_current else "recovery_required"


class PreparedTunnel:
    """A fresh connector key, waiting for its transaction."""

    def __init__(self, settings: RelaySettings, request: ProvisionRequest, names: EndpointNames) -> None:
        self._settings = settings
        self._request = request
        self._names = names
        self._tunnel_id = str(uuid.uuid4())
        self._seed = secrets.token_bytes(SEED_BYTES)
        self._public_key = Ed25519PrivateKey.from_private_bytes(self._seed).public_key().public_bytes_raw()

    def record(self, tx: Tx, *, now: int) -> Provisioned:
        """Register the public half for the next generation, and tell edges that older tunnels are superseded."""
        request, settings = self._request, self._settings
        check_tunnel_limit(
            tx,
            user_id=request.user_id,
            environment_id=request.environment_id,
            default=settings.max_tunnels,
        )
        allocation = store.reserve(
            tx,
            user_id=request.user_id,
            environment_id=request.environment_id,
            names=self._names,
            tunnel_id=self._tunnel_id,
            now=now,
        )
        tunnel_id = allocation.tunnel_id or self._tunnel_id
        # One wildcard record answers for the whole zone; the host name stands for this endpoint's own record.
        generation = store.register_tunnel_key(
            tx,
            allocation,
            tunnel_id=tunnel_id,
            tunnel_public_key=b64url_encode(self._public_key),
            dns_record_id=allocation.hostname,
            origin=request.origin,
            now=now,
        )
        announce(tx, tunnel_id, generation)
        services = list_active(tx, user_id=request.user_id, environment_id=request.environment_id)
        hosts = ServiceHosts(normalize_zone(settings.zone), settings.custom_hosts)
        token = ConnectorToken(
            edge_url=settings.edge_url,
            hostnames=[
                allocation.hostname,
                *(hosts.host_of(row.name, row.user_id) for row in services),
            ],
            environment_id=tunnel_id,
            generation=generation,
            seed=b64url_encode(self._seed),
            origin=loopback_url(request.local_host, request.local_port),
        )
        is_t3_relay = request.kind == "t3_relay"
        return Provisioned(
            urls=urls_of(allocation.hostname, settings),
            connector_token=b64url_encode(msgspec.json.encode(token)),
            tunnel_id=tunnel_id,
            tunnel_name=allocation.tunnel_name,
            kind=request.kind,
            connector_url=t3_relay_url(allocation.hostname, settings) if is_t3_relay else None,
            origin_url=token.origin if is_t3_relay else None,
        )

    async def abandon(self) -> None:
        """Nothing is held: a key that was never registered opens nothing."""


def announce(tx: Tx, tunnel_id: str, generation: int) -> None:
    tx.notify("relay.tunnel", msgspec.json.encode(TunnelChange(tunnel_id, generation)).decode())


def close_endpoint(tx: Tx, allocation: store.AllocationRow, *, now: int) -> bool:
    """Close the tunnel for good: no key opens the raised generation. False when there was nothing to close."""
    if allocation.ready_at is None:
        return False
    generation = store.close(tx, allocation, now=now)
    if allocation.tunnel_id is not None:
        announce(tx, allocation.tunnel_id, generation)
    return True
