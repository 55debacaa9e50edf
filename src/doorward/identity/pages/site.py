"""What every page of identity has at hand."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from doorward.identity.clients import store as clients
from doorward.identity.errors import Refused
from doorward.identity.pages import redirects, wording
from doorward.web import Pages

if TYPE_CHECKING:
    from doorward.identity.clients.service import ClientChange
    from doorward.identity.services import Identity
    from doorward.identity.sessions.signed_in import SignedIn
    from doorward.identity.visits import Visit

HOME = "/machines"

# What an error page is called, and what a person can do there.
_TITLES = {
    400: "This did not work",
    401: "You are signed out",
    403: "This is not allowed",
    404: "There is nothing here",
    429: "Too many attempts",
}


class SignInNeeded(Exception):
    """The page is for people who are signed in."""


class Site:
    """The services, the templates, and the answers pages give. `sentences` are what its readers are told in other words
    than everybody, by the code of a refusal."""

    sentences: ClassVar[Mapping[str, str]] = {}

    def __init__(self, identity: "Identity") -> None:
        self.identity = identity
        self.settings = identity.settings

    @cached_property
    def pages(self) -> Pages:
        return Pages("doorward.identity.pages", connect=(self.settings.relay_origin,))

    async def visit(self, request: Request) -> "Visit":
        return await self.identity.visits.of(request)

    async def signed_in(self, request: Request) -> "tuple[Visit, SignedIn]":
        """Who is signed in. Raises SignInNeeded, which becomes a visit to the sign-in page and back."""
        visit = await self.visit(request)
        signed_in = await self.identity.sessions.current(visit)
        if signed_in is None:
            raise SignInNeeded
        return visit, signed_in

    async def following(self, visit: "Visit", change: "ClientChange") -> "Visit":
        """The visit as the next request of the same browser would be, for a second step within this one."""
        client_id = change.client_id
        if visit.client is not None or client_id is None:
            return visit
        return replace(
            visit, client=await self.identity.database.read(lambda tx: clients.find(tx, client_id))
        )

    def page(
        self,
        request: Request,
        template: str,
        context: Mapping[str, object] | None = None,
        *,
        status: int = 200,
        form_action: tuple[str, ...] = (),
        worker_policy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        shared = {
            "application": self.settings.application_name,
            "has_inbox": self.identity.inbox is not None and self.settings.development,
        }
        return self.pages.page(
            request,
            template,
            {**shared, **(context or {})},
            status=status,
            form_action=form_action,
            worker_policy=worker_policy,
            headers=headers,
        )

    def form(
        self,
        request: Request,
        template: str,
        context: Mapping[str, object],
        refused: Refused | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        otherwise: str = "",
    ) -> Response:
        """The page of a form; after a refusal with what was wrong beside its field, under the refusal's status.

        `fields` and `otherwise` say which field a problem belongs to, as `wording.errors_by_field` reads them.
        """
        if refused is None:
            return self.page(request, template, {**context, "errors": {}})
        errors = wording.errors_by_field(refused, fields or {}, otherwise=otherwise, instead=self.sentences)
        response = self.page(
            request,
            template,
            {**context, "errors": errors},
            status=refused.status,
            headers=_retry_after(refused),
        )
        if refused.client is not None:
            self.identity.visits.write(response, refused.client)
        return response

    def error(self, request: Request, refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
        problem = refused.errors[0]
        detail = wording.detail(problem)
        if detail is not None:
            title = _TITLES[400]  # an application's mistake, whatever its status tells that application
        else:
            title = _TITLES.get(
                refused.status, "Something went wrong" if refused.status >= 500 else _TITLES[400]
            )
        told = wording.sentence(problem, refused.retry_after, self.sentences)
        if problem.code == "resource_not_found":
            told = "The address may be mistyped, or what was here is gone."
        return self.page(
            request,
            "error.html",
            {
                "title": title,
                "told": told,
                "detail": detail,
                "can_retry": refused.status >= 500 and request.method == "GET",
            },
            status=refused.status,
            headers={**_retry_after(refused), **(headers or {})},
        )

    def see(self, path: str, **query: str | None) -> RedirectResponse:
        """303: what was sent is done, look at `path` next."""
        given = {name: value for name, value in query.items() if value}
        return RedirectResponse(f"{path}?{urlencode(given)}" if given else path, 303)

    def to_sign_in(self, request: Request) -> RedirectResponse:
        """To the sign-in page and, if this was only a page being looked at, back to it afterwards."""
        if request.method != "GET":
            return self.see("/sign-in")
        query = f"?{request.url.query}" if request.url.query else ""
        return self.see("/sign-in", redirect_url=f"{request.url.path}{query}")

    def after_sign_in(self, request: Request, redirect_url: str | None) -> Response:
        """Where a person goes once signed in.

        Authorizing an application may answer with a redirect to that application's host at once, and browsers hold
        that against the form's `form-action`. So such a way does not go on from the form but from a page in between.
        """
        path = redirects.own_path(redirect_url, self.settings.origin) or HOME
        if redirects.may_leave(path) and request.method == "POST":
            return self.page(request, "continue.html", {"path": path})
        return RedirectResponse(path, 303)


def _retry_after(refused: Refused) -> dict[str, str]:
    return {} if refused.retry_after is None else {"retry-after": str(refused.retry_after)}
