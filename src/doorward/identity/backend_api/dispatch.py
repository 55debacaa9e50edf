"""From ASGI to an operation: both URL families, who calls, versions, limits, and the last handler of errors.

Answers are `application/json` to the letter: Clerk's JavaScript SDK takes anything else for text. Nothing here is for
browsers: no CORS, no cookies.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from doorward.identity.answers import error_response, json
from doorward.identity.backend_api.callers import Recognition
from doorward.identity.backend_api.not_offered import is_not_offered
from doorward.identity.backend_api.openapi import openapi_document
from doorward.identity.backend_api.operations import Call, Operation
from doorward.identity.backend_api.reading import read_body, read_query
from doorward.identity.backend_api.token_errors import token_error_response
from doorward.identity.backend_api.wire.shapes import Upload
from doorward.identity.errors import (
    API_VERSION_INVALID,
    FEATURE_NOT_IMPLEMENTED,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    REQUEST_BODY_TOO_LARGE,
    REQUEST_INVALID,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.uploads import read_upload
from doorward.store import StoreError

if TYPE_CHECKING:
    from doorward.identity.services import Identity

_log = logging.getLogger("doorward.identity.backend_api")

MOUNT = "/api"
DOCUMENT = f"{MOUNT}/openapi.json"
VERSIONS = ("2021-02-05", "2024-10-01", "2025-04-10", "2025-11-10", "2026-05-12")
MAX_BODY_BYTES = 1024 * 1024
_NO_QUERY = QueryParams()


class Resource:
    """A path of the Backend API and what its methods do; `path` is what requests are counted by."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.parts = path.split("/")
        self.operations: dict[str, Operation] = {}

    def operation(self, method: str) -> Operation | None:
        return self.operations.get("GET" if method == "HEAD" else method)

    def parameters(self, parts: Sequence[str]) -> dict[str, str] | None:
        """What stands in the places of the path's parameters, or None where another path of as many parts was asked for."""
        found = {}
        for own, asked in zip(self.parts, parts, strict=True):
            if own.startswith("{") and asked:
                found[own[1:-1]] = asked
            elif own != asked:
                return None
        return found


class BackendApi:
    """The ASGI application of everything below `/api`, for one instance.

    It stands beside Starlette's and not in it: the layers of pages and browsers took longer than the work of a request.
    """

    def __init__(self, identity: Identity, callers: Recognition, operations: Iterable[Operation]) -> None:
        self._identity = identity
        self._callers = callers
        self.operations = tuple(operations)
        by_path: dict[str, Resource] = {}
        for operation in self.operations:
            paths = [f"{MOUNT}/v1{operation.path}"]
            if operation.is_versionless:
                paths.append(f"{MOUNT}{operation.path}")
            for path in paths:
                by_path.setdefault(path, Resource(path)).operations[operation.method] = operation
        #: Paths with more literal parts come first: `/users/count` is not a user named count.
        self.resources = [by_path[path] for path in sorted(by_path, key=_literal_first)]
        # Paths without parameters, such as those that tokens are made and verified at, are looked up, not searched for.
        self._literal = {path: resource for path, resource in by_path.items() if "{" not in path}
        self._by_length: dict[int, list[Resource]] = {}
        for resource in self.resources:
            if "{" in resource.path:
                self._by_length.setdefault(len(resource.parts), []).append(resource)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = request.method
        if request.scope["path"] == DOCUMENT and method in ("GET", "HEAD"):
            return Response(self._document, media_type="application/json")
        resource = self._find(request.scope)
        if resource is None:
            return error_response(Refused(_why_not(request.scope["path"])))
        request.scope["route"] = resource  # whoever counts requests by route finds the one that answered
        operation = resource.operation(method)
        if operation is None:
            return error_response(Refused(METHOD_NOT_ALLOWED))
        try:
            return await self._run(request, operation)
        except Refused as refused:
            return _refusal(refused, operation)
        except StoreError:
            _log.exception("the database refused %s %s", method, resource.path)
        except Exception:
            _log.exception("%s %s failed", method, resource.path)
        return _refusal(Refused(INTERNAL_ERROR), operation)

    def _find(self, scope: Scope) -> Resource | None:
        """What is at the request's path, whose parameters are then in the scope."""
        path = scope["path"]
        scope["path_params"] = {}
        if (literal := self._literal.get(path)) is not None:
            return literal
        parts = path.split("/")
        for resource in self._by_length.get(len(parts), ()):
            if (parameters := resource.parameters(parts)) is not None:
                scope["path_params"] = parameters
                return resource
        return None

    async def _run(self, request: Request, operation: Operation) -> Response:
        """Who calls is judged first: a stranger learns nothing of what a request should look like."""
        caller = await self._callers.caller_of(request.headers.get("authorization"), operation.callers)
        query = request.query_params if request.scope["query_string"] else _NO_QUERY
        call: Call[Any, Any] = Call(
            identity=self._identity,
            caller=caller,
            path=request.path_params,
            query=read_query(query.multi_items(), operation.query),
            body=await _body_of(request, operation.body),
            version=_version_of(request.headers.get("clerk-api-version"), query.get("__clerk_api_version")),
        )
        answer = await operation.handler(call)
        if operation.answer is None:
            return Response(status_code=operation.status)
        return json(answer, operation.status)

    @cached_property
    def _document(self) -> bytes:
        return msgspec.json.encode(
            openapi_document(self.operations, f"{self._identity.settings.origin}{MOUNT}")
        )


def _refusal(refused: Refused, operation: Operation) -> Response:
    """In the shape of the operation's family."""
    if operation.is_versionless:
        return token_error_response(refused, operation.method)
    return error_response(refused)


def _why_not(path: str) -> Problem:
    """Of a path nothing is at: what Clerk has there is not offered, or there is no such path."""
    if is_not_offered(path.removeprefix(MOUNT).removeprefix("/v1")):
        return FEATURE_NOT_IMPLEMENTED
    return not_found("No such route.")


async def _body_of(request: Request, expected: type) -> Any:
    """Raises Refused (400, 413, 415, 422)."""
    if expected is Upload:
        return Upload(await read_upload(request))
    return read_body(await _bytes_of(request), request.headers.get("content-type", ""), expected)


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


def _version_of(header: str | None, parameter: str | None) -> str:
    """Raises Refused (400): both ways of asking at once, or a version nobody published."""
    asked = header or parameter
    if asked is None:
        return VERSIONS[0]
    if (header and parameter) or asked not in VERSIONS:
        raise Refused(API_VERSION_INVALID)
    return asked


def _literal_first(path: str) -> tuple[str, ...]:
    """Sorts a parameter behind every literal of its place."""
    return tuple(f"\x7f{part}" if part.startswith("{") else part for part in path.split("/"))
