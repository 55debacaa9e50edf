"""Counting requests of an account."""

from collections.abc import Callable
from typing import Literal

from doorward.relay.limits import store
from doorward.relay.settings import RateLimits
from doorward.store import Clock, Database, Tx

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
        await self._database.write(self.counting(user_id, bucket))

    def counting(self, user_id: str, bucket: Bucket) -> Callable[[Tx], None]:
        """`take` as a part of a larger transaction, which it ends by raising `TooManyRequests`."""
        now = self._clock()
        window_start = now - now % WINDOW_MS
        allowed: int = getattr(self._rates, bucket)

        def count(tx: Tx) -> None:
            if store.count(tx, subject=user_id, bucket=bucket, window_start=window_start) > allowed:
                raise TooManyRequests(-(-(window_start + WINDOW_MS - now) // 1000))

        return count
