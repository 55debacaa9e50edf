"""From ASGI to a handler: method override, trailing slash, CORS, versions, and the last handler of errors.

CORS: a `/v1` answer echoes an allowed Origin and allows credentials. Everything else under OAuth and the well-known
paths either answers `*` without credentials or nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from doorward.identity.answers import error_response
from doorward.identity.errors import (
    API_VERSION_INVALID,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    ORIGIN_INVALID,
    Refused,
    not_found,
)
from doorward.identity.frontend_api.call import Call, read_form
from doorward.store import StoreError

if TYPE_CHECKING:
    from doorward.identity.services import Identity

_log = logging.getLogger("doorward.identity.frontend_api")

Handler = Callable[[Call], Awaitable[Response]]

_OVERRIDES = frozenset({"PATCH", "PUT", "DELETE"})
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")
_EXPOSED = "Authorization, Clerk-Db-Jwt, X-Country, Retry-After, Date, x-clerk-trace-id"
_ALLOWED_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
_ALLOWED_HEADERS = (
    "authorization, content-type, x-mobile, x-expo-sdk-version, x-clerk-client-id, clerk-api-version"
)


class FrontendDispatch:
    """Wraps the application: rewrites what Clerk's SDK sends into what the router knows, for `/v1` alone."""

    def __init__(self, identity: Identity, inner: ASGIApp) -> None:
        self._identity = identity
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._inner(scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            await self._preflight(Request(scope))(scope, receive, send)
            return
        outer, scope = scope, dict(scope)
        if len(scope["path"]) > 1 and scope["path"].endswith("/"):
            scope["path"] = scope["path"].rstrip("/")
        if scope["method"] == "POST":
            override = parse_qs(scope["query_string"].decode("latin-1")).get("_method", [""])[-1].upper()
            if override in _OVERRIDES:
                scope["method"] = override
        await self._inner(scope, receive, send)
        # Whoever counts requests by route looks at the scope it handed in.
        outer["route"] = scope.get("route")

    def _preflight(self, request: Request) -> Response:
        response = Response(status_code=204)
        add_cors(self._identity, request, response)
        if "access-control-allow-origin" in response.headers:
            response.headers["Access-Control-Allow-Methods"] = _ALLOWED_METHODS
            response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = "7200"
        return response


def add_cors(identity: Identity, request: Request, response: Response) -> None:
    response.headers.add_vary_header("Origin")
    origin = request.headers.get("origin")
    if origin is not None and identity.visits.is_allowed_origin(origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED


class Endpoints:
    """One path with a handler per method; anything else about it is answered in Clerk's shape."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def route(self, path: str, *, takes_image: bool = False, **handlers: Handler) -> Route:
        """`route("/v1/client", GET=read, POST=create)`. With `takes_image` the handler reads the body."""

        async def endpoint(request: Request) -> Response:
            response = await self._run(request, handlers, takes_image)
            add_cors(self._identity, request, response)
            return response

        return Route(path, endpoint, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])

    async def _run(self, request: Request, handlers: dict[str, Handler], takes_image: bool) -> Response:
        identity = self._identity
        call: Call | None = None
        try:
            handler = handlers.get("GET" if request.method == "HEAD" else request.method)
            if handler is None:
                raise Refused(METHOD_NOT_ALLOWED)
            _check_version(request)
            if request.method not in ("GET", "HEAD"):
                identity.visits.require_same_site(request)
            visit = await identity.visits.of(request)
            pairs = [] if takes_image else await read_form(request)
            # The SDK repeats a key only for arrays: elsewhere the first value counts.
            call = Call(request, identity, visit, dict(reversed(pairs)), pairs)
            return await handler(call)
        except Refused as refused:
            change = refused.client
            if call is None or change is None:
                return error_response(refused)
            response = error_response(refused, meta=await call.error_meta(change))
            identity.visits.write(response, change)
            return response
        except StoreError:
            _log.exception("the database refused a Frontend API request")
            return error_response(Refused(INTERNAL_ERROR))
        except Exception:
            _log.exception("a Frontend API handler failed")
            return error_response(Refused(INTERNAL_ERROR))

    def unknown(self) -> Route:
        """Every other path under `/v1`."""

        async def endpoint(request: Request) -> Response:
            origin = request.headers.get("origin")
            is_foreign = origin is not None and not self._identity.visits.is_allowed_origin(origin)
            problem = ORIGIN_INVALID if is_foreign else not_found("No such route.")
            response = error_response(Refused(problem))
            add_cors(self._identity, request, response)
            return response

        return Route("/v1/{path:path}", endpoint, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])


def _check_version(request: Request) -> None:
    """Any date is served: Clerk's SDKs move faster than we do."""
    version = request.query_params.get("__clerk_api_version") or request.headers.get("clerk-api-version")
    if version is not None and _VERSION.fullmatch(version) is None:
        raise Refused(API_VERSION_INVALID)
