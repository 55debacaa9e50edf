"""Names of managed endpoints, and what makes one usable. Pure.

Every name is derived from (stage, user, environment), so that a re-link finds its old name and nothing a
person typed ever appears in DNS.
"""

import hashlib
import re
from functools import lru_cache

import msgspec

from doorward.relay.settings import RelaySettings
from doorward.t3_connect import is_loopback_host

TUNNEL_NAME_PREFIX = "t3coderelay-managedendpoint-"
DIGEST_LENGTH = 16
MAX_LABEL = 63
MAX_HOSTNAME = 253

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class EndpointNames(msgspec.Struct, frozen=True):
    hostname: str
    tunnel_name: str


class EndpointUrls(msgspec.Struct, frozen=True):
    """`https://<host>[:port]/` and `wss://<host>[:port]/ws` (http and ws in a development zone)."""

    http: str
    ws: str


def slug(text: str) -> str:
    """Lower-case letters, digits and single dashes, none of them at either end."""
    return re.sub(r"-+", "-", re.sub(r"[^a-z0-9-]", "-", text.lower())).strip("-")


def normalize_zone(zone: str) -> str:
    return zone.strip().lower().strip(".")


def endpoint_names(*, stage: str, user_id: str, environment_id: str, zone: str) -> EndpointNames:
    """The host and tunnel names of one user's link to one environment.

    The digest is over the raw stage, not its slug: two stages with one slug must not share names.
    """
    digest = hashlib.sha256(f"{stage}:{user_id}:{environment_id}".encode()).hexdigest()[:DIGEST_LENGTH]
    stage_slug = slug(stage)
    host_slug = stage_slug[: MAX_LABEL - DIGEST_LENGTH - 1].rstrip("-")
    label = f"{host_slug}-{digest}" if host_slug else digest
    return EndpointNames(
        hostname=f"{label}.{normalize_zone(zone)}",
        tunnel_name=f"{TUNNEL_NAME_PREFIX}{stage_slug}-{digest}",
    )


def endpoint_urls(hostname: str, *, scheme: str, port: int | None) -> EndpointUrls:
    authority = hostname if port is None else f"{hostname}:{port}"
    return EndpointUrls(
        http=f"{scheme}://{authority}/", ws=f"{'wss' if scheme == 'https' else 'ws'}://{authority}/ws"
    )


def urls_of(hostname: str, settings: RelaySettings) -> EndpointUrls:
    return endpoint_urls(hostname, scheme=settings.endpoint_scheme, port=settings.endpoint_port)


def t3_relay_url(hostname: str, settings: RelaySettings) -> str:
    """Where T3 Code's own connector dials: below the machine's own name, and never in plain text."""
    authority = hostname if settings.endpoint_port is None else f"{hostname}:{settings.endpoint_port}"
    return f"wss://{authority}/.well-known/t3-relay/connect"


@lru_cache(maxsize=1024)
def is_valid_hostname(hostname: str, zone: str) -> bool:
    """Whether this is a canonical DNS name strictly below the zone.

    Checked again before each call to an environment: a stored name is where the relay sends signed requests.
    """
    normal_zone = normalize_zone(zone)
    return (
        bool(normal_zone)
        and hostname == hostname.strip().lower()
        and len(hostname) <= MAX_HOSTNAME
        and hostname.endswith(f".{normal_zone}")
        and all(_LABEL.fullmatch(label) for label in hostname.split("."))
    )


def is_loopback_origin(host: str, port: int) -> bool:
    """Whether a local origin names this machine itself: a tunnel must never become a way into its network."""
    return is_loopback_host(host) and 1 <= port <= 65535


def loopback_url(host: str, port: int) -> str:
    """The URL of a local origin, as a connector token carries it."""
    name = host.strip().lower().strip("[]")
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
