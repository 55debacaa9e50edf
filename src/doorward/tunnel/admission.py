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
ResolveHost: TypeAlias = Callable[[str], Awaitable[HostOwner | None]]
"""Takes a host name in lower case, without port."""
