"""Who asks at the Connections page: the owner on the machine, or an administrator device through the tunnel.

**On the machine.** A peer address proves nothing (DNS-rebound pages and other local users arrive from 127.0.0.1
too), so a request needs the session of a one-time link, the loopback `Host`, and on every change the page's own
`Origin`. Cookies know no ports: whatever another local user serves on `machine.localhost` at another port receives ours. So
the session token is cut in two at its dot. The claims are the cookie; the signature stays in the page's
localStorage, which does know ports, and travels in `Doorward-Page`. Either half alone is worth nothing.

**Through the tunnel.** A key-bound session with a fresh proof for each request. What it may do is the access table's
business; this module only says who it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from doorward.environment.access import Actor, NotAllowed
from doorward.environment.pages.errors import Problem, Refused
from doorward.environment.pages.requests import Handler, address_of, refusals_as_json
from doorward.environment.sessions import Session
from doorward.environment.sessions.authentication import AuthenticationFailed, PresentedCredentials

if TYPE_CHECKING:
    from doorward.environment.environment import Environment

MACHINE_HOST = "machine.localhost"
SESSION_COOKIE = "__Host-doorward-machine"
PAGE_HEADER = "doorward-page"

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_DPOP = "DPoP "


class Asker(msgspec.Struct, frozen=True):
    """A living session and what it counts as in the access table."""

    session: Session
    actor: Actor


class Door(Protocol):
    name: str

    def page_redirect(self, request: Request) -> Response | None:
        """Where a page of this door has to be opened instead, if not here."""
        ...

    async def asker(self, request: Request) -> Asker:
        """Who asks. Raises Refused."""
        ...


Act = Callable[[Request, Asker], Awaitable[Response]]


def for_asker(door: Door, act: Act) -> Handler:
    """A handler that acts for whoever asks at the door, and says so where they may not."""

    async def handle(request: Request) -> Response:
        asker = await door.asker(request)
        try:
            return await act(request, asker)
        except NotAllowed as error:
            raise Refused(Problem.NOT_ALLOWED) from error

    return refusals_as_json(handle)


def machine_authority(port: int) -> str:
    return MACHINE_HOST if port == 80 else f"{MACHINE_HOST}:{port}"


def require_machine_page(*, method: str, hosts: list[str], origins: list[str], port: int) -> None:
    """Raise unless the request is for the loopback name at this very port and, on a change, from its own page.

    A rebound DNS name fails on `Host`; a form or script of any other origin, this name at another port included,
    fails on `Origin`; a request that says neither is refused.
    """
    authority = machine_authority(port)
    if hosts != [authority]:
        raise Refused(Problem.FOREIGN_ORIGIN)
    if method not in _SAFE_METHODS and origins != [f"http://{authority}"]:
        raise Refused(Problem.FOREIGN_ORIGIN)
    if method in _SAFE_METHODS and origins not in ([], [f"http://{authority}"]):
        raise Refused(Problem.FOREIGN_ORIGIN)


def split_token(token: str) -> tuple[str, str]:
    """(cookie, page key) of a session token."""
    claims, _, signature = token.rpartition(".")
    return claims, signature


class LoopbackDoor:
    name = "loopback"

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def page_redirect(self, request: Request) -> Response | None:
        """Under any other name this listener answers to, the page would be another origin, without its session."""
        authority = machine_authority(self._environment.port)
        if request.headers.getlist("host") == [authority]:
            return None
        return RedirectResponse(f"http://{authority}{request.url.path}", 307)

    def require_own_page(self, request: Request) -> None:
        require_machine_page(
            method=request.method,
            hosts=request.headers.getlist("host"),
            origins=request.headers.getlist("origin"),
            port=self._environment.port,
        )

    async def asker(self, request: Request) -> Asker:
        self.require_own_page(request)
        claims = request.cookies.get(SESSION_COOKIE, "")
        signature = request.headers.get(PAGE_HEADER, "")
        if not claims or not signature:
            raise Refused(Problem.NOT_SIGNED_IN)
        session = await self.session_of(claims, signature)
        if session is None:
            raise Refused(Problem.NOT_SIGNED_IN)
        return Asker(session, self.actor_of(session, request))

    async def session_of(self, claims: str, signature: str) -> Session | None:
        """The living session of the two halves; only one that a one-time link made counts."""
        try:
            session = await self._environment.authentication.authenticate(
                PresentedCredentials(method="GET", url="", cookie=f"{claims}.{signature}")
            )
        except AuthenticationFailed:
            return None
        return session if session.method == "browser-session-cookie" else None

    def actor_of(self, session: Session, request: Request) -> Actor:
        address = request.client.host if request.client else ""
        return Actor(
            door="loopback",
            name=session.id,
            address=address,
            scopes=frozenset(session.scopes),
            role=session.role,
        )


class TunnelDoor:
    name = "tunnel"

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def page_redirect(self, request: Request) -> Response | None:
        return None

    async def asker(self, request: Request) -> Asker:
        origin = self._environment.link.api_origin()
        if origin is None:
            raise Refused(Problem.NOT_READY)
        authorization = request.headers.get("authorization", "")
        proofs = request.headers.getlist("dpop")
        if not authorization.startswith(_DPOP):
            raise Refused(Problem.NOT_SIGNED_IN)
        try:
            session = await self._environment.authentication.verify_dpop(
                authorization.removeprefix(_DPOP),
                proofs[0] if len(proofs) == 1 else None,
                method=request.method,
                url=origin + request.url.path,
            )
        except AuthenticationFailed as error:
            raise Refused(Problem.PROOF_REFUSED) from error
        return Asker(
            session,
            Actor(
                door="tunnel",
                name=session.id,
                address=address_of(request),
                scopes=frozenset(session.scopes),
                role=session.role,
                is_remote_admin_on=self._environment.settings.remote_admin,
            ),
        )
