"""Ends what the gate carries when the session ends (revoked, signed out, run out), or the service leads elsewhere.

A cookie of 15 minutes opens a stream that may last; the stream's right to go on is the session's, an hour at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from doorward.environment.sessions.ending import CHANNEL
from doorward.store import StoreError

if TYPE_CHECKING:
    from doorward.environment.environment import Environment

log = logging.getLogger(__name__)

_REMEMBERED = 60.0  # seconds; far longer than any look into the database takes


class _Carried(msgspec.Struct):
    """What is carried for one session: until when, and from which services, by their origins."""

    expiry: asyncio.TimerHandle
    origins: set[str]


class Streams:
    """An exchange's tag says for which session and from which service it is.

    `close_tag` ends every exchange of a tag, as `doorward.http1` and `doorward.tunnel` offer it.
    """

    def __init__(self, environment: Environment, close_tag: Callable[[str], object]) -> None:
        self._environment = environment
        self._close_tag = close_tag
        self._carried: dict[str, _Carried] = {}
        self._ended: dict[str, float] = {}

    def has_ended(self, session_id: str) -> bool:
        """Was the end of this session told within the last minute?

        A request is authorised in one turn of the loop and carried in a later one; an end told in between finds nothing
        to close, and this is how the request learns of it.
        """
        return session_id in self._ended

    def opened(self, session_id: str, origin: str, *, expires_at: int) -> str:
        """Something is carried from this service for this session, which ends at `expires_at` (ms); the tag for it."""
        carried = self._carried.get(session_id)
        if carried is None:
            seconds = max(0, expires_at - self._environment.clock()) / 1000
            expiry = asyncio.get_running_loop().call_later(seconds, self.end, session_id)
            carried = self._carried[session_id] = _Carried(expiry, set())
        carried.origins.add(origin)
        return _tag(session_id, origin)

    def end(self, session_id: str) -> None:
        """The session is over, and everything carried for it ends now."""
        self.close(session_id)
        carried = self._carried.pop(session_id, None)
        if carried is not None:
            carried.expiry.cancel()

    def close(self, session_id: str) -> None:
        """Everything carried for this session ends now. It lives on: what it opens again is known, and ends with it."""
        carried = self._carried.get(session_id)
        if carried is not None:
            for origin in carried.origins:
                self._close_tag(_tag(session_id, origin))

    def end_service(self, origin: str) -> None:
        """Everything carried from this service ends now, whoever it is for."""
        for session_id, carried in self._carried.items():
            if origin in carried.origins:
                carried.origins.discard(origin)
                self._close_tag(_tag(session_id, origin))

    def _remember_end(self, session_id: str) -> None:
        now = asyncio.get_running_loop().time()
        self._ended = {known: at for known, at in self._ended.items() if now - at < _REMEMBERED}
        self._ended[session_id] = now

    async def watch(self, is_watching: asyncio.Event | None = None) -> None:
        """Until cancelled: end what belongs to ended sessions. `is_watching` is set once nothing can be missed."""
        try:
            async with self._environment.database.subscribe(CHANNEL) as payloads:
                if is_watching is not None:
                    is_watching.set()
                async for session_id in payloads:
                    if session_id:
                        self._remember_end(session_id)
                        self.end(session_id)
                    else:
                        await self._look_at_all()
        finally:
            for carried in self._carried.values():
                carried.expiry.cancel()

    async def _look_at_all(self) -> None:
        """Notifications may have been missed: ask after every session something is carried for."""
        for session_id in list(self._carried):
            if await self._is_over(session_id):
                self.end(session_id)

    async def _is_over(self, session_id: str) -> bool:
        try:
            return await self._environment.sessions.find(session_id) is None
        except StoreError as error:
            # As at the door: for whom cannot be looked up, nothing is carried.
            log.error("a session cannot be checked, so its streams end: %s", error)  # noqa: TRY400
            return True


def _tag(session_id: str, origin: str) -> str:
    return f"{session_id} {origin}"
