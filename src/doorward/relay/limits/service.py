"""Counting requests of an account."""

from typing import Literal

from doorward.relay.limits import store
from doorward.relay.settings import RateLimits
from doorward.store import Clock, Database

WINDOW_MS = 60_000

Bucket = Literal["link_challenges", "links", "token_exchanges", "connects", "registrations", "publications"]


class TooManyRequests(Exception):
    """The account used up its window; `retry_after` is whole seconds until the next."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after


class Limits:
    def __init__(self, rates: RateLimits, database: Database, clock: Clock) -> None:
        self._rates = rates
        self._database = database
        self._clock = clock

    async def take(self, user_id: str, bucket: Bucket) -> None:
        """Count one request. Raises `TooManyRequests` beyond the account's rate."""
        now = self._clock()
        window_start = now - now % WINDOW_MS
        requests = await self._database.write(
            lambda tx: store.count(tx, subject=user_id, bucket=bucket, window_start=window_start)
        )
        allowed: int = getattr(self._rates, bucket)
        if requests > allowed:
            raise TooManyRequests(-(-(window_start + WINDOW_MS - now) // 1000))
