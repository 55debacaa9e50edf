"""Measuring a node from outside: its requests by route and status, its transactions by length.

Rooms know nothing of this; a node without an admin listener does not pay for it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from doorward.metering import DATABASE_FAILURES, DATABASE_SECONDS, HTTP_REQUESTS, HTTP_SECONDS
from doorward.store import Database, Row, Statement, StoreError, Subscription, Tx
from doorward.store.database import Dialect

T = TypeVar("T")

#: A path nobody mounted; never the path itself, which is the caller's.
UNMATCHED = "unmatched"


class MeteredApp:
    """Counts what an ASGI application answers. The route is what the application left in `scope["route"]`."""

    def __init__(self, app: ASGIApp, role: str) -> None:
        self._app = app
        self._role = role

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # what the server answers for an application that answers nothing

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", UNMATCHED)
            HTTP_REQUESTS.add(self._role, _method(scope["method"]), route, str(status))
            HTTP_SECONDS.observe(time.perf_counter() - began, self._role, route)


def _method(sent: str) -> str:
    """HTTP's own words; anything a caller invented is one label."""
    return sent if sent in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"


class MeteredDatabase:
    """A `Database` whose transactions are timed. `in_progress` counts those that wait or run now."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.in_progress = {"read": 0, "write": 0}

    @property
    def dialect(self) -> Dialect:
        return self._database.dialect

    async def write(self, fn: Callable[[Tx], T]) -> T:
        return await self._timed("write", self._database.write(fn))

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await self._timed("read", self._database.read(fn))

    async def lookup(self, fn: Callable[[Tx], T]) -> T:
        return await self._timed("read", self._database.lookup(fn))

    async def run(self, *statements: Statement) -> list[list[Row]]:
        return await self._timed("write", self._database.run(*statements))

    async def ask(self, *statements: Statement) -> list[list[Row]]:
        return await self._timed("read", self._database.ask(*statements))

    def version(self) -> int | None:
        return self._database.version()

    def subscribe(self, channel: str) -> Subscription:
        return self._database.subscribe(channel)

    async def close(self) -> None:
        await self._database.close()

    async def _timed(self, kind: str, transaction: Awaitable[T]) -> T:
        self.in_progress[kind] += 1
        began = time.perf_counter()
        try:
            return await transaction
        except StoreError as error:
            DATABASE_FAILURES.add(kind, error.code)
            raise
        finally:
            DATABASE_SECONDS.observe(time.perf_counter() - began, kind)
            self.in_progress[kind] -= 1
