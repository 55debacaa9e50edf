"""How a session ends: its row, its codes and cookies, and, within a second, its open sockets and streams."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from doorward.environment.children import store as children
from doorward.environment.sessions import store
from doorward.environment.stream.events import SessionRemoved, announce
from doorward.store import Clock, Database, StoreError, Tx

log = logging.getLogger(__name__)

#: Payload: a session id. The gate closes what it carries for it; `Endings` tells our own sockets.
CHANNEL = "environment.session_ended"


def end_sessions(tx: Tx, session_ids: Sequence[str], now: int) -> list[str]:
    """End those that are alive, with everything issued under them; the ids that ended now."""
    ended = store.mark_revoked(tx, session_ids, now)
    children.end_for_sessions(tx, ended)
    for session_id in ended:
        tx.notify(CHANNEL, session_id)
        announce(tx, SessionRemoved(session_id))
    return ended


def end_sessions_of_key(tx: Tx, thumbprint: str, now: int) -> list[str]:
    """End every session bound to this device's key."""
    return end_sessions(tx, [session.id for session in store.list_alive_of_key(tx, thumbprint, now)], now)


class Endings:
    """Tells whoever holds a socket open that its session is over. Run `watch` as a task."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._watched: dict[str, set[asyncio.Event]] = {}

    def register(self, session_id: str) -> asyncio.Event:
        """An event that is set when the session ends. Give it back with `forget`."""
        ended = asyncio.Event()
        self._watched.setdefault(session_id, set()).add(ended)
        return ended

    def forget(self, session_id: str, ended: asyncio.Event) -> None:
        watchers = self._watched.get(session_id, set())
        watchers.discard(ended)
        if not watchers:
            self._watched.pop(session_id, None)

    async def watch(self, is_watching: asyncio.Event) -> None:
        """Until the database closes or the task is cancelled. `is_watching` is set once nothing can be missed."""
        async with self._database.subscribe(CHANNEL) as payloads:
            is_watching.set()
            async for payload in payloads:
                if payload:
                    self._tell(payload)
                else:
                    await self._look_at_all()

    async def _look_at_all(self) -> None:
        """Another process may have ended sessions: ask after each one somebody waits for."""
        now = self._clock()
        watched = list(self._watched)

        def gone(tx: Tx) -> list[str]:
            return [session_id for session_id in watched if store.find_alive(tx, session_id, now) is None]

        try:
            ended = await self._database.read(gone)
        except StoreError as error:
            # Whoever cannot be looked up is not let in either.
            log.error("sessions cannot be checked, so their sockets end: %s", error)  # noqa: TRY400
            ended = watched
        for session_id in ended:
            self._tell(session_id)

    def _tell(self, session_id: str) -> None:
        for ended in self._watched.get(session_id, ()):
            ended.set()


async def wait_until(ended: asyncio.Event, *, timeout_seconds: float) -> None:
    """Return when the session has ended, or after `timeout_seconds`, when it has expired."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, timeout_seconds)):
            await ended.wait()
