"""What the connections of one listener share: whom it lets in, and how many of them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from doorward.http1.deadlines import Expiring
from doorward.http1.engine import Engine
from doorward.http1.exchange import Peer
from doorward.http1.networks import network_of
from doorward.http1.parsing import RequestHeads

IsFront = Callable[[str], bool]


class ClientConnection(Expiring, Protocol):
    def drain(self) -> None:
        """End once what is open has ended."""

    def kill(self) -> None:
        """End now."""


class ListenerState:
    def __init__(self, engine: Engine, is_front: IsFront) -> None:
        self.engine = engine
        self._is_front = is_front
        self.log = logging.getLogger(__name__)
        self.connections: set[ClientConnection] = set()
        self.heads = RequestHeads()
        self.refused = 0
        self._of_network: Counter[str] = Counter()

    def peer_of(self, transport: asyncio.Transport) -> Peer:
        name = transport.get_extra_info("peername")
        ip = name[0] if isinstance(name, tuple) else ""
        return Peer(ip, is_tls=transport.get_extra_info("sslcontext") is not None)

    def admit(self, connection: ClientConnection, peer: Peer) -> bool:
        self.connections.add(connection)
        self.engine.expiring.add(connection)
        network = network_of(peer.ip)
        self._of_network[network] += 1
        # Connections over a unix socket have no address and come from our own front; one at another address brings
        # everybody's.
        if (
            peer.ip
            and self._of_network[network] > self.engine.limits.connections_per_ip
            and not self._is_front(peer.ip)
        ):
            self.refused += 1
            return False
        return True

    def forget(self, connection: ClientConnection, peer: Peer) -> None:
        if connection in self.connections:
            self.connections.discard(connection)
            self.engine.expiring.discard(connection)
            network = network_of(peer.ip)
            self._of_network[network] -= 1
            if self._of_network[network] <= 0:
                del self._of_network[network]
