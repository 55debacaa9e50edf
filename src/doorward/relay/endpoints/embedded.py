"""Our own tunnel: the connector token a machine gets, and the row the edge later checks it against.

On the wire it is announced as `cloudflare_tunnel`, the only kind that clients and environments act upon.
"""

import secrets
import uuid

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from doorward.jose import b64url_encode
from doorward.relay.endpoints import store
from doorward.relay.endpoints.provider import (
    EndpointsNotConfigured,
    OriginNotLoopback,
    Prepared,
    Provisioned,
    ProvisionRequest,
)
from doorward.relay.endpoints.rules import (
    EndpointNames,
    EndpointUrls,
    endpoint_names,
    endpoint_urls,
    is_loopback_origin,
    is_valid_hostname,
    normalize_zone,
)
from doorward.relay.services.store import list_active
from doorward.relay.settings import RelaySettings
from doorward.store import Tx

SEED_BYTES = 32


class ConnectorToken(msgspec.Struct, frozen=True, rename="camel"):
    """What the connector reads: base64url of this as JSON. `seed` is the Ed25519 private key, base64url.

    `environment_id` is the tunnel's name towards the edge. It is not the environment's own id, which two
    accounts may share: the edge must never mistake one account's tunnel for another's.
    """

    edge_url: str
    hostnames: list[str]
    environment_id: str
    generation: int
    seed: str

    def __repr__(self) -> str:
        return f"ConnectorToken(environment_id={self.environment_id!r}, generation={self.generation})"


class TunnelChange(msgspec.Struct, frozen=True, rename="camel"):
    """Payload of the channel "relay.tunnel": tunnels below this generation must close now."""

    environment_id: str
    generation: int


class EmbeddedProvider:
    """Provisions an endpoint in the relay's own zone. Makes no outside calls, so it cannot half-succeed."""

    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings

    async def prepare(self, request: ProvisionRequest) -> Prepared:
        if not is_loopback_origin(request.local_host, request.local_port):
            raise OriginNotLoopback
        settings = self._settings
        if not normalize_zone(settings.zone):
            raise EndpointsNotConfigured("This relay has no zone for endpoints.")
        names = endpoint_names(
            stage=settings.stage,
            user_id=request.user_id,
            environment_id=request.environment_id,
            zone=settings.zone,
        )
        if not is_valid_hostname(names.hostname, settings.zone):
            raise EndpointsNotConfigured("The relay's zone is not a DNS name.")
        return PreparedTunnel(settings, request, names)


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
            tunnel_public_key=b64url_encode(self._public_key),
            dns_record_id=allocation.hostname,
            now=now,
        )
        announce(tx, tunnel_id, generation)
        services = list_active(tx, user_id=request.user_id, environment_id=request.environment_id)
        token = ConnectorToken(
            edge_url=settings.edge_url,
            hostnames=[
                allocation.hostname,
                *(f"{row.name}.{normalize_zone(settings.zone)}" for row in services),
            ],
            environment_id=tunnel_id,
            generation=generation,
            seed=b64url_encode(self._seed),
        )
        return Provisioned(
            urls=urls_of(allocation.hostname, settings),
            connector_token=b64url_encode(msgspec.json.encode(token)),
            tunnel_id=tunnel_id,
            tunnel_name=allocation.tunnel_name,
        )


def urls_of(hostname: str, settings: RelaySettings) -> EndpointUrls:
    return endpoint_urls(hostname, scheme=settings.endpoint_scheme, port=settings.endpoint_port)


def announce(tx: Tx, tunnel_id: str, generation: int) -> None:
    tx.notify("relay.tunnel", msgspec.json.encode(TunnelChange(tunnel_id, generation)).decode())


def release(tx: Tx, *, user_id: str, environment_id: str, now: int) -> bool:
    """Close the tunnel for good: no key opens the raised generation. False when there was nothing to close."""
    allocation = store.find(tx, user_id=user_id, environment_id=environment_id)
    if allocation is None or allocation.ready_at is None:
        return False
    generation = store.release(tx, allocation, now=now)
    if allocation.tunnel_id is not None:
        announce(tx, allocation.tunnel_id, generation)
    return True
