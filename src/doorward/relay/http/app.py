"""The ASGI application: one request from match to response."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from doorward.relay.extension_errors import RateLimited
from doorward.relay.http.body import MAX_BODY_BYTES, BodyRefused, check_media_type, decode_body, read_body
from doorward.relay.http.responses import (
    DEADLINE,
    INTERNAL,
    JSON,
    NOT_FOUND,
    PREFLIGHT,
    SCHEMA_MISMATCH,
    TOO_LARGE,
    Response,
    json_response,
)
from doorward.relay.http.routing import Arrival, Call, Headers, Match, Route, Router
from doorward.relay.tracing import Trace, fail_span, record_answer, traced_request
from doorward.spans import span
from doorward.store import StoreError
from doorward.t3_connect.errors import RelayError, RelayInternal

logger = logging.getLogger("doorward.relay")


class RelayApp:
    """Serves the routes under one public origin.

    Not Starlette's router: the protocol answers 404 where that answers 405, takes a trailing slash without a
    redirect, and needs path parameters split before they are decoded.
    """

    def __init__(
        self,
        routes: Iterable[Route[Any, Any]],
        *,
        issuer: str,
        max_parameter: int,
        deadline: float,
        translate: Callable[[Exception], RelayError | None],
    ) -> None:
        """`translate` gives the protocol's error for an exception of the rooms, `None` for an unexpected one."""
        self._translate = translate
        self._router = Router(routes, max_parameter=max_parameter)
        self._issuer = issuer
        self._deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _serve_lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope["headers"])
        with traced_request(scope, headers.get("traceparent"), headers.get("b3")) as trace:
            response = await self._respond(scope, receive, headers, trace)
            record_answer(getattr(scope.get("route"), "path", ""), response.status)
        await send(
            {"type": "http.response.start", "status": response.status, "headers": response.raw_headers(trace)}
        )
        await send({"type": "http.response.body", "body": response.body})

    async def _respond(self, scope: Scope, receive: Receive, headers: Headers, trace: Trace) -> Response:
        if scope["method"] == "OPTIONS":
            return PREFLIGHT
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        match = self._router.match(scope["method"], raw_path)
        if match is None:
            return NOT_FOUND
        scope["route"] = match.route
        client = scope.get("client")
        arrival = Arrival(
            method=scope["method"],
            url=self._issuer + raw_path.decode("latin-1"),
            headers=headers,
            params=match.params,
            trace=trace,
            source=client[0] if client else "",
            query=scope.get("query_string", b"").decode("latin-1"),
        )
        try:
            async with asyncio.timeout(self._deadline):
                with span(match.route.span) as opened:
                    if opened is not None and "environmentId" in match.params:
                        opened.set("relay.environment_id", match.params["environmentId"])
                    response = await self._run(match, arrival, receive)
        except TimeoutError:
            response = DEADLINE
        if match.route.is_dpop and response.status == 401:
            response = response.with_headers((b"www-authenticate", b"DPoP"))
        return response

    async def _run(self, match: Match, arrival: Arrival, receive: Receive) -> Response:
        """Authentication, then headers, then body, then the handler: a caller we do not know learns nothing else."""
        route = match.route
        started = False
        try:
            principal = await route.guard(arrival)
            params = {name: value.strip() for name, value in match.params.items()}
            if not all(params.values()) or any(
                arrival.headers.get(name) is None for name in route.required_headers
            ):
                return SCHEMA_MISMATCH
            body = await _read(route, arrival, receive)
            started = True
            arrival = replace(arrival, params=params)
            answer = await route.handler(Call(arrival, principal, body))
            response = answer if isinstance(answer, Response) else json_response(answer)
        except BodyRefused as refused:
            response = refused.response
        except Exception as error:
            response = self._failure(error, route, arrival.trace)
        return response.not_stored() if route.no_store and started else response

    def _failure(self, error: Exception, route: Route[Any, Any], trace: Trace) -> Response:
        if isinstance(error, StoreError):
            # The statement's text may quote values; the code is enough to look it up in the database's own log.
            logger.error("%s %s: %s [%s]", route.method, route.path, error.code, trace.trace_id)
            failed = RelayError(RelayInternal(reason="persistence_failed"))
            fail_span(failed.answer)
            return error_response(failed, trace)
        answer = error if isinstance(error, RelayError) else self._translate(error)
        if answer is not None:
            fail_span(answer.answer)
            return error_response(answer, trace)
        logger.error(
            "%s %s failed: %s [%s]",
            route.method,
            route.path,
            type(error).__name__,
            trace.trace_id,
            exc_info=error,
        )
        return INTERNAL


def error_response(error: RelayError, trace: Trace) -> Response:
    response = Response(error.status, error.body(trace.trace_id), JSON)
    if isinstance(error.answer, RateLimited):
        return response.with_headers((b"retry-after", str(error.answer.retry_after_seconds).encode()))
    return response


async def _read(route: Route[Any, Any], arrival: Arrival, receive: Receive) -> Any:
    if route.body is None:
        return None
    check_media_type(route.body.media_type, arrival.headers)
    length = arrival.headers.get("content-length")
    if length is not None and length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise BodyRefused(TOO_LARGE)
    return decode_body(route.body, await read_body(receive))


async def _serve_lifespan(receive: Receive, send: Send) -> None:
    """Background jobs belong to `Relay.start` and `Relay.stop`; a server that asks is told all is well."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
