"""Which door a request came through, and what its URL is as this machine sees it."""

from starlette.requests import HTTPConnection

from doorward.environment.access import Actor, Door
from doorward.environment.descriptor import COOKIE_NAME
from doorward.environment.environment import Environment
from doorward.environment.sessions.authentication import PresentedCredentials
from doorward.environment.sessions.store import Session

_LOOPBACK_NAMES = ("127.0.0.1", "[::1]", "localhost", "machine.localhost")
# What a proxy adds, ours included: a request that carries one came from somewhere else.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "doorward-assertion")
_OWN_SITE = frozenset({"same-origin", "none"})


def is_own_page(connection: HTTPConnection, environment: Environment, *, must_have_origin: bool) -> bool:
    """Whether the machine's own name was asked, by the machine's own page or by no page at all.

    The Host stops a DNS name that was rebound to 127.0.0.1, the Origin and Sec-Fetch-Site a foreign page, and a
    forwarded header a service of this machine that hands requests from outside on to this port.
    `must_have_origin`: a browser is certainly asking (its cookie is what authenticates), and on anything but a
    plain GET browsers always say where the page is from.
    """
    if any(name in connection.headers for name in _FORWARDED):
        return False
    host = connection.headers.get("host", "").lower()
    if host not in {f"{name}:{environment.port}" for name in _LOOPBACK_NAMES}:
        return False
    origin = connection.headers.get("origin")
    if origin is None:
        return not must_have_origin
    if origin in environment.settings.development_origins:
        return True
    site = connection.headers.get("sec-fetch-site")
    return origin.lower() == f"http://{host}" and (site is None or site in _OWN_SITE)


def door_of(connection: HTTPConnection, environment: Environment, door: Door) -> Door:
    """The tunnel's door stays the tunnel's; the machine's is `loopback` only for its own pages and programs."""
    if door != "loopback":
        return door
    is_reading = connection.scope["type"] == "http" and connection.scope["method"] == "GET"
    must_have_origin = cookie_of(connection, door) is not None and not is_reading
    return (
        "loopback" if is_own_page(connection, environment, must_have_origin=must_have_origin) else "elsewhere"
    )


def actor_of(connection: HTTPConnection, environment: Environment, door: Door, session: Session) -> Actor:
    """Who asks, to the table of who may do what."""
    # A device's session is a visitor's, whichever listener it reaches: an exposed service may lead back here.
    through = "tunnel" if session.thumbprint is not None else door_of(connection, environment, door)
    return Actor(
        door=through,
        name=session.id,
        address=address_of(connection, door) or "",
        scopes=frozenset(session.scopes),
        role=session.role,
        is_remote_admin_on=environment.settings.remote_admin,
    )


def cookie_of(connection: HTTPConnection, door: Door) -> str | None:
    """The session cookie. Through the tunnel no cookie counts: a sibling host could have planted it."""
    return connection.cookies.get(COOKIE_NAME) if door == "loopback" else None


def address_of(connection: HTTPConnection, door: Door) -> str | None:
    """The caller's IP address: the socket's, or what the edge says of a tunnelled request."""
    if door == "tunnel":
        return connection.headers.get("x-forwarded-for", "").rpartition(",")[2].strip() or None
    return connection.client.host if connection.client is not None else None


def request_url(connection: HTTPConnection) -> str:
    """The absolute URL for `htu`. `x-forwarded-host` is ignored: it never came from a browser."""
    scheme = "https" if connection.headers.get("x-forwarded-proto") == "https" else "http"
    host = connection.headers.get("host") or "localhost"
    path = connection.scope.get("raw_path") or connection.scope["path"].encode()
    return f"{scheme}://{host}{path.decode('latin-1')}"


def credentials_of(connection: HTTPConnection, door: Door) -> PresentedCredentials:
    return PresentedCredentials(
        method=connection.scope.get("method", "GET"),
        url=request_url(connection),
        cookie=cookie_of(connection, door),
        authorization=connection.headers.get("authorization"),
        proof=only_header(connection, "dpop"),
    )


def only_header(connection: HTTPConnection, name: str) -> str | None:
    """The header's value; "" when it was sent more than once (RFC 9449 §4.3: exactly one), None when absent."""
    values = connection.headers.getlist(name)
    if not values:
        return None
    return values[0] if len(values) == 1 else ""
