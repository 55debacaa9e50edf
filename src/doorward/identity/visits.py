"""A visit: who is asking. Read from a request once, and the only place where identity's cookies are read or written.

The `__client` cookie is a JWT `{id, rotating_token}` (HS256 under a key of this instance alone: nobody else has to read
it, and it must outlive the rotation of the RSA keys). The token inside is checked against the client's row; the
signature only keeps garbage away from the database.

On an https origin the cookie is `Secure`. On `http://*.localhost` it is not: browsers disagree on Secure cookies over
plain loopback, and programs refuse to send them.
"""

from __future__ import annotations

import base64
import ipaddress
from functools import cached_property
from urllib.parse import urlsplit

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response

from doorward.identity.clients.service import ClientChange, Clients
from doorward.identity.clients.store import ClientRecord
from doorward.identity.errors import (
    CSRF_TOKEN_INVALID,
    NATIVE_API_DISABLED,
    ORIGIN_INVALID,
    ORIGIN_MISSING,
    Refused,
)
from doorward.identity.instance import Instance
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.settings import IdentitySettings
from doorward.jose import JoseError, SecretKey, sign_jwt, verify_jwt
from doorward.store import Database
from doorward.verify.errors import ConfigurationError
from doorward.verify.settings import parse_publishable_key

CLIENT_COOKIE = "__client"
CLIENT_UAT_COOKIE = "__client_uat"
REFRESH_COOKIE = "__refresh"
COOKIE_MAX_AGE = 315_360_000  # seconds; browsers cap it at 400 days
MAX_USER_AGENT = 400


class Visit(msgspec.Struct, frozen=True):
    """One request's author. `origin` is the Origin header, checked; `client` the authenticated browser."""

    ip: str
    user_agent: str
    origin: str | None
    client: ClientRecord | None

    @property
    def client_id(self) -> str | None:
        return None if self.client is None else self.client.id


class ClientCookie(msgspec.Struct):
    id: str
    rotating_token: str


