"""`doorward.toml`: what an operator decides about a node.

    roles = ["identity", "relay", "edge"]
    data = "/var/lib/doorward"                 # key files, and the database when no URL is given

    [database]
    url = "postgresql://doorward@db/doorward"  # default: SQLite under `data`

    [identity]
    origin = "https://accounts.example.com"
    sign_up = "invite-only"                    # or "open", "waitlist"

    [relay]
    origin = "https://relay.example.com"
    zone = "machines.example.net"              # a domain of its own, with a wildcard record to the edge
    provider = "embedded"                      # our own tunnel; or "cloudflare", or "manual": machines bring theirs
    t3_relay = false                           # true: T3 Code's own experimental connector where a host runs it
    accounts_webhook_secret_file = "/etc/doorward/accounts-webhook"  # accounts are kept elsewhere: whsec_… of their webhook to us
    max_tunnels = 10                           # per account; default: as many as it likes

    [[relay.custom_hosts]]                     # a service of one account under a host name of its owner's own
    host = "notes.ada.example"                 # DNS leads it to the edge, a certificate of [[tls.more]] or the front covers it
    service = "notes"
    account = "user_…"

    [relay.rate_limits]                        # of one account, per minute
    connects = 240                             # and token_exchanges = 240, links = 60, link_challenges = 60

    [relay.cloudflare]                         # with provider = "cloudflare"; there is then no edge
    account_id = "..."
    zone_id = "..."                            # of relay.zone
    api_token_file = "/etc/doorward/cloudflare-token"
    cleanup = "off"                            # tunnels nobody uses: dry-run tells of them, delete removes them

    [edge]
    url = "https://edge.machines.example.net"  # where machines dial in
    nodes = 1                                  # how many share the URL: one that ends sends its machines to the others
    notice_seconds = 0                         # at the end, until the load balancer sees that this node is not ready
    drain_seconds = 30                         # then, for what is open

    [edge.limits.default]                      # for each account, on this node; docs/tunnel.md has all of them
    machines = 10
    bytes_per_second = 100_000_000

    [edge.limits.accounts.user_123]            # instead, for this one
    machines = 50

    [listen]
    control = "127.0.0.1:8080"                 # identity and relay, behind TLS of yours or with [tls]
    edge = "0.0.0.0:443"
    trusted_proxies = ["127.0.0.1"]            # fronts whose X-Forwarded-For and -Proto are believed; default none

    [admin]                                    # default: none
    listen = "127.0.0.1:9090"                  # /metrics and /health for your own programs; loopback or private

    [log]
    format = "auto"                            # json, human, or auto: human on a terminal
    level = "info"

    [tls]
    certificate = "/etc/doorward/fullchain.pem"
    key = "/etc/doorward/key.pem"

    [[tls.more]]                               # for other names, such as a service's own domain; files are read anew when
    certificate = "/etc/doorward/example.org/fullchain.pem"  # they change, and all of them on SIGHUP
    key = "/etc/doorward/example.org/key.pem"

    [push]                                     # notifications; browsers need nothing of this
    contact = "mailto:ops@example.com"         # where push services complain; default: the relay's origin
    private_hosts = []                         # push services inside your own network, by host name

    [push.apns]                                # to notify iOS devices
    key_file = "/etc/doorward/AuthKey_ABC.p8"  # or private_key, what is in that file
    key_id = "ABC1234567"
    team_id = "DEF1234567"
    bundle_id = "com.example.app"
    environment = "production"                 # or "sandbox"

    [push.fcm]                                 # to notify Android devices
    service_account_file = "/etc/doorward/firebase.json"

    [webhooks]
    private_hosts = []                         # receivers inside your own network, by host name

    [mail]                                     # default: messages are printed
    host = "mail.example.com"
    port = 587
    sender = "Doorward <no-reply@example.com>"
    username = "doorward"
    password_file = "/etc/doorward/mail-password"

Unknown keys are errors: a misspelt setting must not be a silent default.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from doorward.outbound import is_localhost
from doorward.relay.settings import CustomHost, RateLimits, check_custom_hosts
from doorward.store import DatabaseUrlInvalid, check_database_url
from doorward.tunnel import Allowances

Role = Literal["identity", "relay", "edge"]
ApnsEnvironment = Literal["production", "sandbox"]

_HOST_OF_URL = re.compile(r"[a-z0-9._:-]+")
_ZONE = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


class ConfigurationInvalid(Exception):
    """The message names the file, the key and what to write there."""

    code = "configuration_invalid"


class DatabaseSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    url: str | None = None

    def __repr__(self) -> str:
        # PostgreSQL's URL may hold a password.
        return f"DatabaseSection({(self.url or '').partition(':')[0]})"


class IdentitySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    origin: str
    sign_up: Literal["open", "invite-only", "waitlist"] = "invite-only"


class CloudflareSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    account_id: str
    zone_id: str
    api_token_file: Path
    cleanup: Literal["off", "dry-run", "delete"] = "off"


class RelaySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`endpoint_addresses` is where machines' names may lead the relay; unless said, `public` with Cloudflare, else `any`."""

    origin: str
    zone: str
    stage: str = "prod"
    provider: Literal["embedded", "cloudflare", "manual"] = "embedded"
    cloudflare: CloudflareSection | None = None
    endpoint_addresses: Literal["any", "public"] | None = None
    max_tunnels: Annotated[int, msgspec.Meta(ge=0)] | None = None
    strict_base: bool = False
    t3_relay: bool = False
    request_deadline: Annotated[float, msgspec.Meta(gt=0)] = 9.0
    environment_timeout: Annotated[float, msgspec.Meta(gt=0)] = 8.0
    jwks_url: str | None = None
    jwt_audience: str = "t3-code-relay"
    oauth_client_ids: tuple[str, ...] = ("doorward-cli", "doorward-gate")
    accounts_webhook_secret_file: Path | None = None
    rate_limits: RateLimits = RateLimits()
    custom_hosts: tuple[CustomHost, ...] = ()


class EdgeSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`nodes` is how many share `url` behind a load balancer. `alternates` are URLs of edges without one.

    Without the embedded tunnel there is no edge, and no `url`.
    """

    url: str = ""
    nodes: Annotated[int, msgspec.Meta(ge=1)] = 1
    notice_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    drain_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 30.0
    alternates: tuple[str, ...] = ()
    limits: Allowances = Allowances()


class ListenSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`host:port` each; an IPv6 host in brackets."""

    control: str = "127.0.0.1:8080"
    edge: str = "127.0.0.1:8081"
    trusted_proxies: tuple[str, ...] = ()


class AdminSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where metrics and health are, for the operator's own programs."""

    listen: str


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: Literal["auto", "json", "human"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class CertificateFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """PEM: a certificate with its chain, and its key."""

    certificate: Path
    key: Path


class TlsSection(CertificateFiles, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`more` are for other names: which one is shown follows from the name that a client asks for."""

    more: tuple[CertificateFiles, ...] = ()


class MailSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    host: str
    sender: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 587
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    username: str | None = None
    password_file: Path | None = None


class ApnsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of `key_file` and `private_key` (PEM) is given."""

    key_id: str
    team_id: str
    bundle_id: str
    key_file: Path | None = None
    private_key: str | None = None
    environment: ApnsEnvironment = "production"

    def __repr__(self) -> str:
        return f"ApnsSection({self.team_id}, {self.bundle_id})"


class FcmSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    service_account_file: Path


class PushSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    contact: str | None = None
    private_hosts: tuple[str, ...] = ()
    apns: ApnsSection | None = None
    fcm: FcmSection | None = None


class WebhooksSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    private_hosts: tuple[str, ...] = ()


class ServeConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One node. Identity's and the relay's origins are needed even where this node has neither role: tokens name them."""

    identity: IdentitySection
    relay: RelaySection
    data: Path
    edge: EdgeSection = EdgeSection()
    roles: tuple[Role, ...] = ("identity", "relay", "edge")
    database: DatabaseSection = DatabaseSection()
    listen: ListenSection = ListenSection()
    admin: AdminSection | None = None
    log: LogSection = LogSection()
    tls: TlsSection | None = None
    mail: MailSection | None = None
    push: PushSection = PushSection()
    webhooks: WebhooksSection = WebhooksSection()
    ca_file: Path | None = None

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.data.absolute()}/doorward.sqlite"

    @property
    def jwks_url(self) -> str:
        return self.relay.jwks_url or f"{self.identity.origin}/.well-known/jwks.json"


def load_serve_configuration(path: Path) -> ServeConfiguration:
    """Read and check the file. Raises ConfigurationInvalid."""
    text = read_text(path)
    try:
        configuration = msgspec.convert(tomllib.loads(text), ServeConfiguration, dec_hook=_path, strict=True)
    except tomllib.TOMLDecodeError as error:
        from doorward.server.toml_faults import toml_fault

        raise ConfigurationInvalid(f"{path}: {toml_fault(error)}.") from error
    except msgspec.ValidationError as error:
        from doorward.server.toml_faults import type_fault

        raise ConfigurationInvalid(f"{path}: {type_fault(error, ServeConfiguration)}.") from error
    check_configuration(configuration, path)
    return configuration


def read_text(path: Path, *, key: str | None = None) -> str:
    """The configuration, or what a file that one of its keys names holds. Raises ConfigurationInvalid."""
    start = f"{key}: " if key else ""
    try:
        return path.read_text("utf-8-sig")  # with the mark that some editors begin with
    except OSError as error:
        raise ConfigurationInvalid(f"{start}Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationInvalid(f"{start}{path} is not UTF-8 text.") from error


def check_configuration(configuration: ServeConfiguration, path: Path) -> None:
    """What the types cannot say. `path` is for the message. Raises ConfigurationInvalid."""
    if not configuration.roles:
        raise ConfigurationInvalid(f"{path}: roles is empty; name at least one of identity, relay, edge.")
    for key, origin in (
        ("identity.origin", configuration.identity.origin),
        ("relay.origin", configuration.relay.origin),
    ):
        require_origin(path, key, origin)
    _require_zone(path, configuration.relay.zone)
    _require_apart(path, configuration)
    _require_provider(path, configuration)
    for url in (configuration.edge.url, *configuration.edge.alternates):
        if url:
            require_origin(path, "edge.url" if url == configuration.edge.url else "edge.alternates", url)
    _require_key_set(path, configuration.jwks_url)
    _require_database(path, configuration.database_url)
    _require_address(path, "listen.control", configuration.listen.control)
    _require_address(path, "listen.edge", configuration.listen.edge)
    if configuration.admin is not None:
        _require_address(path, "admin.listen", configuration.admin.listen, admin_address)
    for proxy in configuration.listen.trusted_proxies:
        _require_network(path, proxy)


def require_origin(path: Path, key: str, origin: str) -> None:
    """An origin is a scheme and a host; plain HTTP is for localhost names only."""
    url = safe_url(origin)
    if url is None or url.path or url.query or url.fragment or "@" in url.netloc:
        raise ConfigurationInvalid(
            f"{path}: {key} must look like https://host, without a path; it is {origin!r}."
        )


def safe_url(text: str) -> SplitResult | None:
    """None for what is no URL, or leads out of this machine without TLS."""
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        return None
    is_safe = url.scheme == "https" or (url.scheme == "http" and is_localhost(host))
    return url if _HOST_OF_URL.fullmatch(host) and port != 0 and is_safe else None


def _require_zone(path: Path, zone: str) -> None:
    """A host name, with a port where machines are reached at another than 443."""
    host, colon, port = zone.partition(":")
    if not _ZONE.fullmatch(host) or (colon and not (port.isdecimal() and 0 < int(port) <= 65_535)):
        raise ConfigurationInvalid(
            f"{path}: relay.zone must be a host name in lower case, such as machines.example.net; it is {zone!r}."
        )


def _require_key_set(path: Path, url: str) -> None:
    if safe_url(url) is None:
        raise ConfigurationInvalid(f"{path}: relay.jwks_url must begin with https://; it is {url!r}.")


def _require_database(path: Path, url: str) -> None:
    try:
        check_database_url(url)
    except DatabaseUrlInvalid as error:
        raise ConfigurationInvalid(f"{path}: database.url: {error}") from error


def _require_address(
    path: Path, key: str, text: str, read: Callable[[str], tuple[str, int]] | None = None
) -> None:
    try:
        (read or split_address)(text)
    except ConfigurationInvalid as error:
        raise ConfigurationInvalid(f"{path}: {key}: {error}") from error


def _require_network(path: Path, text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationInvalid(
            f"{path}: listen.trusted_proxies takes addresses and networks, such as 10.0.0.0/8; {error}."
        ) from error


def _require_apart(path: Path, configuration: ServeConfiguration) -> None:
    """A machine's name must never be a name of ours: its pages would share our cookies' domain."""
    zone = configuration.relay.zone.split(":")[0]
    for key, origin in (
        ("identity.origin", configuration.identity.origin),
        ("relay.origin", configuration.relay.origin),
    ):
        host = urlsplit(origin).hostname or ""
        if host == zone or host.endswith(f".{zone}"):
            raise ConfigurationInvalid(
                f"{path}: {key} lies inside relay.zone ({zone}). Give machines a domain of their own."
            )


def _require_provider(path: Path, configuration: ServeConfiguration) -> None:
    """What the choice of relay.provider asks of the other settings."""
    relay = configuration.relay
    problem = None
    if relay.provider == "embedded" and not configuration.edge.url:
        problem = "edge.url is missing: machines dial in there. Write https://host."
    elif relay.provider != "embedded" and "edge" in configuration.roles:
        problem = (
            f"roles names edge, which carries embedded tunnels only; relay.provider is {relay.provider}."
        )
    elif (relay.provider == "cloudflare") != (relay.cloudflare is not None):
        problem = 'relay.provider = "cloudflare" and the section [relay.cloudflare] go together.'
    elif relay.t3_relay and relay.provider != "embedded":
        problem = (
            "relay.t3_relay lets T3 Code's own connector in at our edge; it needs relay.provider = embedded."
        )
    elif relay.provider == "cloudflare" and ":" in relay.zone:
        problem = "relay.zone has a port, but Cloudflare serves machines at 443; write the zone alone."
    elif relay.environment_timeout >= relay.request_deadline:
        problem = "relay.environment_timeout must be below relay.request_deadline."
    else:
        try:
            check_custom_hosts(
                relay.custom_hosts,
                zone=urlsplit(f"//{relay.zone}").hostname or "",
                own_host=urlsplit(relay.origin).hostname or "",
            )
        except ValueError as error:
            problem = f"[[relay.custom_hosts]]: {error}"
    if problem is not None:
        raise ConfigurationInvalid(f"{path}: {problem}")


def _path(kind: type, value: object) -> object:
    if kind is not Path:
        raise NotImplementedError
    if not isinstance(value, str):
        raise TypeError("a path is text in quotes")
    return Path(value)


def split_address(text: str) -> tuple[str, int]:
    """`host:port` or `[host]:port`. Raises ConfigurationInvalid."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65_535:
        raise ConfigurationInvalid(f"{text!r} is not an address; write host:port.")
    return host.strip("[]"), int(port)


def admin_address(text: str) -> tuple[str, int]:
    """`host:port` of the listener. Raises ConfigurationInvalid for a name, a wildcard or a public address."""
    host, port = split_address(text)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or not (address.is_private or address.is_loopback):
        raise ConfigurationInvalid(
            f"What is told there shows how busy this node is and must not be public: {host!r} is not a loopback or private"
            " address. Write 127.0.0.1:9090, or this node's address in your private network."
        )
    return host, port
