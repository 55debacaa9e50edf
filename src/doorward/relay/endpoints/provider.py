"""What every provider of managed endpoints does.

A provision has two halves: `prepare` may generate keys and call other services, `Prepared.record` writes the rows
inside the link's own transaction, so that a killed process never leaves a link without its endpoint. Ending has two
halves as well: `close` in the transaction that ends the link, `tear_down` after it, for what no transaction can undo.
"""

from typing import Literal, Protocol

import msgspec

from doorward.relay.endpoints.rules import EndpointUrls
from doorward.relay.endpoints.store import AllocationRow, origin_text
from doorward.store import Tx
from doorward.t3_connect.messages import ManagedProvider


class ProvisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str
    environment_id: str
    local_host: str
    local_port: int
    kind: ManagedProvider = "cloudflare_tunnel"

    @property
    def origin(self) -> str:
        return origin_text(self.local_host, self.local_port)


class Provisioned(msgspec.Struct, frozen=True, kw_only=True):
    """The public endpoint, and the secret (shown once) with which the machine's connector opens it.

    `connector_url` and `origin_url` are for a connector that is told where to dial and where to carry to.
    """

    urls: EndpointUrls
    connector_token: str
    tunnel_id: str
    tunnel_name: str
    kind: ManagedProvider = "cloudflare_tunnel"
    connector_url: str | None = None
    origin_url: str | None = None

    def __repr__(self) -> str:
        return f"Provisioned(tunnel_id={self.tunnel_id!r})"


class Prepared(Protocol):
    def record(self, tx: Tx, *, now: int) -> Provisioned:
        """Write the allocation. May run more than once, on a transaction that starts anew each time.

        Raises `TunnelLimitReached`, `ProvisioningFailed`.
        """

    async def abandon(self) -> None:
        """Let go of what `prepare` holds, when `record` did not happen. Never raises."""


Reconciled = Literal["ready", "recovery_required"]


class EndpointProvider(Protocol):
    async def prepare(self, request: ProvisionRequest) -> Prepared:
        """Raises `OriginNotLoopback`, `EndpointsNotConfigured`, `TunnelLimitReached` or `ProvisioningFailed`."""

    def close(self, tx: Tx, allocation: AllocationRow, *, now: int) -> bool:
        """Shut the endpoint as far as rows can; false when there was nothing to shut."""

    async def tear_down(self, *, user_id: str, environment_id: str) -> None:
        """Remove what the provider keeps for an allocation whose link has ended. Done again, it does nothing.

        An allocation that is linked again by now is left alone. Raises `TeardownFailed`; the rows then still say what
        is left to remove.
        """

    async def release(self, *, user_id: str, environment_id: str) -> bool:
        """End the tunnel but keep the link and its names: the machine is offline until it recovers.

        True when no tunnel is left; false when a provision is under way and owns it. Raises `TeardownFailed`.
        """

    async def reconcile(self, request: ProvisionRequest, *, tunnel_id: str) -> Reconciled:
        """Whether the machine's tunnel is still the recorded one, now leading to the request's origin.

        Raises `OriginNotLoopback`, `EndpointsNotConfigured`, `ProvisioningFailed`.
        """


class EndpointError(Exception):
    """Base: why an endpoint could not be provisioned or removed.

    ├── OriginNotLoopback       the local origin is not this machine
    ├── EndpointsNotConfigured  the relay has no zone, or its provider gives no endpoints
    ├── TunnelLimitReached      the account has `max_tunnels` already
    ├── ProvisioningFailed      the provider tried and failed; `stage` says where, the text also why
    └── TeardownFailed          what the provider keeps could not be removed; likewise
    """


class OriginNotLoopback(EndpointError):
    pass


class EndpointsNotConfigured(EndpointError):
    pass


class TunnelLimitReached(EndpointError):
    def __init__(self, max_tunnels: int) -> None:
        super().__init__(f"{max_tunnels} tunnels")
        self.max_tunnels = max_tunnels


class ProvisioningFailed(EndpointError):
    def __init__(self, stage: str, reason: str = "") -> None:
        super().__init__(f"{stage}: {reason}" if reason else stage)
        self.stage = stage


class TeardownFailed(EndpointError):
    def __init__(self, stage: str, reason: str = "") -> None:
        super().__init__(f"{stage}: {reason}" if reason else stage)
        self.stage = stage
