"""The connector: keeps one tunnel to the edge open for as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from doorward.http1 import Limits, Router
from doorward.http1.engine import Engine
from doorward.tunnel import messages, proof
from doorward.tunnel.backoff import Backoff
from doorward.tunnel.connector_link import ConnectorLink
from doorward.tunnel.dialing import DialError, dial, edge_address, tls_context
from doorward.tunnel.endpoint import Windows
from doorward.tunnel.liveness import Heartbeat
from doorward.tunnel.token import ConnectorToken

log = logging.getLogger(__name__)

_HANDSHAKE_SECONDS = 10.0
_CLOCK_SKEW_SECONDS = 30


class ConnectorState(msgspec.Struct, frozen=True):
    """`reason` is a stable word, `message` a sentence for a person; `since` is Unix seconds."""

    word: Literal["connecting", "connected", "superseded", "refused", "stopped"]
    reason: str = ""
    message: str = ""
    since: float = 0.0
    hostnames: tuple[str, ...] = ()


class Connector:
    """Create it inside a running loop. It never gives up: `run` ends only by `close` or cancellation.

    After a final refusal it asks again only every few minutes; after `superseded` (another process runs with the same
    token) it waits longer each time. `retry_now` ends any wait. Raises InvalidEdgeUrl at construction.
    """

    def __init__(
        self,
        token: ConnectorToken,
        *,
        router: Router,
        ca_file: Path | None = None,
        limits: Limits | None = None,
        windows: Windows | None = None,
        heartbeat: Heartbeat | None = None,
        environ: Mapping[str, str] | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._token = token
        self._address = edge_address(token.edge_url)
        self._context = tls_context(ca_file) if self._address.scheme == "https" else None
        self._engine = Engine(router, limits or Limits())
        self._windows = windows or Windows()
        self._heartbeat = heartbeat or Heartbeat()
        self._environ = os.environ if environ is None else environ
        self._backoff = Backoff(uniform)
        self._listeners: list[Callable[[ConnectorState], None]] = []
        self._link: ConnectorLink | None = None
        self._over: asyncio.Future[messages.GoAwayMessage] | None = None
        self._connected_at = 0.0
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()
        self.state = ConnectorState("connecting", since=time.time())

    def on_state(self, listener: Callable[[ConnectorState], None]) -> None:
        """`listener` is called with every new state."""
        self._listeners.append(listener)

    def close_tag(self, tag: str) -> int:
        """End every open exchange whose `Forward` had this tag, now; returns how many there were."""
        return self._engine.close_tag(tag)

    @property
    def open_exchanges(self) -> int:
        return len(self._link.endpoint.streams) if self._link is not None else 0

    def retry_now(self) -> None:
        """Do not wait for the next attempt: something changed, such as the network."""
        self._wake.set()

    async def run(self) -> None:
        try:
            while not self._stopping.is_set():
                farewell = await self._attempt()
                if not self._stopping.is_set():
                    await self._wait(farewell)
        finally:
            self._set_state("stopped")
            if self._link is not None:
                self._link.abort("stopped")
            self._engine.close()

    async def close(self, *, grace: float = 0.0) -> None:
        """Let open exchanges end for up to `grace` seconds, say goodbye, and end `run`."""
        self._stopping.set()
        self._wake.set()
        deadline = self._engine.loop.time() + grace
        while self.open_exchanges and self._engine.loop.time() < deadline:  # noqa: ASYNC110 - coarse, once
            await asyncio.sleep(0.02)
        if self._link is not None:
            self._link.go_away("stopping")

    # Inside.

    async def _attempt(self) -> messages.GoAwayMessage:
        """One connection from dialling to its end; why it ended."""
        if self.state.word != "connecting":
            self._set_state("connecting", self.state.reason, self.state.message)
        self._over = asyncio.get_running_loop().create_future()
        handshake = self._engine.loop.call_later(_HANDSHAKE_SECONDS, self._handshake_late)
        try:
            self._link = await asyncio.wait_for(
                dial(self._address, self._new_link, context=self._context, environ=self._environ),
                _HANDSHAKE_SECONDS,
            )
            return await self._over
        except DialError as error:
            return messages.GoAwayMessage(error.code, str(error))
        except TimeoutError:
            return messages.GoAwayMessage("unreachable", f"{self._address.authority} does not answer.")
        finally:
            handshake.cancel()
            link, self._link = self._link, None
            if link is not None:
                link.abort("stopped")

    async def _wait(self, farewell: messages.GoAwayMessage) -> None:
        log.info("tunnel ended: %s %s", farewell.reason, farewell.message)
        if farewell.reason == "superseded":
            self._set_state("superseded", farewell.reason, farewell.message)
            await self._sleep(
                self._backoff.next_superseded(lived=self._engine.loop.time() - self._connected_at)
            )
            return
        elif farewell.is_final:
            self._set_state("refused", farewell.reason, farewell.message)
        else:
            self._set_state("connecting", farewell.reason, farewell.message)
        is_retry_after = farewell.reason == "no_tunnel_here"
        delay = self._backoff.next(
            not_before=farewell.spread_ms / 1000 if is_retry_after else 0.0,
            spread=0.0 if is_retry_after else farewell.spread_ms / 1000,
            is_final=farewell.is_final,
        )
        await self._sleep(delay)

    async def _sleep(self, delay: float) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), delay)

    def _new_link(self) -> ConnectorLink:
        address = self._address
        request = (
            f"GET /.well-known/connect/tunnel HTTP/1.1\r\nHost: {address.authority}\r\n"
            "Connection: Upgrade\r\nUpgrade: connect-mux/1\r\n\r\n"
        )
        self._link = ConnectorLink(
            engine=self._engine,
            upgrade_request=request.encode("ascii"),
            answer_nonce=self._prove,
            configured=self._configured,
            over=self._link_over,
            windows=self._windows,
            heartbeat=self._heartbeat,
        )
        return self._link

    def _prove(self, nonce: messages.NonceMessage) -> str:
        now = int(time.time())
        if abs(nonce.time - now) > _CLOCK_SKEW_SECONDS:
            # The proof lives by the edge's clock: a laptop whose clock is wrong still gets its tunnel.
            log.warning("this machine's clock is %d s away from the edge's", now - nonce.time)
            now = nonce.time
        return proof.sign(self._token, audience=self._address.origin, nonce=nonce.nonce, now=now)

    def _configured(self, config: messages.ConfigMessage) -> None:
        self._connected_at = self._engine.loop.time()
        self._backoff.reset()
        self._set_state("connected", hostnames=tuple(config.hostnames))

    def _link_over(self, farewell: messages.GoAwayMessage) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(farewell)

    def _handshake_late(self) -> None:
        if self._link is not None and self.state.word != "connected":
            self._link.abort("handshake_timeout")

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
