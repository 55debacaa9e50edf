"""What an edge grants: one table for every account, with exceptions, and what one address may try. Pure.

The edge knows an account by an opaque id only. `None` anywhere means no limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from doorward.http1 import network_of

_Count = Annotated[int, msgspec.Meta(ge=1)]
# Below this a tunnel could not carry its own control frames in time.
_ByteRate = Annotated[int, msgspec.Meta(ge=64 * 1024)]
_REMEMBERED_ADDRESSES = 10_000


class Allowance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One account's share of one node. Rates are per second; bytes count in both directions."""

    machines: _Count | None = 10
    """Connected at once."""
    streams_per_tunnel: _Count = 256
    streams_per_visitor: _Count | None = 64
    """At once in one tunnel from one address."""
    requests_per_second: Annotated[float, msgspec.Meta(gt=0)] | None = 1000.0
    requests_burst: _Count = 5000
    bytes_per_second_of_tunnel: _ByteRate | None = 50_000_000
    bytes_per_second: _ByteRate | None = 100_000_000


class Allowances(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`default` holds for every account that `accounts` does not name."""

    default: Allowance = Allowance()
    accounts: Mapping[str, Allowance] = {}
    handshakes_per_second: Annotated[float, msgspec.Meta(gt=0)] | None = 500.0
    """Machines that may ask to connect to this process; the rest is told to wait before any work is done for it."""
    failed_proofs_per_minute: _Count | None = 10
    """Of one address. Not of one machine: a stranger who knows its id could then lock it out."""

    def of(self, account: str) -> Allowance:
        return self.accounts.get(account, self.default)


UNLIMITED = Allowances(
    default=Allowance(
        machines=None,
        streams_per_visitor=None,
        requests_per_second=None,
        bytes_per_second_of_tunnel=None,
        bytes_per_second=None,
    ),
    handshakes_per_second=None,
    failed_proofs_per_minute=None,
)
"""For the owner of the node alone, as with `doorward up`."""


class TokenBucket:
    """`rate` tokens a second, at most `burst` of them saved up."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, amount: float, now: float) -> float:
        """Take them, into debt if need be: for what has happened already. Seconds until the debt is paid."""
        self._fill(now)
        self._level -= amount
        return max(0.0, -self._level / self._rate)

    def try_take(self, now: float) -> float:
        """0 when there was a token, which is taken; else seconds until there is one."""
        self._fill(now)
        if self._level < 1:
            return (1 - self._level) / self._rate
        self._level -= 1
        return 0.0

    def _fill(self, now: float) -> None:
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now


class AccountUse:
    """What one account uses of this node now, shared by its tunnels."""

    def __init__(self, allowance: Allowance, now: float) -> None:
        self.allowance = allowance
        self.environments: set[str] = set()
        self._requests = (
            TokenBucket(allowance.requests_per_second, allowance.requests_burst, now)
            if allowance.requests_per_second is not None
            else None
        )
        self._bytes = _byte_bucket(allowance.bytes_per_second, now)

    def has_room_for(self, environment_id: str) -> bool:
        machines = self.allowance.machines
        return machines is None or len(self.environments | {environment_id}) <= machines

    def request(self, now: float) -> float:
        """0, or seconds until the next request is due."""
        return 0.0 if self._requests is None else self._requests.try_take(now)

    def meter(self, now: float) -> TunnelMeter | None:
        """What one more tunnel of the account asks before it moves more bytes."""
        buckets = [self._bytes, _byte_bucket(self.allowance.bytes_per_second_of_tunnel, now)]
        limited = [bucket for bucket in buckets if bucket is not None]
        return TunnelMeter(limited) if limited else None


class TunnelMeter:
    """Counts the bytes of one tunnel, and of its account."""

    __slots__ = ("_buckets",)

    def __init__(self, buckets: list[TokenBucket]) -> None:
        self._buckets = buckets

    def moved(self, size: int, now: float) -> float:
        """Seconds to wait before more is moved in this direction."""
        return max([bucket.take(size, now) for bucket in self._buckets])


def _byte_bucket(rate: int | None, now: float) -> TokenBucket | None:
    # A quarter of a second at once: nothing shorter is felt as a burst, and one read is not waited for.
    return None if rate is None else TokenBucket(rate, rate / 4, now)


class FailedProofs:
    """Which addresses, or IPv6 networks, failed too often within the last minute."""

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._failed: dict[str, tuple[float, int]] = {}

    def count(self, ip: str, now: float) -> None:
        ip = network_of(ip)
        since, failures = self._failed.pop(ip, (now, 0))
        if now - since >= 60:
            since, failures = now, 0
        if len(self._failed) >= _REMEMBERED_ADDRESSES:
            del self._failed[next(iter(self._failed))]
        self._failed[ip] = (since, failures + 1)

    def wait(self, ip: str, now: float) -> float:
        """0, or seconds until this address may try again."""
        since, failures = self._failed.get(network_of(ip), (now, 0))
        if self._per_minute is None or failures < self._per_minute:
            return 0.0
        return max(0.0, since + 60 - now)
