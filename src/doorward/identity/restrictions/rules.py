"""Limits and pauses as arithmetic. Pure."""

from __future__ import annotations

import ipaddress

from doorward.identity.settings import HOUR, RateLimit

# NIST SP 800-63B: at most 100 consecutive failures on one account; Clerk pauses it for an hour.
MAX_FAILURES = 100
LOCK_MS = HOUR
_FREE_FAILURES = 5
_MAX_PAUSE_MS = 60_000


def counted_as(who: str) -> str:
    """Whom a limit counts: an IPv6 address as its network of 64 bits, for one subscriber has all the addresses in it."""
    try:
        address = ipaddress.ip_address(who)
    except ValueError:
        return who  # an account, or an address of another kind
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def spacing_ms(limit: RateLimit) -> int:
    """GCRA's emission interval: one request is earned back every so many milliseconds."""
    return limit.per_ms // limit.burst


def wait_ms(arrival_at: int, limit: RateLimit, now: int) -> int:
    """How long until a request fits, given GCRA's theoretical arrival time; 0 when it fits now."""
    tolerance = limit.per_ms - spacing_ms(limit)
    return max(0, arrival_at - tolerance - now)


def pause_ms(failures: int) -> int:
    """Back-off after so many consecutive wrong passwords: none for the first five, then doubling to a minute."""
    if failures < _FREE_FAILURES:
        return 0
    return min(_MAX_PAUSE_MS, 1_000 * (1 << min(failures - _FREE_FAILURES, 10)))
