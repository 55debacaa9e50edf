"""A key set fetched over HTTP and kept: one request at a time, old keys through an outage, new keys at once.

The rules are one class without I/O; `JwksCache` adds the two ways to fetch, for callers with and without an
event loop, over the same state.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from doorward.jose import InvalidKey, KeySet, UnknownKey
from doorward.verify.errors import KeySetUnavailable
from doorward.verify.transport import fetch_url, fetch_url_blocking

if TYPE_CHECKING:  # asyncio is imported where it is used: a synchronous service need not pay for it
    import asyncio

T = TypeVar("T")
Fetch = Callable[[str], Awaitable[bytes]]
FetchBlocking = Callable[[str], bytes]

MAX_KEYS = 100  # an issuer has two or three; a set of thousands would be checked key by key at every fetch


class _KeptKeys:
    """When to fetch, what to keep, and what to tell. Times are the clock's seconds."""

    def __init__(self, max_age: float, min_refetch: float) -> None:
        self._max_age = max_age
        self._min_refetch = min_refetch
        self.keys: KeySet | None = None
        self.failure: Exception | None = None
        self._fetched_at = 0.0
        self._attempted_at: float | None = None

    def is_due(self, now: float) -> bool:
        return self.keys is None or now - self._fetched_at >= self._max_age

    def may_attempt(self, now: float) -> bool:
        return self._attempted_at is None or now - self._attempted_at >= self._min_refetch

    def attempt(self, now: float) -> None:
        self._attempted_at = now

    def took(self, body: bytes, now: float) -> None:
        """Keep what was fetched; a body that is no key set is a failure like any other."""
        try:
            keys = KeySet.from_jwks(msgspec.json.decode(body, type=dict))
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidKey, RecursionError) as error:
            self.failure = error
            return
        if 0 < len(keys) <= MAX_KEYS:
            self.keys, self._fetched_at, self.failure = keys, now, None
        else:
            self.failure = InvalidKey("the key set is empty or too large")


class JwksCache:
    """The keys at `url`, fetched when first needed.

    `max_age`: seconds after which they are fetched again; when that fails the old ones keep serving and
    the next attempt waits `min_refetch`; `is_stale` shows it. A token that names an unknown key causes one fetch,
    but no more than one per `min_refetch` seconds, or anybody could make us hammer the issuer with invented names.
    Concurrent callers share one request. `fetch`, `fetch_blocking` and `clock` (seconds, monotonic) may be
    replaced. `keys` and `check` are for coroutines; `keys_blocking` and `check_blocking` for threads.
    """

    def __init__(
        self,
        url: str,
        *,
        max_age: float = 300,
        min_refetch: float = 10,
        fetch: Fetch | None = None,
        fetch_blocking: FetchBlocking | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._fetch = fetch or fetch_url
        self._fetch_blocking = fetch_blocking or fetch_url_blocking
        self._clock = clock
        self._kept = _KeptKeys(max_age, min_refetch)
        self._running: asyncio.Task[None] | None = None
        self._lock = threading.Lock()

    @property
    def is_stale(self) -> bool:
        """Whether the keys are older than they should be because the issuer could not be asked."""
        return self._kept.failure is not None and self._kept.is_due(self._clock())

    @property
    def current(self) -> KeySet | None:
        """The keys at hand, without asking anybody."""
        return self._kept.keys

    def fresh_for(self, kid: str | None) -> KeySet | None:
        """The keys at hand if there is no reason to ask for newer ones before looking `kid` up."""
        keys = self._kept.keys
        if keys is None or self._kept.is_due(self._clock()) or _lacks(keys, kid):
            return None
        return keys

    @property
    def failure(self) -> Exception | None:
        """Why the last fetch failed; None after one that worked."""
        return self._kept.failure

    async def keys(self) -> KeySet:
        """The current key set. Raises KeySetUnavailable when there is none yet."""
        if self._kept.is_due(self._clock()):
            await self._refresh()
        return self._current()

    async def keys_for(self, kid: str | None) -> KeySet:
        """The current key set, fetched once more if it lacks `kid`. Raises KeySetUnavailable."""
        keys = await self.keys()
        if _lacks(keys, kid):
            await self._refresh()
        return self._current()

    async def check(self, verify: Callable[[KeySet], T]) -> T:
        """`verify` with the current keys, and once more with fresh ones if it misses a key."""
        keys = await self.keys()
        try:
            return verify(keys)
        except UnknownKey:
            await self._refresh()
            if self._kept.keys is keys:
                raise
            return verify(await self.keys())

    def keys_blocking(self) -> KeySet:
        """As `keys`, in a thread. Raises KeySetUnavailable."""
        if self._kept.is_due(self._clock()):
            self._refresh_blocking()
        return self._current()

    def keys_for_blocking(self, kid: str | None) -> KeySet:
        """As `keys_for`, in a thread. Raises KeySetUnavailable."""
        keys = self.keys_blocking()
        if _lacks(keys, kid):
            self._refresh_blocking()
        return self._current()

    def _current(self) -> KeySet:
        if self._kept.keys is None:
            failure = self._kept.failure
            if isinstance(failure, KeySetUnavailable):
                raise failure
            raise KeySetUnavailable(f"no key set from {self._url}")
        return self._kept.keys

    async def _refresh(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        running = self._running
        if running is None or running.get_loop() is not loop:
            now = self._clock()
            if not self._kept.may_attempt(now):
                return
            self._kept.attempt(now)
            running = self._running = loop.create_task(self._load())
            running.add_done_callback(self._forget)
        # Shielded: a caller that gives up must not take the others' answer with it.
        await asyncio.shield(running)

    def _forget(self, task: asyncio.Task[None]) -> None:
        if self._running is task:
            self._running = None

    async def _load(self) -> None:
        try:
            body = await self._fetch(self._url)
        except (OSError, KeySetUnavailable) as error:
            self._kept.failure = (
                error  # whoever has keys goes on with them; whoever has none is told by `keys`
            )
        else:
            self._kept.took(body, self._clock())

    def _refresh_blocking(self) -> None:
        before = self._kept.keys
        with self._lock:
            now = self._clock()
            # Whoever waited for the lock finds what the one before fetched, or that it just failed.
            if self._kept.keys is not before or not self._kept.may_attempt(now):
                return
            self._kept.attempt(now)
            try:
                body = self._fetch_blocking(self._url)
            except (OSError, KeySetUnavailable) as error:
                self._kept.failure = error
            else:
                self._kept.took(body, self._clock())


def _lacks(keys: KeySet, kid: str | None) -> bool:
    if kid is None:
        return False
    try:
        keys.find(kid, "")
    except UnknownKey:
        return True
    return False
