"""Keep-alive connections to origins, one stack per address."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from doorward.http1.deadlines import Expiring
from doorward.http1.exchange import Inbound, TcpUpstream, UnixUpstream
from doorward.http1.heads import IDEMPOTENT, RequestHead
from doorward.http1.limits import Limits
from doorward.http1.parsing import ResponseHeads
from doorward.http1.receive_buffers import ReceiveBuffers
from doorward.http1.turn_writer import Turn
from doorward.http1.upstream_connection import UpstreamConnection

# Common servers drop an idle connection after 5 s; a request that cannot be repeated must not race that.
_FRESH_SECONDS = 2.0


class Pool:
    """Opens answering ends towards TCP and unix addresses, on an idle connection when there is one."""

    def __init__(self, limits: Limits, expiring: set[Expiring], buffers: ReceiveBuffers, turn: Turn) -> None:
        self.limits = limits
        self.buffers = buffers
        self.turn = turn
        self.heads = ResponseHeads()
        self.loop = asyncio.get_running_loop()
        self.expiring = expiring
        self._idle: dict[TcpUpstream | UnixUpstream, list[UpstreamConnection]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def open(
        self, address: TcpUpstream | UnixUpstream, head: RequestHead, inbound: Inbound
    ) -> UpstreamConnection:
        may_repeat = head.length == 0 and head.method in IDEMPOTENT
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()
            if not connection.is_usable:
                continue
            if may_repeat or self.loop.time() - connection.idle_since < _FRESH_SECONDS:
                connection.start(head, inbound, may_repeat=may_repeat)
                return connection
            connection.discard()
        connection = UpstreamConnection(self, address)
        connection.start(head, inbound, may_repeat=may_repeat)
        return connection

    def release(self, connection: UpstreamConnection) -> None:
        """The exchange is over and the connection is clean: keep it for the next."""
        idle = self._idle.get(connection.address)
        if idle is None:
            idle = self._idle[connection.address] = []
        if self._is_closed or len(idle) >= self.limits.pool_idle_connections:
            connection.discard()
            return
        connection.idle_since = self.loop.time()
        idle.append(connection)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def drop_idle(self, now: float) -> None:
        for address, idle in list(self._idle.items()):
            keep = []
            for connection in idle:
                if connection.is_usable and now - connection.idle_since < self.limits.pool_idle_seconds:
                    keep.append(connection)
                else:
                    connection.discard()
            if keep:
                self._idle[address] = keep
            else:
                del self._idle[address]

    def close(self) -> None:
        self._is_closed = True
        for idle in self._idle.values():
            for connection in idle:
                connection.discard()
        self._idle.clear()
        for task in self._tasks:
            task.cancel()
