"""What only the machine's own door serves: the one-time link, the page it opens, and the key of the assertions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.environment.pages.doors import (
    PAGE_HEADER,
    SESSION_COOKIE,
    LoopbackDoor,
    split_token,
)
from doorward.environment.pages.errors import Problem, Refused
from doorward.environment.pages.requests import answer, read_body, refusals_as_json
from doorward.environment.pages.wire import Keys, OpenAnswer, OpenRequest
from doorward.environment.pairing.rules import CredentialRefused
from doorward.environment.sessions.service import Caller, ScopeNotGranted
from doorward.web import Pages

if TYPE_CHECKING:
    from doorward.environment.environment import Environment


class LoopbackPages:
    def __init__(self, environment: Environment, pages: Pages, door: LoopbackDoor) -> None:
        self._environment = environment
        self._pages = pages
        self._door = door

    def routes(self) -> list[Route]:
        return [
            Route("/connections/open", self.page, methods=["GET"]),
            Route("/connections/open", refusals_as_json(self.open), methods=["POST"]),
            Route("/.well-known/doorward/jwks.json", self.jwks, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        elsewhere = self._door.page_redirect(request)
        if elsewhere is not None:
            return elsewhere
        return self._pages.page(request, "open.html", {"label": self._environment.label})

    async def open(self, request: Request) -> Response:
        """The one-time link's token for a session, handed out in two halves."""
        self._door.require_own_page(request)
        asked = await read_body(request, OpenRequest)
        caller = Caller(
            user_agent=request.headers.get("user-agent"),
            ip_address=request.client.host if request.client else None,
        )
        try:
            issued = await self._environment.sessions.exchange(
                asked.token,
                method="browser-session-cookie",
                thumbprint=None,
                requested_scopes=None,
                caller=caller,
            )
        except (CredentialRefused, ScopeNotGranted) as error:
            raise Refused(Problem.LINK_SPENT) from error
        await self._end_former(request)
        cookie, page_key = split_token(issued.token)
        response = answer(OpenAnswer(page_key=page_key))
        response.set_cookie(SESSION_COOKIE, cookie, path="/", secure=True, httponly=True, samesite="strict")
        return response

    async def _end_former(self, request: Request) -> None:
        """A browser holds one session of this page; the one it had would linger for a month."""
        claims = request.cookies.get(SESSION_COOKIE, "")
        signature = request.headers.get(PAGE_HEADER, "")
        former = await self._door.session_of(claims, signature) if claims and signature else None
        if former is not None:
            await self._environment.sessions.end(former.id, by=self._door.actor_of(former, request))

    async def jwks(self, _: Request) -> Response:
        key = self._environment.keys.link_key().public
        body = msgspec.json.encode(Keys(keys=[key.to_jwk()]))
        return Response(body, 200, {"cache-control": "public, max-age=300"}, "application/jwk-set+json")
