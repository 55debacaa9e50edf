"""What every provider of managed endpoints does.

A provision has two halves: `prepare` may generate keys and call other services, `Prepared.record` writes the rows
inside the link's own transaction, so that a killed process never leaves a link without its endpoint.
"""

from typing import Protocol

import msgspec

from doorward.relay.endpoints.rules import EndpointUrls
from doorward.store import Tx


class ProvisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str
    environment_id: str
    local_host: str
    local_port: int


class Provisioned(msgspec.Struct, frozen=True, kw_only=True):
    """The public endpoint, and the secret (shown once) with which the machine's connector opens it."""

    urls: EndpointUrls
    connector_token: str
    tunnel_id: str
    tunnel_name: str

    def __repr__(self) -> str:
        return f"Provisioned(tunnel_id={self.tunnel_id!r})"


class Prepared(Protocol):
    def record(self, tx: Tx, *, now: int) -> Provisioned:
        """Write the allocation. May run more than once, on a transaction that starts anew each time."""


class EndpointProvider(Protocol):
    async def prepare(self, request: ProvisionRequest) -> Prepared:
        """Raises `OriginNotLoopback`, `EndpointsNotConfigured` or `ProvisioningFailed`."""


class EndpointError(Exception):
    """Base: why no endpoint was provisioned.

    ├── OriginNotLoopback       the local origin is not this machine
    ├── EndpointsNotConfigured  the relay has no zone, or its provider gives no endpoints
    └── ProvisioningFailed      the provider tried and failed; `stage` says where
    """


class OriginNotLoopback(EndpointError):
    pass


class EndpointsNotConfigured(EndpointError):
    pass


class ProvisioningFailed(EndpointError):
    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage
