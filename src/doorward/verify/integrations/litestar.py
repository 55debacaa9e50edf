"""Litestar.

app = Litestar([orders], middleware=[DefineMiddleware(AuthMiddleware, authenticator=Authenticator())])

@get("/orders", guards=[require_auth(permission="org:orders:read")])
async def orders(request: Request) -> dict: return {"user": get_auth(request).user_id}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from doorward.verify.integrations import asgi
from doorward.verify.integrations.asgi import AuthMiddleware
from doorward.verify.integrations.requirement import KEY, NotLetIn, Requirement
from doorward.verify.results import Auth
from doorward.verify.settings import AcceptsToken

__all__ = ["AuthMiddleware", "get_auth", "require_auth"]

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], None]


def get_auth(request: Connection, accepts_token: AcceptsToken = "session_token") -> Auth:
    """Who the request is by. Raises LookupError without the middleware."""
    return asgi.get_auth(request.scope, accepts_token)  # type: ignore[arg-type]


def require_auth(accepts_token: AcceptsToken = "session_token", **asked: Any) -> Guard:
    """A guard that lets only requests in that `Requirement(accepts_token, **asked)` does."""
    requirement = Requirement(accepts_token, **asked)

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        get_auth(connection)
        try:
            requirement.check(connection.scope[KEY])  # type: ignore[literal-required]
        except NotLetIn as refused:
            answer = refused.answer
            error = msgspec.json.decode(answer.body)["errors"][0]
            headers = {name: value for name, value in answer.headers if name != "content-type"}
            raise HTTPException(
                status_code=answer.status, detail=error["message"], extra=error, headers=headers
            ) from None

    return guard
