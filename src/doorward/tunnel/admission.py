"""The words an edge and its owner exchange about who may serve which host name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec


class TunnelHello(msgspec.Struct, frozen=True):
    """A connector's claim, before its signature is checked: the edge checks it with the grant's public key.

    Lifetime, `typ`, issuer, audience and nonce of `token` (a JWT of typ `doorward-tunnel+jwt`) hold already.
    """

    environment_id: str
    generation: int
    token: str
    peer_ip: str
    instance: str
    """Which running connector asks: one keeps a connection to each node of the edge that its visitors reach."""


class TunnelGrant(msgspec.Struct, frozen=True):
    """What the registration says. `public_key` is the raw 32 bytes of the Ed25519 key registered for `generation`."""

    environment_id: str
    generation: int
    hostnames: tuple[str, ...]
    account: str
    public_key: bytes


class TunnelRefusal(msgspec.Struct, frozen=True):
    """`reason` is a stable word shown to the machine's owner, such as `unlinked` or `generation_superseded`.

    A final refusal will not change by itself: the connector waits long before it asks again.
    """

    reason: str
    message: str = ""
    is_final: bool = True


class HostOwner(msgspec.Struct, frozen=True):
    """The environment a host name belongs to, connected or not."""

    environment_id: str
    account: str


Authorize: TypeAlias = Callable[[TunnelHello], Awaitable[TunnelGrant | TunnelRefusal]]
Claim: TypeAlias = Callable[[TunnelHello], Awaitable[int]]
"""The epoch of an authenticated connector: higher than that of any other instance before it, on every node."""
Want: TypeAlias = Callable[[str, str], Awaitable[None]]
"""Tells the other nodes that a visitor of (environment, host name) waits here."""
ResolveHost: TypeAlias = Callable[[str], Awaitable[HostOwner | None]]
"""Takes a host name in lower case, without port."""


class LocalClaims:
    """Epochs of an edge that is alone."""

    def __init__(self) -> None:
        self._claims: dict[str, tuple[str, int]] = {}

    async def claim(self, hello: TunnelHello) -> int:
        instance, epoch = self._claims.get(hello.environment_id, ("", 0))
        if instance != hello.instance:
            epoch += 1
            self._claims[hello.environment_id] = (hello.instance, epoch)
        return epoch
