"""Which page answers where, and what holds for all of them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from doorward.identity.errors import (
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    RESOURCE_NOT_FOUND,
    Problem,
    Refused,
)
from doorward.identity.oauth.clients import PASTE_PATH
from doorward.identity.pages import (
    account,
    confirm,
    consent,
    device,
    inbox,
    machines,
    paste,
    reset,
    sign_in,
    sign_up,
)
from doorward.identity.pages.site import HOME, SignInNeeded, Site

if TYPE_CHECKING:
    from doorward.identity.services import Identity

Page = Callable[[Site, Request], Awaitable[Response]]
ExceptionHandlers = Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]


def routes(identity: "Identity") -> list[BaseRoute]:
    """The routes of every page and of their static files, for the application at the accounts origin."""
    site = _site(identity)
    pages: list[tuple[str, str, Page]] = [
        ("GET", "/", _home),
        ("GET", "/sign-up", sign_up.show),
        ("POST", "/sign-up", sign_up.submit),
        ("GET", "/sign-up/verify", sign_up.show_verify),
        ("POST", "/sign-up/verify", sign_up.submit_verify),
        ("POST", "/sign-up/resend", sign_up.resend),
        ("GET", "/sign-in", sign_in.show),
        ("POST", "/sign-in", sign_in.submit),
        ("GET", "/sign-in/confirm", confirm.show),
        ("POST", "/sign-in/confirm", confirm.submit),
        ("POST", "/sign-out", sign_in.sign_out),
        ("GET", "/sign-in/forgot", reset.show),
        ("POST", "/sign-in/forgot", reset.submit),
        ("GET", "/sign-in/code", reset.show_code),
        ("POST", "/sign-in/code", reset.submit_code),
        ("GET", "/sign-in/new-password", reset.show_new_password),
        ("POST", "/sign-in/new-password", reset.submit_new_password),
        ("GET", "/account", account.show),
        ("POST", "/account/password", account.change_password),
        ("GET", "/account/sessions", account.show_sessions),
        ("POST", "/account/sessions/end", account.end_session),
        ("POST", "/account/sessions/end-others", account.end_other_sessions),
        ("GET", "/machines", machines.show),
        ("GET", "/machines/notifier.js", machines.worker),
        ("GET", "/oauth-consent", consent.show),
        ("POST", "/oauth-consent", consent.decide),
        ("GET", PASTE_PATH, paste.show),
        ("GET", "/device", device.show),
        ("POST", "/device", device.find),
        ("POST", "/device/decide", device.decide),
    ]
    if identity.inbox is not None and identity.settings.development:
        pages.append(("GET", "/dev/inbox", inbox.show))
    by_path: dict[str, dict[str, Page]] = {}
    for method, path, page in pages:
        by_path.setdefault(path, {})[method] = page
    return [
        *site.pages.routes,
        *(
            Route(path, _endpoint(site, by_method), methods=sorted(by_method))
            for path, by_method in by_path.items()
        ),
    ]


def error_page(identity: "Identity", request: Request, refused: Refused) -> Response:
    """The page that tells a person of a refusal, for routes that are not pages themselves."""
    return _site(identity).error(request, refused)


_sites: "WeakKeyDictionary[Identity, Site]" = WeakKeyDictionary()


def exception_handlers(identity: "Identity") -> ExceptionHandlers:
    """What the application answers where no route does: pages for people, a line of text for programs.

    Functions that are not async would be called in a thread, for which the first of them imports most of anyio.
    """

    async def unrouted(request: Request, error: Exception) -> Response:
        is_method = isinstance(error, HTTPException) and error.status_code == 405
        problem = METHOD_NOT_ALLOWED if is_method else RESOURCE_NOT_FOUND
        headers = error.headers if isinstance(error, HTTPException) else None
        return _told(identity, request, problem, headers)

    async def broken(request: Request, _: Exception) -> Response:
        return _told(identity, request, INTERNAL_ERROR)

    return {404: unrouted, 405: unrouted, Exception: broken}


def _told(
    identity: "Identity", request: Request, problem: Problem, headers: Mapping[str, str] | None = None
) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return _site(identity).error(request, Refused(problem), headers)
    return PlainTextResponse(f"{problem.message}\n", problem.status, dict(headers or {}))


def _site(identity: "Identity") -> Site:
    """One Site per Identity: it holds the compiled templates."""
    site = _sites.get(identity)
    if site is None:
        site = _sites[identity] = Site(identity)
    return site


def _endpoint(site: Site, by_method: dict[str, Page]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            if request.method not in ("GET", "HEAD"):
                site.identity.visits.require_own_origin(request)
            return await by_method["GET" if request.method == "HEAD" else request.method](site, request)
        except SignInNeeded:
            return site.to_sign_in(request)
        except Refused as refused:
            return site.error(request, refused)

    return endpoint


async def _home(site: Site, request: Request) -> Response:
    signed_in = await site.identity.sessions.current(await site.visit(request))
    return site.see(HOME if signed_in else "/sign-in")
