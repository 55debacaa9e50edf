"""What answers at the accounts origin: the Backend API below `/api`, the Frontend API, OAuth and pages everywhere else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from doorward.identity.answers import error_response
from doorward.identity.audit.asking import asked_from
from doorward.identity.backend_api.dispatch import MOUNT, BackendApi
from doorward.identity.errors import REQUEST_INVALID, Refused


class Origin:
    """An ASGI application of two: what browsers need costs servers nothing. `address_of` says from where a request came."""

    def __init__(
        self, backend: BackendApi, frontend: ASGIApp, address_of: Callable[[HTTPConnection], str]
    ) -> None:
        self.backend = backend
        self.frontend = frontend
        self._address_of = address_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.frontend(scope, receive, send)
        elif "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            # PostgreSQL has no place for a NUL, and nothing of ours has one in its name.
            await error_response(Refused(REQUEST_INVALID))(scope, receive, send)
        else:
            is_backends = scope["path"].startswith(f"{MOUNT}/")
            with asked_from(partial(self._address_of, HTTPConnection(scope))):
                await (self.backend if is_backends else self.frontend)(scope, receive, send)
