"""The gate at a loopback port: where cloudflared carries a machine's public host to.

Our own tunnel hands requests to the gate inside this process and needs no port. This one is reserved at every start, for
a link proof has to name it before the relay says which tunnel it gives, and listens only once cloudflared runs. Whoever
connects here is judged like any visitor of the public host.
"""

import asyncio
import socket
from collections.abc import Awaitable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from doorward.environment.gate.router import Gate
from doorward.http1 import Decision, Limits, Peer, ProxyServer, RequestHead


class GateOrigin:
    """`port` stays what it was at the last start where it can: Cloudflare keeps where a tunnel leads to."""

    def __init__(self, gate: Gate, remembered: Path) -> None:
        """Raises OSError."""
        self._gate = gate
        self._socket = _reserve(remembered)
        self.port: int = self._socket.getsockname()[1]
        self._server: ProxyServer | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Listen, unless it does already."""
        async with self._opening:
            if self._server is None:
                # cloudflared is one address with the connections of all visitors.
                server = ProxyServer(self._route, limits=Limits(connections_per_ip=10_000))
                await server.serve(self._socket)
                self._server = server

    def close_tag(self, tag: str) -> int:
        """End the open exchanges of a session; how many there were."""
        return 0 if self._server is None else self._server.close_tag(tag)

    async def close(self) -> None:
        if self._server is not None:
            await self._server.close(grace=0)
        self._socket.close()

    def _route(self, head: RequestHead, peer: Peer) -> Decision | Awaitable[Decision]:
        return self._gate.route(head, carried_peer(head, peer))


def carried_peer(head: RequestHead, peer: Peer) -> Peer:
    """The visitor that Cloudflare names; its own is the last address of the list, those before are what visitors claim."""
    last = (head.get(b"x-forwarded-for") or b"").decode("latin-1").rpartition(",")[2].strip()
    with suppress(ValueError):
        return Peer(str(ip_address(last)), is_tls=head.get(b"x-forwarded-proto") == b"https")
    return peer


def _reserve(remembered: Path) -> socket.socket:
    """A bound socket that does not listen yet."""
    kept = socket.socket()
    try:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.setblocking(False)
        try:
            kept.bind(("127.0.0.1", int(remembered.read_text("ascii"))))
        except (OSError, ValueError, OverflowError):
            kept.bind(("127.0.0.1", 0))
            remembered.write_text(f"{kept.getsockname()[1]}\n", "ascii")
    except OSError:
        kept.close()
        raise
    return kept
