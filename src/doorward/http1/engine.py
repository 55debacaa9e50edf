"""What every asking end shares: the router, the pools, the tags, and one slow clock for all deadlines."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from doorward.http1.deadlines import Expiring
from doorward.http1.errors import ROUTER_FAILED
from doorward.http1.exchange import (
    Answer,
    Decision,
    Failure,
    Forward,
    Inbound,
    Outbound,
    Peer,
    Router,
    TcpUpstream,
    UnixUpstream,
)
from doorward.http1.heads import RequestHead
from doorward.http1.limits import Limits
from doorward.http1.pool import Pool
from doorward.http1.receive_buffers import ReceiveBuffers
from doorward.http1.turn_writer import Turn

log = logging.getLogger(__name__)

Decided: TypeAlias = Callable[["Decision | Failure"], None]


class Tagged(Protocol):
    """An exchange that can be ended from outside, at once, by the tag of its `Forward`."""

    tag: str

    def kill(self) -> None: ...


class Engine:
    """One per listener or connector. Create it inside a running loop."""

    def __init__(self, router: Router, limits: Limits) -> None:
        self.router = router
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.expiring: set[Expiring] = set()
        self.buffers = ReceiveBuffers()
        self.turn = Turn(self.loop)
        self.pool = Pool(limits, self.expiring, self.buffers, self.turn)
        self.is_draining = False
        #: Every open exchange that has a tag. They are searched when a tag is closed, which is rare; a request only adds
        #: and discards.
        self.tagged: set[Tagged] = set()
        # A sweep costs one comparison a connection; a timer for each request would cost more than the request.
        shortest = min(
            limits.head_seconds, limits.body_idle_seconds, limits.connect_seconds, limits.keep_alive_seconds
        )
        self._tick = min(1.0, max(0.02, shortest / 4))
        self._sweep_handle = self.loop.call_later(self._tick, self._sweep)

    def route(self, head: RequestHead, peer: Peer, decided: Decided) -> asyncio.Task[None] | None:
        """Ask the router; `decided` is called before this returns, or by the task returned."""
        try:
            decision = self.router(head, peer)
        except Exception:
            log.exception("the router failed")
            decided(ROUTER_FAILED)
            return None
        if isinstance(decision, (Forward, Answer)) or not inspect.isawaitable(decision):
            decided(decision)
            return None
        return self.loop.create_task(self._route_later(decision, decided))

    async def _route_later(self, decision: Awaitable[Decision], decided: Decided) -> None:
        try:
            outcome: Decision | Failure = await decision
        except Exception:
            log.exception("the router failed")
            outcome = ROUTER_FAILED
        decided(outcome)

    def route_again(self, head: RequestHead, peer: Peer, decided: Decided) -> asyncio.Task[None]:
        """Ask the router in a later turn: in this one it does not know yet of what failed."""
        return self.loop.create_task(self._route_again(head, peer, decided))

    async def _route_again(self, head: RequestHead, peer: Peer, decided: Decided) -> None:
        routing = self.route(head, peer, decided)
        if routing is not None:
            await routing

    def open(self, forward: Forward, peer: Peer, inbound: Inbound) -> Outbound:
        """The answering end of `forward`; it never calls `inbound` before this has returned."""
        upstream = forward.upstream
        if isinstance(upstream, (TcpUpstream, UnixUpstream)):
            return self.pool.open(upstream, forward.head, inbound)
        return upstream.open(forward.head, forward.peer or peer, inbound)

    def close_tag(self, tag: str) -> int:
        """End every open exchange with this tag now; how many there were."""
        exchanges = [exchange for exchange in self.tagged if exchange.tag == tag]
        for exchange in exchanges:
            exchange.kill()
        return len(exchanges)

    def close(self) -> None:
        self._sweep_handle.cancel()
        self.pool.close()

    def _sweep(self) -> None:
        now = self.loop.time()
        for item in [item for item in self.expiring if item.deadline <= now]:
            item.expire()
        self.pool.drop_idle(now)
        self._sweep_handle = self.loop.call_later(self._tick, self._sweep)
