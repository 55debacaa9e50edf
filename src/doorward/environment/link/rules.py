"""Which requests for a link proof come from this very machine (connect-environment §2.6). Pure."""

from urllib.parse import urlsplit

from doorward.environment.link.errors import LinkRefused
from doorward.t3_connect import is_loopback_host
from doorward.t3_connect.messages import Endpoint, Origin


def require_local_request(
    *,
    host: str | None,
    forwarded_host: str | None,
    forwarded_proto: str | None,
    endpoint: Endpoint,
    origin: Origin,
) -> None:
    """Raises LinkRefused unless the request names a loopback host and port that are also the proof's origin.

    Whatever passed a proxy or the tunnel says so in its forwarded headers or in its `Host`; a page that
    rebound its DNS name says its own name.
    """
    refusal = LinkRefused("bad_request", "Invalid managed endpoint origin.")
    if _first(forwarded_host) or _first(forwarded_proto):
        raise refusal
    try:
        parts = urlsplit(f"http://{host or '127.0.0.1'}/")
        request_host, request_port = parts.hostname or "", parts.port or 80
    except ValueError as error:
        raise refusal from error
    if (
        endpoint.provider_kind != "cloudflare_tunnel"
        or not is_loopback_host(origin.local_http_host)
        or not is_loopback_host(request_host)
        or origin.local_http_port != request_port
    ):
        raise refusal


def _first(header: str | None) -> str:
    return (header or "").split(",")[0].strip()
