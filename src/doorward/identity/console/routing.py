"""Which page answers where, and what holds for every one of them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from doorward.identity.console.access import NotAdministrator, administrator_of
from doorward.identity.console.call import Call, ProofNeeded
from doorward.identity.console.catalogue import SECTIONS
from doorward.identity.console.sections import Page
from doorward.identity.console.site import ConsoleSite
from doorward.identity.errors import Refused
from doorward.identity.pages import error_page
from doorward.identity.pages.site import SignInNeeded

if TYPE_CHECKING:
    from doorward.identity.services import Identity


def routes(identity: "Identity") -> list[BaseRoute]:
    """The routes of every section and of the static files, for the application at the accounts origin."""
    site = ConsoleSite(identity)
    by_path: dict[str, dict[str, Page]] = {}
    for section in SECTIONS:
        for method, path, page in section.pages:
            by_path.setdefault(path, {})[method] = page
    return [
        *site.pages.routes,
        *(
            Route(path, _endpoint(site, by_method), methods=sorted(by_method))
            for path, by_method in by_path.items()
        ),
    ]


def _endpoint(site: ConsoleSite, by_method: dict[str, Page]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            if request.method not in ("GET", "HEAD"):
                site.identity.visits.require_own_origin(request)
            administrator = await administrator_of(site.identity, request)
        except SignInNeeded:
            return site.to_sign_in(request)
        except NotAdministrator:
            # Answered as an address where nothing is.
            raise HTTPException(404) from None
        except Refused as refused:
            return error_page(site.identity, request, refused)
        page = by_method["GET" if request.method == "HEAD" else request.method]
        try:
            return await page(Call(site, request, administrator))
        except ProofNeeded:
            # A form leads to the page it was on: every form of the console is at the path it is sent to.
            return site.see("/sign-in/confirm", redirect_url=request.url.path)
        except Refused as refused:
            return site.error(request, refused)

    return endpoint
