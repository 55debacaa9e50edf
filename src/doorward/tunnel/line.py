"""One connection to the edge that is kept, dialled under one host name: dial, serve, wait, dial again.

A connector has a line for its first name, and one more for each name whose visitors a load balancer leads to another
node of the edge. When the edge drains, or asks for this name elsewhere, a line dials its next connection while the
present one still carries what it has.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from doorward.tunnel.backoff import Backoff
from doorward.tunnel.connector_link import ConnectorLink
from doorward.tunnel.dialing import DialError
from doorward.tunnel.messages import GoAwayMessage
from doorward.tunnel.upgrade import UpgradeRefused

HANDSHAKE_SECONDS = 10.0


class Switchboard(Protocol):
    """What a line needs of its connector."""

    async def connect(self, host: str, alternates: list[str]) -> ConnectorLink:
        """A link past its 101. Raises DialError, UpgradeRefused, TimeoutError."""
        ...

    def ended(self, farewell: GoAwayMessage) -> None:
        """A line has no connection now."""
        ...

    def dialling(self) -> None: ...


class Line:
    """`run` ends by cancellation; one that is not `is_main` also when a connection could not be kept."""

    def __init__(
        self,
        switchboard: Switchboard,
        host: str,
        *,
        is_main: bool,
        uniform: Callable[[float, float], float],
    ) -> None:
        self.host = host
        self.link: ConnectorLink | None = None
        self._switchboard = switchboard
        self._is_main = is_main
        self._uniform = uniform
        self._backoff = Backoff(uniform)
        self._wake = asyncio.Event()
        self._turned_away: asyncio.Future[GoAwayMessage] | None = None
        self._alternates: list[str] = []
        self._lived = 0.0

    def retry_now(self) -> None:
        """Do not wait for the next attempt."""
        self._wake.set()

    def configured(self) -> None:
        """A connection is open: start over with the waits."""
        self._backoff.reset()

    def turn_away(self, link: ConnectorLink, message: GoAwayMessage) -> None:
        """Leave `link` to its streams and dial another, after a random part of the message's spread."""
        if link is self.link and self._turned_away is not None and not self._turned_away.done():
            self._turned_away.set_result(message)

    async def run(self) -> None:
        while True:
            farewell = await self._attempt()
            is_kept = self._is_main or farewell.drain_ms > 0
            # One that ends for good may have been the last that was open, after the main one.
            if is_kept or self._lived:
                self._switchboard.ended(farewell)
            if not is_kept:
                return
            await self._wait(farewell)

    async def _attempt(self) -> GoAwayMessage:
        """One connection from dialling until it ended or turned us away; why."""
        self._switchboard.dialling()
        self._lived = 0.0
        alternates, self._alternates = self._alternates, []
        try:
            link = self.link = await self._switchboard.connect(self.host, alternates)
        except UpgradeRefused as refusal:
            return GoAwayMessage("no_tunnel_here", str(refusal), refusal.retry_after * 1000)
        except DialError as error:
            return GoAwayMessage(error.code, str(error))
        except TimeoutError:
            return GoAwayMessage("unreachable", "The edge does not answer.")
        turned_away = self._turned_away = asyncio.get_running_loop().create_future()
        handshake = link.loop.call_later(HANDSHAKE_SECONDS, self._handshake_late, link)
        try:
            await asyncio.wait((link.over, turned_away), return_when=asyncio.FIRST_COMPLETED)
        finally:
            handshake.cancel()
            self.link = None
        if link.configured_at is not None:
            self._lived = link.loop.time() - link.configured_at
        return link.over.result() if link.over.done() else turned_away.result()

    def _handshake_late(self, link: ConnectorLink) -> None:
        if link.configured_at is None:
            link.abort("handshake_timeout")

    async def _wait(self, farewell: GoAwayMessage) -> None:
        spread = farewell.spread_ms / 1000
        if farewell.drain_ms:
            self._alternates = farewell.alternates
            delay = self._uniform(0.0, spread)
        elif farewell.reason == "superseded":
            delay = self._backoff.next_superseded(lived=self._lived)
        elif farewell.reason == "no_tunnel_here":
            delay = self._backoff.next(not_before=spread)
        else:
            delay = self._backoff.next(spread=spread, is_final=farewell.is_final)
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()
