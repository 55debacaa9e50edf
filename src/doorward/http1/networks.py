"""Whom a limit by address counts."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


def network_of(address: str) -> str:
    """An IPv6 address as its network of 64 bits, for one subscriber has all that are in it; any other as it is."""
    return _network_of(address) if ":" in address else address


@lru_cache(maxsize=1024)
def _network_of(address: str) -> str:
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
