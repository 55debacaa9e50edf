"""FastAPI: a dependency that shows in the OpenAPI document.

    signed_in = RequireAuth(Authenticator())

    @app.get("/orders")
    async def orders(auth: Annotated[SessionAuth, Depends(signed_in)]): return {"user": auth.user_id}

Alone it serves APIs called with `Authorization`. For pages, whose sign-in may need a handshake, add the middleware
too (`app.add_middleware(AuthMiddleware, authenticator=…)`); the dependency then reads what it found.
"""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from doorward.verify.authenticator import Authenticator
from doorward.verify.integrations.asgi import AuthMiddleware, authorization_of, request_of
from doorward.verify.integrations.requirement import KEY, NotLetIn, Requirement, judge_async
from doorward.verify.integrations.starlette import get_auth
from doorward.verify.results import Auth
from doorward.verify.settings import AcceptsToken

__all__ = ["AuthMiddleware", "RequireAuth", "get_auth"]


class RequireAuth(SecurityBase):
    """A dependency whose value is who the request is by; others get 401 or 403.

    `asked` is what a session must have: role, permission, feature, plan, reverification.
    """

    def __init__(
        self, authenticator: Authenticator, accepts_token: AcceptsToken = "session_token", **asked: Any
    ) -> None:
        self._authenticator = authenticator
        self._requirement = Requirement(accepts_token, **asked)
        self.model = HTTPBearer(bearerFormat="JWT", description="A token of the accounts server.")
        self.scheme_name = "Doorward"

    async def __call__(self, request: Request) -> Auth:
        state = request.scope.get(KEY)
        if state is None:
            scope, accepts = request.scope, self._requirement.accepts
            state = self._authenticator.remembered_bearer(authorization_of(scope), accepts)
            if state is None:
                state = await judge_async(self._authenticator, request_of(scope), accepts)
        try:
            return self._requirement.check(state)
        except NotLetIn as refused:
            answer = refused.answer
            error = _first_error(answer.body)
            raise HTTPException(answer.status, detail=error, headers=dict(answer.headers)) from None


def _first_error(body: bytes) -> dict[str, str]:
    import msgspec

    errors: list[dict[str, str]] = msgspec.json.decode(body)["errors"]
    return errors[0]
