"""Starlette.

app = Starlette(routes=[...], middleware=[Middleware(AuthMiddleware, authenticator=Authenticator())])

@require_auth(permission="org:orders:read")
async def orders(request): return JSONResponse({"user": get_auth(request).user_id})
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from doorward.verify.integrations import asgi
from doorward.verify.integrations.asgi import AuthMiddleware
from doorward.verify.integrations.requirement import KEY, Answer, NotLetIn, Requirement
from doorward.verify.results import Auth
from doorward.verify.settings import AcceptsToken

__all__ = ["AuthMiddleware", "get_auth", "require_auth"]

Endpoint = Callable[[Request], Awaitable[Response]]


def get_auth(request: HTTPConnection, accepts_token: AcceptsToken = "session_token") -> Auth:
    """Who the request is by. Raises LookupError without the middleware."""
    return asgi.get_auth(request.scope, accepts_token)


def require_auth(
    accepts_token: AcceptsToken = "session_token", **asked: Any
) -> Callable[[Endpoint], Endpoint]:
    """Lets only requests in that `Requirement(accepts_token, **asked)` does."""
    requirement = Requirement(accepts_token, **asked)

    def decorate(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def guarded(request: Request) -> Response:
            get_auth(request)
            try:
                requirement.check(request.scope[KEY])
            except NotLetIn as refused:
                return response(refused.answer)
            return await endpoint(request)

        return guarded

    return decorate


def response(answer: Answer) -> Response:
    made = Response(answer.body, answer.status)
    for name, value in answer.headers:
        made.headers.append(name, value)
    return made
