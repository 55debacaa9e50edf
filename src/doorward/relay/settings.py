"""What an operator decides about a relay."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from doorward.jose import normalize_url
from doorward.push.fcm import ServiceAccount
from doorward.t3_connect import normalize_issuer

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

ProviderName = Literal["embedded", "cloudflare", "manual"]
CleanupMode = Literal["off", "dry-run", "delete"]
_PerMinute = Annotated[int, msgspec.Meta(ge=0)]


class RateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many requests one account may make per minute; the next one is answered 429. Publications count per environment."""

    link_challenges: _PerMinute = 60
    links: _PerMinute = 60
    token_exchanges: _PerMinute = 240
    connects: _PerMinute = 240
    registrations: _PerMinute = 120
    publications: _PerMinute = 600


class ClerkCloud(msgspec.Struct, frozen=True, kw_only=True):
    """A Backend API of Clerk's kind, asked about opaque OAuth tokens. The secret key is shown to that API alone.
    `webhook_secret` is that of its webhook endpoint that leads here."""

    secret_key: str
    api_url: str = "https://api.clerk.com"
    webhook_secret: str | None = None

    def __repr__(self) -> str:
        return f"ClerkCloud({self.api_url})"


class AccountsWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """The secret (`whsec_…`) by which an accounts server elsewhere signs what it tells of its accounts."""

    secret: str

    def __repr__(self) -> str:
        return "AccountsWebhook()"


class CloudflareSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The Cloudflare account whose tunnels, and the zone in whose DNS, machines get their names.

    `cleanup` says what becomes of tunnels nobody uses: nothing is looked at, they are told in the log, or deleted.
    """

    account_id: str
    zone_id: str
    api_token: str
    api_url: str = "https://api.cloudflare.com/client/v4"
    cleanup: CleanupMode = "off"

    def __repr__(self) -> str:
        return f"CloudflareSettings(account_id={self.account_id!r}, zone_id={self.zone_id!r})"


class ApnsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Apple's signing key (`.p8`, PEM) and what it belongs to; an app may name another bundle or environment of the team."""

    private_key: str
    key_id: str
    team_id: str
    bundle_id: str
    environment: Literal["sandbox", "production"] = "production"

    def __repr__(self) -> str:
        return f"ApnsSettings({self.team_id}, {self.bundle_id})"


class CustomHost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A host name outside the zone at which one service of one account is reached, instead of `<service>.<zone>`."""

    host: str
    service: str
    account: str


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one relay.

    `origin` is the public origin: issuer and audience of every token, and the base of every DPoP `htu`. It is
    never taken from a request header. `zone` is the DNS zone of the machines' names and differs from the
    relay's own domain. Durations are seconds.

    `environment_timeout` stays below `request_deadline`, so that a slow environment is reported by the typed
    504 and not by the blunt deadline; both stay below the 10 s after which clients give up.

    `clerk` is set where accounts are at Clerk's cloud (or anything that speaks as it does): then opaque OAuth tokens
    count too, once its Backend API vouches for them.

    `accounts_webhook` lets accounts kept elsewhere tell of bans and deletions; without it only their tokens' lifetime
    bounds them. Every node has the same: the edge closes the tunnels of who was barred.

    `apns` and `fcm` are what it takes to notify iOS and Android devices; without them such devices register and are told
    nothing. Browsers need nothing but `push_contact`, a `mailto:` or https URI for push services; by default the origin.

    `strict_base` serves the original relay's answers where later relays changed them: a pending approval is
    told even to a client that sent no `client`, environment errors on connect are `endpoint_request_failed`,
    a publish-only link still needs a secure endpoint, path parameters end at 100 characters, and a finished
    thread is forgotten at once.

    `endpoint_addresses` says where the machines' names may lead the relay: `any` address, as an edge of one's own may
    be in a private network, or `public` ones only. Whoever is there must have a certificate for the name.

    `t3_relay` gives T3 Code servers that know it their own experimental connector, which the edge then lets in, instead of
    asking for `doorward-connector`. It needs the embedded provider and https.

    `max_tunnels` is how many managed tunnels one account may have; `None`: as many as it likes. A row of
    `relay_managed_tunnel_limits` overrides it for its account.
    """

    origin: str
    zone: str
    edge_url: str
    accounts_issuer: str
    jwks_url: str
    stage: str = "local"
    endpoint_scheme: Literal["http", "https"] = "https"
    endpoint_port: int | None = None
    jwt_audience: str = "t3-code-relay"
    oauth_client_ids: tuple[str, ...] = ("doorward-cli", "doorward-gate")
    gate_client_id: str = "doorward-gate"
    provider: ProviderName = "embedded"
    cloudflare: CloudflareSettings | None = None
    endpoint_addresses: Literal["any", "public"] = "any"
    max_tunnels: int | None = None
    clerk: ClerkCloud | None = None
    accounts_webhook: AccountsWebhook | None = None
    apns: ApnsSettings | None = None
    fcm: ServiceAccount | None = None
    push_contact: str | None = None
    strict_base: bool = False
    t3_relay: bool = False
    request_deadline: float = 9.0
    environment_timeout: float = 8.0
    rate_limits: RateLimits = RateLimits()
    custom_hosts: tuple[CustomHost, ...] = ()

    def __post_init__(self) -> None:
        if self.environment_timeout >= self.request_deadline:
            raise ValueError("environment_timeout must be below request_deadline.")
        if self.t3_relay and self.provider != "embedded":
            raise ValueError("T3 Code's own connector needs the embedded provider.")
        if (self.provider == "cloudflare") != (self.cloudflare is not None):
            raise ValueError(
                "The cloudflare provider, and only it, needs Cloudflare's account, zone and token."
            )
        if urlsplit(self.issuer).path or not urlsplit(self.issuer).netloc:
            raise ValueError(f"The relay's origin {self.origin!r} must be an origin, without a path.")
        normalize_url(self.issuer)
        check_custom_hosts(self.custom_hosts, zone=self.zone, own_host=urlsplit(self.issuer).hostname or "")

    @property
    def issuer(self) -> str:
        """The normalised origin: `iss` and `aud` of everything this relay signs."""
        return normalize_issuer(self.origin)

    @property
    def max_path_parameter(self) -> int:
        return 100 if self.strict_base else 512


def check_custom_hosts(hosts: Sequence[CustomHost], *, zone: str, own_host: str) -> None:
    """Raises ValueError for a host that is none, is ours to give or to keep, or leads to two services."""
    for custom in hosts:
        if not _HOST.fullmatch(custom.host) or len(custom.host) > 253:
            raise ValueError(f"The custom host {custom.host!r} is not a host name in lower case.")
        if custom.host == own_host or custom.host == zone or custom.host.endswith(f".{zone}"):
            raise ValueError(f"The custom host {custom.host!r} is the relay's own, or lies in its zone.")
    if len({custom.host for custom in hosts}) < len(hosts):
        raise ValueError("One custom host leads to two services.")
    if len({(custom.service, custom.account) for custom in hosts}) < len(hosts):
        raise ValueError("A service has two custom hosts; it can have one.")
