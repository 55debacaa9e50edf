"""What is new between one picture of a machine's devices and the next (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from doorward.t3_connect.messages import ConnectClient

Kind = Literal["pending", "approved", "rejected", "removed"]


class Change(msgspec.Struct, frozen=True):
    """What became of one device. A device that waits and asks again is no change."""

    kind: Kind
    client: ConnectClient


class Devices:
    """The last picture. The first one tells of those who wait already, and of nobody else."""

    def __init__(self) -> None:
        self._known: dict[str, ConnectClient] | None = None

    def see(self, clients: Sequence[ConnectClient]) -> list[Change]:
        """The changes that lead to this picture, oldest request first."""
        seen = {client.client_proof_key_thumbprint: client for client in clients}
        known, self._known = self._known, seen
        changes = [
            Change(client.status, client)
            for thumbprint, client in sorted(seen.items(), key=lambda item: item[1].requested_at)
            if (
                client.status == "pending"
                if known is None
                else _status(known.get(thumbprint)) != client.status
            )
        ]
        gone = [Change("removed", client) for key, client in (known or {}).items() if key not in seen]
        return changes + gone


def _status(client: ConnectClient | None) -> str | None:
    return None if client is None else client.status
