"""What an operator decides about identity, and the numbers that go with it."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class RateLimit(msgspec.Struct, frozen=True):
    """`burst` requests at once, then one more every `per_ms / burst` milliseconds."""

    burst: int
    per_ms: int


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Per address (ip) or per account; the first four are Clerk's published numbers."""

    sign_in_per_ip: RateLimit = RateLimit(5, 10_000)
    sign_up_per_ip: RateLimit = RateLimit(5, 10_000)
    factor_attempt_per_ip: RateLimit = RateLimit(3, 10_000)
    code_resend_ms: int = 30_000
    password_per_account: RateLimit = RateLimit(10, 5 * MINUTE)
    mail_per_address: RateLimit = RateLimit(5, HOUR)
    link_mail_per_address: RateLimit = RateLimit(20, HOUR)
    device_per_ip: RateLimit = RateLimit(10, MINUTE)
    user_code_per_account: RateLimit = RateLimit(5, MINUTE)
    token_per_ip: RateLimit = RateLimit(120, MINUTE)
    client_per_ip: RateLimit = RateLimit(60, MINUTE)
    organization_per_account: RateLimit = RateLimit(20, HOUR)
    organization_mail_per_account: RateLimit = RateLimit(50, HOUR)


class IdentitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """`origin` is the accounts origin and every token's issuer: scheme, host and port, no trailing slash.

    `gate_zone` is the host (with its port) under which environments live; the gate's redirect URIs are
    `<scheme>://<one label>.<gate_zone>/gate/callback`. Times are milliseconds. Raises ValueError on a setting that
    could never work.
    """

    origin: str
    development: bool
    sign_up: Literal["open", "invite-only", "waitlist"]
    relay_origin: str
    gate_zone: str
    cli_client_id: str = "doorward-cli"
    gate_client_id: str = "doorward-gate"
    application_name: str = "Doorward"
    trusted_proxies: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    cookie_domain: str | None = None
    hide_accounts: bool = True
    session_lifetime_ms: int = 7 * DAY
    session_idle_ms: int = 3 * DAY
    webhook_private_hosts: tuple[str, ...] = ()
    limits: RateLimits = RateLimits()

    def __post_init__(self) -> None:
        parts = urlsplit(self.origin)
        host = parts.hostname or ""
        if f"{parts.scheme}://{parts.netloc}" != self.origin or not host:
            raise ValueError(f"origin must be scheme, host and port only, not {self.origin!r}")
        is_local = host == "localhost" or host.endswith(".localhost") or host in ("127.0.0.1", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
            raise ValueError(f"origin must be https unless its host is a localhost name: {self.origin!r}")

    @property
    def scheme(self) -> str:
        return urlsplit(self.origin).scheme

    @property
    def host(self) -> str:
        """Host name without the port."""
        return urlsplit(self.origin).hostname or ""