class Visits:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        client_service: Clients,
        keyed_hash: KeyedHash,
        instance: Instance,
    ) -> None:
        self._settings = settings
        self._instance = instance
        self._database = database
        self._clients = client_service
        self._key = SecretKey(keyed_hash.derive("client-cookie"))
        self._trusted = [ipaddress.ip_network(proxy) for proxy in settings.trusted_proxies if proxy != "unix"]

    async def of(self, request: HTTPConnection) -> Visit:
        """Raises Refused (400) for a foreign Origin or a native client; a bad cookie is simply no client."""
        if request.query_params.get("_is_native") in ("1", "true"):
            raise Refused(NATIVE_API_DISABLED)
        return await self._visit(request, self.origin_of(request))

    async def of_navigation(self, request: HTTPConnection) -> Visit:
        """For a page another site may send a browser to: the Origin is neither judged nor believed."""
        return await self._visit(request, None)

    async def _visit(self, request: HTTPConnection, origin: str | None) -> Visit:
        client = await self._client_of(_only_cookie(request, CLIENT_COOKIE))
        return Visit(
            ip=self.ip_of(request),
            user_agent=request.headers.get("user-agent", "")[:MAX_USER_AGENT],
            origin=origin,
            client=client,
        )

    async def _client_of(self, cookie: str | None) -> ClientRecord | None:
        opened = self.open_cookie(cookie) if cookie else None
        if opened is None:
            return None
        client_id, token = opened
        return await self._database.read(lambda tx: self._clients.authenticate(tx, client_id, token))

    def open_cookie(self, cookie: str) -> tuple[str, str] | None:
        """The client's id and the token it claims to have; None for what is no cookie of ours."""
        try:
            claims = verify_jwt(cookie, self._key, claims=ClientCookie, now=0, typ="JWT", required=()).claims
        except JoseError:
            return None
        return claims.id, claims.rotating_token

    def ip_of(self, request: HTTPConnection) -> str:
        """The visitor's address: the peer's, or what a trusted proxy says. The right-most untrusted entry counts."""
        peer = request.client.host if request.client else ""
        if not self._is_trusted(peer):
            return peer or "unknown"
        for entry in reversed(request.headers.get("x-forwarded-for", "").split(",")):
            address = entry.strip()
            if address and not self._is_trusted(address):
                return _address(address)
        return peer or "unknown"

    def _is_trusted(self, peer: str) -> bool:
        if not peer:
            return "unix" in self._settings.trusted_proxies  # a unix socket has no peer address
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    # -- where requests may come from

    def origin_of(self, request: HTTPConnection) -> str | None:
        """The Origin header if it may talk to us with cookies. Raises Refused (400)."""
        origin = request.headers.get("origin")
        if origin is not None and not self.is_allowed_origin(origin):
            raise Refused(ORIGIN_INVALID)
        return origin

    def is_allowed_origin(self, origin: str) -> bool:
        """Our own origin, its subdomains, listed ones, and in development pages on localhost.

        Never a host of the gate zone, listed or not: whatever runs behind the gate is somebody's application, and an
        answer with credentials would hand it the visitor's account.
        """
        if origin == self._settings.origin or origin in self._settings.allowed_origins:
            return True
        parts = urlsplit(origin)
        host, own = parts.hostname or "", self._settings.host
        zone = self._settings.gate_zone.partition(":")[0]
        if host == zone or host.endswith("." + zone):
            return False
        if origin in self._instance.current.allowed_origins:
            return True
        if parts.scheme not in ("http", "https"):
            return False
        apex = own.removeprefix("clerk.")
        if parts.scheme == self._settings.scheme and (host == apex or host.endswith("." + apex)):
            return True
        is_local = host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
        return self._settings.development and is_local

    def require_same_site(self, request: HTTPConnection) -> None:
        """For state changes: a browser always names its Origin on them. Raises Refused (400 origin_missing)."""
        if request.headers.get("origin") is None and request.headers.get("sec-fetch-site", "none") not in (
            "same-origin",
            "none",
        ):
            raise Refused(ORIGIN_MISSING)

    def require_own_origin(self, request: HTTPConnection) -> None:
        """For forms of our own pages: exactly our origin, or, from browsers that send none, same-origin by
        Fetch-Metadata. Raises Refused (403 csrf_token_invalid)."""
        origin = request.headers.get("origin")
        if origin == self._settings.origin:
            return
        if origin is None and request.headers.get("sec-fetch-site") == "same-origin":
            return
        raise Refused(CSRF_TOKEN_INVALID)

    # -- cookies

    def write(self, response: Response, change: ClientChange) -> None:
        """Set what the change asks for: `__client` when its token is new, `__client_uat` with it or at sign-out."""
        if change.is_gone:
            self._set(response, CLIENT_COOKIE, "", max_age=0, is_readable=False)
        elif change.token is not None and change.client_id is not None:
            cookie = ClientCookie(change.client_id, change.token)
            value = sign_jwt(cookie, self._key, typ="JWT", include_kid=False)
            self._set(response, CLIENT_COOKIE, value, max_age=COOKIE_MAX_AGE, is_readable=False)
        if change.client_id is not None or change.is_gone:
            seconds = 0 if change.signed_in_at is None else change.signed_in_at // 1000
            self._set(response, CLIENT_UAT_COOKIE, str(seconds), max_age=COOKIE_MAX_AGE, is_readable=True)

    @cached_property
    def cookie_suffix(self) -> str | None:
        """What tells this instance's cookies from another's on the same host; None for a host that has no publishable
        key."""
        kind, name = "test" if self._settings.development else "live", urlsplit(self._settings.origin).netloc
        payload = base64.b64encode(f"{name}$".encode()).decode().rstrip("=")
        try:
            return parse_publishable_key(f"pk_{kind}_{payload}").cookie_suffix
        except ConfigurationError:
            return None

    def refresh_token(self, request: HTTPConnection) -> str | None:
        return None if self.cookie_suffix is None else _only_cookie(request, self._refresh_cookie)

    def write_refresh_token(self, response: Response, token: str) -> None:
        """For the servers of pages, where those share our domain: no script reads it."""
        self._set(
            response,
            self._refresh_cookie,
            token,
            max_age=self._settings.session_lifetime_ms // 1000,
            is_readable=False,
            domain=self._settings.cookie_domain,
        )

    @property
    def _refresh_cookie(self) -> str:
        return f"{REFRESH_COOKIE}_{self.cookie_suffix}"

    def _set(
        self,
        response: Response,
        name: str,
        value: str,
        *,
        max_age: int,
        is_readable: bool,
        domain: str | None = None,
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            path="/",
            domain=self._settings.cookie_domain if is_readable else domain,
            secure=self._settings.scheme == "https",
            httponly=not is_readable,
            samesite="lax",
        )


def _only_cookie(request: HTTPConnection, name: str) -> str | None:
    """The cookie's value, or None when it is absent or there are two.

    Clerk's name cannot take the `__Host-` prefix, so another host of our registrable domain can plant one beside ours
    (`Domain=example.com`). Which of the two is ours nobody can tell, and the planted one signs its victim in as its owner.
    """
    found = [
        value.strip()
        for header in request.headers.getlist("cookie")
        for key, _, value in (pair.partition("=") for pair in header.split(";"))
        if key.strip() == name
    ]
    return found[0] if len(found) == 1 else None


def _address(text: str) -> str:
    """A forwarded address in one spelling; anything else counts as one unknown visitor."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return "unknown"
