"""Counting requests of an account."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from doorward.relay.limits import store
from doorward.relay.settings import RateLimits
from doorward.store import Clock, Database, Row, Statement

WINDOW_MS = 60_000

Bucket = Literal["link_challenges", "links", "token_exchanges", "connects", "registrations", "publications"]


class TooManyRequests(Exception):
    """The account used up its window; `retry_after` is whole seconds until the next."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after


class Count(msgspec.Struct, frozen=True):
    """One request of an account, to be counted. `statement` counts it; `condition` holds where it was not too many."""

    statement: Statement
    condition: Statement
    allowed: int
    retry_after: int

    def check(self, rows: Sequence[Row]) -> None:
        """What `statement` returned. Raises `TooManyRequests`."""
        [(requests,)] = rows
        if requests > self.allowed:
            raise TooManyRequests(self.retry_after)


class Limits:
    def __init__(self, rates: RateLimits, database: Database, clock: Clock) -> None:
        self._rates = rates
        self._database = database
        self._clock = clock

    async def take(self, user_id: str, bucket: Bucket) -> None:
        """Count one request. Raises `TooManyRequests` beyond the account's rate."""
        counted = self.counting(user_id, bucket)
        [rows] = await self._database.run(counted.statement)
        counted.check(rows)

    def counting(self, user_id: str, bucket: Bucket) -> Count:
        """`take` as a part of a larger transaction."""
        now = self._clock()
        window_start = now - now % WINDOW_MS
        allowed: int = getattr(self._rates, bucket)
        return Count(
            statement=store.count(subject=user_id, bucket=bucket, window_start=window_start),
            condition=store.within(
                subject=user_id, bucket=bucket, window_start=window_start, allowed=allowed
            ),
            allowed=allowed,
            retry_after=-(-(window_start + WINDOW_MS - now) // 1000),
        )
