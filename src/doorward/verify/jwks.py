"""A key set fetched over HTTP and kept: one request at a time, old keys through an outage, new keys at once."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from doorward.jose import InvalidKey, KeySet, UnknownKey

if TYPE_CHECKING:  # asyncio is imported where it is used: a synchronous service need not pay for it
    import asyncio

T = TypeVar("T")
Fetch = Callable[[str], Awaitable[bytes]]

_TIMEOUT_SECONDS = 10
_MAX_BYTES = 1_000_000


class KeySetUnavailable(Exception):
    """No key set was ever fetched and the issuer does not answer with one. Tokens cannot be checked now;
    that is 503, not 401."""


class JwksCache:
    """The keys at `url`, fetched when first needed.

    `max_age`: seconds after which they are fetched again; when that fails the old ones keep serving and
    the next attempt waits `min_refetch`. A token that names an unknown key causes one fetch, but no more
    than one per `min_refetch` seconds, or anybody could make us hammer the issuer with invented names.
    Concurrent callers share one request. `fetch` and `clock` (seconds, monotonic) may be replaced.
    """

    def __init__(
        self,
        url: str,
        *,
        max_age: float = 300,
        min_refetch: float = 10,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._max_age = max_age
        self._min_refetch = min_refetch
        self._fetch = fetch or fetch_url
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._attempted_at: float | None = None
        self._running: asyncio.Task[None] | None = None

    async def keys(self) -> KeySet:
        """The current key set. Raises KeySetUnavailable when there is none yet."""
        if self._keys is None or self._clock() - self._fetched_at >= self._max_age:
            await self._refresh()
        if self._keys is None:
            raise KeySetUnavailable(f"no key set from {self._url}")
        return self._keys

    async def check(self, verify: Callable[[KeySet], T]) -> T:
        """`verify` with the current keys, and once more with fresh ones if it misses a key."""
        keys = await self.keys()
        try:
            return verify(keys)
        except UnknownKey:
            await self._refresh()
            if self._keys is keys:
                raise
            return verify(await self.keys())

    async def _refresh(self) -> None:
        import asyncio

        if self._running is None:
            now = self._clock()
            if self._attempted_at is not None and now - self._attempted_at < self._min_refetch:
                return
            self._attempted_at = now
            self._running = asyncio.create_task(self._load())
            self._running.add_done_callback(self._forget)
        # Shielded: a caller that gives up must not take the others' answer with it.
        await asyncio.shield(self._running)

    def _forget(self, _: asyncio.Task[None]) -> None:
        self._running = None

    async def _load(self) -> None:
        try:
            keys = KeySet.from_jwks(msgspec.json.decode(await self._fetch(self._url), type=dict))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, InvalidKey, RecursionError):
            return  # whoever has keys goes on with them; whoever has none is told by `keys`
        if len(keys):
            self._keys, self._fetched_at = keys, self._clock()


async def fetch_url(url: str) -> bytes:
    """GET over https, or over http from localhost, without following redirects. Raises OSError."""
    import asyncio

    parts = urlsplit(url)
    host = parts.hostname or ""
    is_local = host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise OSError("a key set is fetched over https")
    return await asyncio.to_thread(_fetch_blocking, url)


def _fetch_blocking(url: str) -> bytes:
    # Imported here: urllib's HTTP stack costs more to import than the rest of this package.
    from http.client import HTTPException
    from urllib.request import HTTPErrorProcessor, HTTPHandler, HTTPSHandler, OpenerDirector, Request

    class NoRedirects(HTTPErrorProcessor):
        def http_response(self, request, response):  # type: ignore[no-untyped-def]
            if response.status != 200:
                raise OSError(f"the key set answered {response.status}")
            return response

        https_response = http_response

    opener = OpenerDirector()
    for handler in (HTTPHandler(), HTTPSHandler(), NoRedirects()):
        opener.add_handler(handler)
    request = Request(url, headers={"accept": "application/json"})  # noqa: S310 - the scheme is checked
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
            body: bytes = response.read(_MAX_BYTES + 1)
    except HTTPException as error:
        raise OSError("the key set's server does not speak HTTP") from error
    if len(body) > _MAX_BYTES:
        raise OSError("the key set is too large")
    return body
