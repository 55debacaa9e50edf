"""The machine's first word to the edge: an HTTP upgrade, in one of two forms that carry the same frames.

`connect-mux/1` is the tunnel itself. Some middleboxes pass no upgrade they do not know; most know WebSocket, so the
same bytes then travel in its binary messages, at about twice the processor time. Which of the two worked is
remembered for each network.
"""

from __future__ import annotations

import asyncio
import enum
import secrets
from collections.abc import Callable
from typing import cast

from doorward.http1 import ResponseHead, errors
from doorward.http1.parsing import parse_response_head
from doorward.tunnel.link import Link

TUNNEL_PATH = "/.well-known/connect/tunnel"
SUBPROTOCOL = "connect-mux.1"
_HEAD_BYTES = 16 * 1024
# What middleboxes say to an upgrade they do not know. An edge that is full or draining says 503, one that has had
# enough of us 429: those are no reason to come by another way.
_EATEN = frozenset({200, 400, 403, 405, 426, 501})


class Upgrade(enum.Enum):
    """The token in the `Upgrade` header."""

    MUX = "connect-mux/1"
    WEBSOCKET = "websocket"

    @property
    def other(self) -> Upgrade:
        return Upgrade.WEBSOCKET if self is Upgrade.MUX else Upgrade.MUX


class UpgradeRefused(Exception):
    """No tunnel here. `retry_after` in seconds; `is_eaten` means the other form of the upgrade is worth a try."""

    def __init__(self, message: str, *, retry_after: int = 0, is_eaten: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_eaten = is_eaten


class WorkingUpgrades:
    """What to ask for first on each network, told apart by this machine's own address on it."""

    def __init__(self) -> None:
        self._next: dict[str, Upgrade] = {}

    def choose(self, network: str) -> Upgrade:
        return self._next.get(network, Upgrade.MUX)

    def worked(self, network: str, upgrade: Upgrade) -> None:
        self._next[network] = upgrade

    def eaten(self, network: str, upgrade: Upgrade) -> None:
        self._next[network] = upgrade.other


class UpgradeRequest(asyncio.Protocol):
    """A dialled connection until its 101, when `new_link`'s link takes it over. `outcome` is that link.

    Awaiting `outcome` raises UpgradeRefused. `host` is what goes into `Host`: it leads a load balancer to the node
    that this name's visitors reach.
    """

    def __init__(self, *, host: str, upgrades: WorkingUpgrades, new_link: Callable[[], Link]) -> None:
        self.outcome: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        # Whoever dialled may have given up before there was a connection: nobody is left to hear of its end.
        self.outcome.add_done_callback(lambda outcome: outcome.cancelled() or outcome.exception())
        self.upgrade = Upgrade.MUX
        self._host = host
        self._upgrades = upgrades
        self._network = ""
        self._new_link = new_link
        self._head = b""
        self._key = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("sockname")
        self._network = name[0] if isinstance(name, tuple) else ""
        self.upgrade = self._upgrades.choose(self._network)
        self._transport.write(self._request())

    def data_received(self, data: bytes) -> None:
        if self.outcome.done():
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > _HEAD_BYTES:
                self._refused(UpgradeRefused("The edge's answer is not HTTP."))
            return
        block, rest = self._head[: end + 4], self._head[end + 4 :]
        try:
            head = parse_response_head(block, method=b"GET", wanted_upgrade=True).head
        except errors.BadResponse:
            self._refused(UpgradeRefused("The edge's answer is not HTTP."))
            return
        if head.status != 101:
            wait = head.get(b"retry-after") or b""
            refusal = UpgradeRefused(
                f"The edge answered {head.status} instead of opening a tunnel.",
                retry_after=int(wait) if wait.isdigit() and len(wait) < 5 else 0,
                is_eaten=head.status in _EATEN,
            )
            self._refused(refusal)
        elif not self._is_ours(head):
            self._refused(UpgradeRefused("The edge's answer is not to our upgrade.", is_eaten=True))
        else:
            self._take_over(rest)

    def eof_received(self) -> None:
        """Close: the transport never stays half open."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._refused(UpgradeRefused("The connection ended before the edge had answered.", is_eaten=True))

    def give_up(self) -> None:
        """No answer came in time; a middlebox may be waiting for the rest of a request it does not understand."""
        self._refused(UpgradeRefused("The edge did not answer in time.", is_eaten=True))

    def abandon(self) -> None:
        """Nobody waits for the outcome any more."""
        if self.outcome.cancelled() or not self.outcome.done():
            self.outcome.cancel()
            self._transport.abort()

    # Inside.

    def _request(self) -> bytes:
        lines = [
            f"GET {TUNNEL_PATH} HTTP/1.1",
            f"Host: {self._host}",
            "Connection: Upgrade",
            f"Upgrade: {self.upgrade.value}",
        ]
        if self.upgrade is Upgrade.WEBSOCKET:
            from websockets.utils import generate_key

            self._key = generate_key()
            lines += [
                f"Sec-WebSocket-Key: {self._key}",
                "Sec-WebSocket-Version: 13",
                f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
            ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def _is_ours(self, head: ResponseHead) -> bool:
        if head.upgrade.lower() != self.upgrade.value.encode():
            return False
        if self.upgrade is Upgrade.MUX:
            return True
        from websockets.utils import accept_key

        accepted = (head.get(b"sec-websocket-accept") or b"").decode("latin-1")
        return (
            secrets.compare_digest(accepted.encode(), accept_key(self._key).encode())
            and head.get(b"sec-websocket-protocol") == SUBPROTOCOL.encode()
        )

    def _take_over(self, rest: bytes) -> None:
        self._upgrades.worked(self._network, self.upgrade)
        link = self._new_link()
        if self.upgrade is Upgrade.WEBSOCKET:
            from doorward.tunnel.websocket_carrier import WebSocketCarrier

            carrier = WebSocketCarrier(link, is_edge=False)
            self._transport.set_protocol(carrier)
            carrier.connection_made(self._transport)
            self.outcome.set_result(link)
            if rest:
                carrier.data_received(rest)
            return
        self._transport.set_protocol(link)
        link.connection_made(self._transport)
        self.outcome.set_result(link)
        if rest:
            link.data_received(rest)

    def _refused(self, refusal: UpgradeRefused) -> None:
        if self.outcome.done():
            return
        if refusal.is_eaten:
            self._upgrades.eaten(self._network, self.upgrade)
        self.outcome.set_exception(refusal)
        self._transport.abort()
