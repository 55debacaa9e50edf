"""The connector: keeps a tunnel to the edge open for as long as it runs.

That is one connection, on one node of the edge. Where a load balancer spreads this machine's names over several nodes,
each of those asks for a connection of its own (WANTED), and gets it on a line of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import re
import secrets
import time
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Literal

import msgspec

from doorward.http1 import Limits, Router
from doorward.http1.engine import Engine
from doorward.tunnel import messages, proof
from doorward.tunnel.connector_link import ConnectorLink
from doorward.tunnel.dialing import EdgeAddress, InvalidEdgeUrl, dial, edge_address, tls_context
from doorward.tunnel.endpoint import Windows
from doorward.tunnel.line import HANDSHAKE_SECONDS, Line
from doorward.tunnel.liveness import Heartbeat
from doorward.tunnel.token import ConnectorToken
from doorward.tunnel.upgrade import UpgradeRequest, WorkingUpgrades

log = logging.getLogger(__name__)

UNPROVED = "unproved"
"""The reason of a state: the tunnel stands, and the edge has just begun to try it."""
_CLOCK_SKEW_SECONDS = 30
_HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
# As many names can lead to as many nodes, each of which asks once; more is an edge that plays with us.
_LINES = 16
_WANTED_SECONDS = 1.0


class ConnectorState(msgspec.Struct, frozen=True):
    """`reason` is a stable word, `message` a sentence for a person; `since` is Unix seconds.

    Connected is a machine through whose tunnel something came. While the tunnel stands it has its `hostnames`, also
    where it is not that far: `reason` then says that nothing came through yet, or names the hop where it ends.
    """

    word: Literal["connecting", "connected", "superseded", "refused", "stopped"]
    reason: str = ""
    message: str = ""
    since: float = 0.0
    hostnames: tuple[str, ...] = ()


class Connector:
    """Create it inside a running loop. It never gives up: `run` ends only by `close` or cancellation.

    After a final refusal it asks again only every few minutes; after `superseded` (another process runs with the same
    token) it waits longer each time. `retry_now` ends any wait. `pins` are the only keys an edge may have, as `read_pins`
    gives them; none are any that is trusted. Raises InvalidEdgeUrl at construction.
    """

    def __init__(
        self,
        token: ConnectorToken,
        *,
        router: Router,
        ca_file: Path | None = None,
        pins: Set[str] = frozenset(),
        limits: Limits | None = None,
        windows: Windows | None = None,
        heartbeat: Heartbeat | None = None,
        environ: Mapping[str, str] | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._token = token
        self._address = edge_address(token.edge_url)
        if pins and self._address.scheme != "https":
            raise InvalidEdgeUrl("the edge has no TLS, so that its key cannot be the pinned one")
        self._context = tls_context(ca_file, pins) if self._address.scheme == "https" else None
        self._engine = Engine(router, limits or Limits())
        self._windows = windows or Windows()
        self._heartbeat = heartbeat or Heartbeat()
        self._environ = os.environ if environ is None else environ
        self._uniform = uniform
        self._upgrades = WorkingUpgrades()
        self._instance = secrets.token_urlsafe(16)
        self._listeners: list[Callable[[ConnectorState], None]] = []
        self._links: set[ConnectorLink] = set()
        self._lines: dict[str, Line] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wanted_at: dict[str, float] = {}
        self._unsaid: messages.GoAwayMessage | None = None
        self._stopping = asyncio.Event()
        self.state = ConnectorState("connecting", since=time.time())

    def on_state(self, listener: Callable[[ConnectorState], None]) -> None:
        """`listener` is called with every new state."""
        self._listeners.append(listener)

    def close_tag(self, tag: str) -> int:
        """End every open exchange whose `Forward` had this tag, now; returns how many there were."""
        return self._engine.close_tag(tag)

    @property
    def open_exchanges(self) -> int:
        return sum(len(link.endpoint.streams) for link in self._links)

    def retry_now(self) -> None:
        """Do not wait for the next attempt: something changed, such as the network."""
        for line in self._lines.values():
            line.retry_now()

    async def run(self) -> None:
        try:
            self._start_line(self._main_host())
            await self._stopping.wait()
        finally:
            self._stopping.set()
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            self._set_state("stopped")
            for link in list(self._links):
                link.abort("stopped")
            self._engine.close()

    async def close(self, *, grace: float = 0.0) -> None:
        """Let open exchanges end for up to `grace` seconds, say goodbye, and end `run`."""
        deadline = self._engine.loop.time() + grace
        while self.open_exchanges and self._engine.loop.time() < deadline:  # noqa: ASYNC110 - coarse, once
            await asyncio.sleep(0.02)
        for link in list(self._links):
            link.go_away("stopping")
        self._stopping.set()

    # What lines ask for.

    async def connect(self, host: str, alternates: list[str]) -> ConnectorLink:
        """A link past its 101. Raises DialError, UpgradeRefused, TimeoutError."""
        address = self._choose(alternates)
        # Not `wait_for`: on Python 3.11 a cancellation that comes just as the dial ends is lost in it, and `run` goes on for ever.
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            request = await dial(
                address,
                lambda: UpgradeRequest(
                    host=host, upgrades=self._upgrades, new_link=lambda: self._new_link(address)
                ),
                context=self._context,
                environ=self._environ,
            )
        late = self._engine.loop.call_later(HANDSHAKE_SECONDS, request.give_up)
        try:
            link = await request.outcome
        finally:
            late.cancel()
            request.abandon()
        assert isinstance(link, ConnectorLink)
        return link

    def dialling(self) -> None:
        if self.state.word != "connecting" and not self._is_connected:
            self._set_state("connecting", self.state.reason, self.state.message)

    def ended(self, farewell: messages.GoAwayMessage) -> None:
        if self._is_connected:
            self._unsaid = farewell
            return
        log.info("tunnel ended: %s %s", farewell.reason, farewell.message)
        if farewell.reason == "superseded":
            self._set_state("superseded", farewell.reason, farewell.message)
        elif farewell.is_final:
            self._set_state("refused", farewell.reason, farewell.message)
        else:
            self._set_state("connecting", farewell.reason, farewell.message)

    # Inside.

    @property
    def _is_connected(self) -> bool:
        return any(link.is_proved for link in self._links)

    def _main_host(self) -> str:
        """The name whose visitors should find our tunnel where they arrive; with the edge's port, as they send it."""
        if not self._token.hostnames:
            return self._address.authority
        return self._address.with_port_of(self._token.hostnames[0])

    def _start_line(self, host: str) -> None:
        line = Line(self, host, is_main=not self._lines, uniform=self._uniform)
        self._lines[host] = line
        task = self._running[host] = asyncio.create_task(line.run())
        task.add_done_callback(lambda _: self._line_over(host))

    def _line_over(self, host: str) -> None:
        self._lines.pop(host, None)
        self._wanted_at.pop(host, None)
        self._running.pop(host, None)
        if any(link.is_settled for link in self._links):
            # It found no other node; its visitors will ask for us there when they come.
            for link in self._links:
                if link.is_turned_away:
                    link.say_moved()

    def _choose(self, alternates: list[str]) -> EdgeAddress:
        """Where to dial: another edge that the one we leave has named, else our own.

        Only a sibling of ours: an edge must not make a machine dial whatever it likes.
        """
        own = self._address
        for url in alternates:
            with contextlib.suppress(InvalidEdgeUrl):
                address = edge_address(url)
                if address.scheme == own.scheme and address.parent_domain == own.parent_domain != "":
                    return address
        return own

    def _new_link(self, address: EdgeAddress) -> ConnectorLink:
        link = ConnectorLink(
            engine=self._engine,
            answer_nonce=lambda nonce: self._prove(nonce, address),
            configured=self._configured,
            leaving=self._turned_away,
            wanted=self._wanted,
            told_health=self._told_health,
            windows=self._windows,
            heartbeat=self._heartbeat,
        )
        self._links.add(link)
        link.over.add_done_callback(lambda _: self._link_over(link))
        return link

    def _link_over(self, link: ConnectorLink) -> None:
        self._links.discard(link)
        is_of_line = any(line.link is link for line in self._lines.values())
        if self.state.word == "connected" and not self._is_connected and not is_of_line:
            # It had been turned away, and outlived the connection of its line: nobody else says what that one ended with.
            self.ended(self._unsaid or link.over.result())

    def _prove(self, nonce: messages.NonceMessage, address: EdgeAddress) -> str:
        now = int(time.time())
        if abs(nonce.time - now) > _CLOCK_SKEW_SECONDS:
            # The proof lives by the edge's clock: a laptop whose clock is wrong still gets its tunnel.
            log.warning("this machine's clock is %d s away from the edge's", now - nonce.time)
            now = nonce.time
        return proof.sign(
            self._token, audience=address.origin, nonce=nonce.nonce, now=now, instance=self._instance
        )

    def _configured(self, link: ConnectorLink) -> None:
        self._unsaid = None
        for line in self._lines.values():
            if line.link is link:
                line.configured()
        for other in self._links:
            if other is not link and other.is_turned_away:
                other.say_moved()
        if link.is_proved:
            self._set_state("connected", hostnames=link.hostnames)
        elif not self._is_connected:
            self._set_state(
                "connecting", UNPROVED, "The tunnel is open; nothing has come through it yet.", link.hostnames
            )

    def _told_health(self, link: ConnectorLink, health: messages.HealthMessage) -> None:
        if link.is_proved:
            self._set_state("connected", hostnames=link.hostnames)
        elif not self._is_connected:
            log.info("nothing comes through the tunnel: %s %s", health.reason, health.message)
            self._set_state("connecting", health.reason, health.message, link.hostnames)

    def _turned_away(self, link: ConnectorLink, message: messages.GoAwayMessage) -> None:
        lines = [line for line in self._lines.values() if line.link is link]
        for line in lines:
            line.turn_away(link, message)
        if not lines and any(other.is_settled for other in self._links):
            # Its line went on to another node long ago.
            link.say_moved()

    def _wanted(self, hostname: str) -> None:
        """Visitors of this name reach another node: dial once more under it, and leave what is open as it is."""
        host = self._address.with_port_of(hostname)
        now, line = self._engine.loop.time(), self._lines.get(host)
        # Several nodes may have heard of one visitor.
        is_repeated = now - self._wanted_at.get(host, -_WANTED_SECONDS) < _WANTED_SECONDS
        if is_repeated or _HOST_NAME.fullmatch(hostname) is None:
            return
        if line is not None or len(self._lines) < _LINES:
            self._wanted_at[host] = now
        if line is not None:
            if line.link is not None and line.link.configured_at is not None:
                line.turn_away(line.link, messages.GoAwayMessage("wanted", drain_ms=1))
            else:
                line.retry_now()
        elif len(self._lines) < _LINES:
            self._start_line(host)

    def _set_state(
        self,
        word: Literal["connecting", "connected", "superseded", "refused", "stopped"],
        reason: str = "",
        message: str = "",
        hostnames: tuple[str, ...] = (),
    ) -> None:
        self.state = ConnectorState(word, reason, message, time.time(), hostnames)
        for listener in self._listeners:
            listener(self.state)
