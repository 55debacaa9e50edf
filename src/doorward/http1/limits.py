"""How much and how long: the engine's limits, in bytes and seconds."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults suit a public listener; tests shorten the times."""

    head_bytes: int = 64 * 1024
    head_seconds: float = 10.0
    """From a request's first byte (or a new connection) to the end of its head, and for the TLS handshake: slowloris."""
    keep_alive_seconds: float = 75.0
    body_idle_seconds: float = 60.0
    """A request body that makes no progress while we are ready to read it."""
    upgrade_idle_seconds: float = 3600.0
    connect_seconds: float = 5.0
    response_seconds: float = 300.0
    """From the end of the request to the head of the response."""
    write_buffer_bytes: int = 256 * 1024
    """A socket that holds more than this unsent pauses whoever feeds it."""
    connections_per_ip: int = 1000
    """An IPv6 network of 64 bits counts as one address."""
    pool_idle_connections: int = 64
    pool_idle_seconds: float = 30.0
