"""Ends what the gate carries for a session when the session ends: revoked, signed out, or run out.

A cookie of 15 minutes opens a stream that may last; the stream's right to go on is the session's, an hour at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from doorward.environment.sessions.ending import CHANNEL

if TYPE_CHECKING:
    from doorward.environment.environment import Environment


class Streams:
    """`close_tag` ends every exchange of a session id, as `doorward.http1` and `doorward.tunnel` offer it."""

    def __init__(self, environment: Environment, close_tag: Callable[[str], object]) -> None:
        self._environment = environment
        self._close_tag = close_tag
        self._expiries: dict[str, asyncio.TimerHandle] = {}

    def opened(self, session_id: str, *, expires_at: int) -> None:
        """Something is carried for this session, which ends at `expires_at` (ms)."""
        if session_id not in self._expiries:
            seconds = max(0, expires_at - self._environment.clock()) / 1000
            loop = asyncio.get_running_loop()
            self._expiries[session_id] = loop.call_later(seconds, self.end, session_id)

    def end(self, session_id: str) -> None:
        """Everything carried for this session ends now."""
        timer = self._expiries.pop(session_id, None)
        if timer is not None:
            timer.cancel()
        self._close_tag(session_id)

    async def watch(self, is_watching: asyncio.Event | None = None) -> None:
        """Until cancelled: end what belongs to ended sessions. `is_watching` is set once nothing can be missed."""
        try:
            async with self._environment.database.subscribe(CHANNEL) as payloads:
                if is_watching is not None:
                    is_watching.set()
                async for session_id in payloads:
                    if session_id:
                        self.end(session_id)
                    else:
                        await self._look_at_all()
        finally:
            for timer in self._expiries.values():
                timer.cancel()

    async def _look_at_all(self) -> None:
        """Notifications may have been missed: ask after every session something is carried for."""
        for session_id in list(self._expiries):
            if await self._environment.sessions.find(session_id) is None:
                self.end(session_id)
