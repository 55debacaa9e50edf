"""aiohttp.

app = web.Application(middlewares=[auth_middleware(Authenticator())])

@require_auth(permission="org:orders:read")
async def orders(request): return web.json_response({"user": get_auth(request).user_id})
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict

from doorward.verify.authenticator import Authenticator
from doorward.verify.integrations.requirement import (
    KEY,
    Answer,
    NotLetIn,
    Requirement,
    judge_async,
    read_auth,
    redirect,
)
from doorward.verify.requests import AuthRequest, auth_request
from doorward.verify.results import Auth
from doorward.verify.settings import AcceptsToken, read_accepts
from doorward.verify.state import Headers, RequestState

_STATE = web.RequestKey(KEY, RequestState)
Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


def auth_middleware(authenticator: Authenticator, *, accepts_token: AcceptsToken = "any") -> Middleware:
    """Judges each request; `accepts_token` are the kinds worth verifying at all."""
    accepts = read_accepts(accepts_token)

    # No coroutine of its own around the handler's: that of somebody known is all there is to wait for.
    @web.middleware
    def middleware(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        sent = request.headers.getall(hdrs.AUTHORIZATION, ())
        known = authenticator.remembered_bearer(sent[0] if len(sent) == 1 else None, accepts)
        if known is None:
            return judged(request, handler)
        request[_STATE] = known
        return handler(request)

    async def judged(request: web.Request, handler: Handler) -> web.StreamResponse:
        state = await judge_async(authenticator, request_of(request), accepts)
        request[_STATE] = state
        answer = redirect(state)
        if answer is not None:
            return response(answer)
        try:
            answered = await handler(request)
        except web.HTTPException as raised:
            _add(state.headers, raised.headers)
            raise
        if not answered.prepared:
            _add(state.headers, answered.headers)
        return answered

    return middleware


def get_auth(request: web.Request, accepts_token: AcceptsToken = "session_token") -> Auth:
    """Who the request is by. Raises LookupError without the middleware."""
    return read_auth(request.get(_STATE), accepts_token)


def require_auth(
    accepts_token: AcceptsToken = "session_token", **asked: Any
) -> Callable[[Endpoint], Endpoint]:
    """Lets only requests in that `Requirement(accepts_token, **asked)` does."""
    requirement = Requirement(accepts_token, **asked)

    def decorate(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def guarded(request: web.Request) -> web.StreamResponse:
            get_auth(request)
            try:
                requirement.check(request[_STATE])
            except NotLetIn as refused:
                return response(refused.answer)
            return await endpoint(request)

        return guarded

    return decorate


def request_of(request: web.Request) -> AuthRequest:
    url = f"{request.scheme}://{request.host}{request.raw_path}"
    return auth_request(request.method, url, request.headers.items())


def response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=CIMultiDict(answer.headers))


def _add(headers: Headers, to: CIMultiDict[str]) -> None:
    for name, value in headers:
        to.add(name, value)
