"""From ASGI to an operation: both URL families, who calls, versions, limits, and the last handler of errors.

Answers are `application/json` to the letter: Clerk's JavaScript SDK takes anything else for text. Nothing here is for
browsers: no CORS, no cookies.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from doorward.identity.answers import error_response
from doorward.identity.backend_api.callers import Callers
from doorward.identity.backend_api.openapi import openapi_document
from doorward.identity.backend_api.operations import Call, Operation, Upload
from doorward.identity.backend_api.reading import read_body, read_query
from doorward.identity.backend_api.token_errors import token_error_response
from doorward.identity.backend_api.uploads import read_upload
from doorward.identity.errors import (
    API_VERSION_INVALID,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    REQUEST_BODY_TOO_LARGE,
    REQUEST_INVALID,
    Refused,
    not_found,
)
from doorward.store import StoreError

if TYPE_CHECKING:
    from doorward.identity.services import Identity

_log = logging.getLogger("doorward.identity.backend_api")

MOUNT = "/api"
VERSIONS = ("2021-02-05", "2024-10-01", "2025-04-10", "2025-11-10", "2026-05-12")
MAX_BODY_BYTES = 1024 * 1024
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class BackendApi:
    """The routes of one instance's Backend API."""

    def __init__(self, identity: Identity, callers: Callers, operations: Iterable[Operation]) -> None:
        self._identity = identity
        self._callers = callers
        self.operations = tuple(operations)

    def routes(self) -> RouteTable:
        """Paths with more literal parts come first: `/users/count` is not a user named count."""
        by_path: dict[str, dict[str, Operation]] = {}
        for operation in self.operations:
            paths = [f"{MOUNT}/v1{operation.path}"]
            if operation.is_versionless:
                paths.append(f"{MOUNT}{operation.path}")
            for path in paths:
                by_path.setdefault(path, {})[operation.method] = operation
        return RouteTable(
            [
                Route(f"{MOUNT}/openapi.json", self._openapi, methods=["GET"]),
                *(self._route(path, by_path[path]) for path in sorted(by_path, key=_literal_first)),
                Route(f"{MOUNT}/{{path:path}}", self._unknown, methods=_METHODS),
            ]
        )

    def _route(self, path: str, operations: dict[str, Operation]) -> Route:
        async def endpoint(request: Request) -> Response:
            operation = operations.get("GET" if request.method == "HEAD" else request.method)
            refuse = token_error_response if operation and operation.is_versionless else error_response
            try:
                if operation is None:
                    raise Refused(METHOD_NOT_ALLOWED)
                return await self._run(request, operation)
            except Refused as refused:
                return refuse(refused)
            except StoreError:
                _log.exception("the database refused %s %s", request.method, path)
            except Exception:
                _log.exception("%s %s failed", request.method, path)
            return refuse(Refused(INTERNAL_ERROR))

        return Route(path, endpoint, methods=_METHODS)

    async def _run(self, request: Request, operation: Operation) -> Response:
        """Who calls is judged first: a stranger learns nothing of what a request should look like."""
        path = {name: str(value) for name, value in request.path_params.items()}
        if any("\x00" in value for value in path.values()) or "%00" in request.url.query:
            raise Refused(REQUEST_INVALID)  # PostgreSQL has no place for it
        caller = await self._callers.caller_of(request.headers.get("authorization"), operation.callers)
        call: Call[Any, Any] = Call(
            identity=self._identity,
            caller=caller,
            path=path,
            query=read_query(request.query_params.multi_items(), operation.query),
            body=await _body_of(request, operation.body),
            version=_version_of(request),
        )
        answer = await operation.handler(call)
        if operation.answer is None:
            return Response(status_code=operation.status)
        return Response(
            msgspec.json.encode(answer),
            operation.status,
            headers={"cache-control": "no-store"},
            media_type="application/json",
        )

    async def _unknown(self, request: Request) -> Response:
        return error_response(Refused(not_found("No such route.")))

    @cached_property
    def _document(self) -> bytes:
        return msgspec.json.encode(
            openapi_document(self.operations, f"{self._identity.settings.origin}{MOUNT}")
        )

    async def _openapi(self, request: Request) -> Response:
        return Response(self._document, media_type="application/json")


async def _body_of(request: Request, expected: type) -> Any:
    """Raises Refused (400, 413, 415, 422)."""
    if expected is Upload:
        return await read_upload(request)
    return read_body(await _bytes_of(request), request.headers.get("content-type", ""), expected)


class RouteTable(BaseRoute):
    """The routes below `/api` as one. Paths without parameters, such as those that tokens are made and verified at, are
    looked up and not searched for: trying every pattern in turn took longer than the work itself."""

    def __init__(self, routes: list[Route]) -> None:
        self.routes = routes
        self._literal = {route.path: route for route in routes if "{" not in route.path}
        self._patterns = [route for route in routes if "{" in route.path]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or not scope["path"].startswith(f"{MOUNT}/"):
            return Match.NONE, {}
        literal = self._literal.get(scope["path"])
        for route in (literal,) if literal is not None else self._patterns:
            match, child_scope = route.matches(scope)
            if match is not Match.NONE:
                return match, {**child_scope, "backend_route": route}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        route: Route = scope["backend_route"]
        scope["route"] = route  # whoever counts requests by route finds the one that answered
        await route.handle(scope, receive, send)


async def _bytes_of(request: Request) -> bytes:
    """Raises Refused (413, 400)."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refused(REQUEST_BODY_TOO_LARGE)
    if b"\\u0000" in body or b"\x00" in body:
        raise Refused(REQUEST_INVALID)
    return bytes(body)


def _version_of(request: Request) -> str:
    """Raises Refused (400): both ways of asking at once, or a version nobody published."""
    header = request.headers.get("clerk-api-version")
    query = request.query_params.get("__clerk_api_version")
    asked = header or query
    if asked is None:
        return VERSIONS[0]
    if (header and query) or asked not in VERSIONS:
        raise Refused(API_VERSION_INVALID)
    return asked


def _literal_first(path: str) -> tuple[str, ...]:
    """Sorts a parameter behind every literal of its place."""
    return tuple(re.sub(r"^\{", "\x7f{", part) for part in path.split("/"))
