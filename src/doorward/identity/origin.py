"""What answers at the accounts origin: the Backend API below `/api`, the Frontend API, OAuth and pages everywhere else."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from doorward.identity.answers import error_response
from doorward.identity.backend_api.dispatch import MOUNT, BackendApi
from doorward.identity.errors import REQUEST_INVALID, Refused


class Origin:
    """An ASGI application of two: what browsers need costs servers nothing."""

    def __init__(self, backend: BackendApi, frontend: ASGIApp) -> None:
        self.backend = backend
        self.frontend = frontend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.frontend(scope, receive, send)
        elif "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            # PostgreSQL has no place for a NUL, and nothing of ours has one in its name.
            await error_response(Refused(REQUEST_INVALID))(scope, receive, send)
        elif scope["path"].startswith(f"{MOUNT}/"):
            await self.backend(scope, receive, send)
        else:
            await self.frontend(scope, receive, send)
