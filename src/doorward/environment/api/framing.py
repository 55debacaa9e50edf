"""How an endpoint is run: authenticate, decode, authorise, handle, in this order (connect-environment §2.1)."""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from doorward.environment.access import Action, Actor, Door, require
from doorward.environment.api.doors import actor_of, address_of, credentials_of
from doorward.environment.api.failures import Failure, environment_error
from doorward.environment.environment import Environment
from doorward.environment.sessions.authentication import AuthenticationFailed
from doorward.environment.sessions.store import Session
from doorward.spans import is_recording, now, parse_traceparent, record, set_request_headers
from doorward.t3_connect import SchemaMismatch, decode_form, decode_json, encode_json

MAX_BODY_BYTES = 64 * 1024
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


class Call(msgspec.Struct, frozen=True):
    """One request on its way to a handler. `session` is None exactly where the endpoint asks for none."""

    request: Request
    environment: Environment
    door: Door
    body: Any = None
    session: Session | None = None

    @property
    def caller(self) -> Session:
        assert self.session is not None, "the endpoint asked for no session"
        return self.session

    @property
    def actor(self) -> Actor:
        return actor_of(self.request, self.environment, self.door, self.caller)

    @property
    def address(self) -> str | None:
        return address_of(self.request, self.door)


class Reply(msgspec.Struct, frozen=True):
    """A 200 with a JSON body (a wire struct, a list of them, or a string)."""

    body: object
    headers: Mapping[str, str] = {}


Handler = Callable[[Call], Awaitable[Reply]]


class Endpoint(msgspec.Struct, frozen=True):
    """`action` needs a session that may do it. `failure` is what the caller hears when we fail."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    failure: Failure
    body: type[Any] | None = None
    is_form: bool = False
    needs_session: bool = False
    action: Action | None = None
    is_no_store: bool = False


async def run(endpoint: Endpoint, request: Request, environment: Environment, door: Door) -> Response:
    """The response to one request; every error in the protocol's own shape."""
    trace_id, began_at = trace_of(request), now()
    response = await _answer(endpoint, request, environment, door, trace_id)
    if is_recording():
        _record(request, endpoint, response.status_code, began_at)
    return response


def _record(request: Request, endpoint: Endpoint, status: int, began_at: int) -> None:
    """The request's span: part of the caller's trace only if the caller was let in, or anybody could write in ours."""
    parent = parse_traceparent(request.headers.get("traceparent")) if status < 400 else None
    recorded = record(f"http.server {request.method}", kind="server", parent=parent, began_at=began_at)
    if recorded is not None:
        recorded.set("http.request.method", request.method)
        recorded.set("url.path", request.url.path)
        recorded.set("http.route", endpoint.path)
        recorded.set("http.response.status_code", status)
        set_request_headers(recorded, request.headers.raw)
        recorded.end()


async def _answer(
    endpoint: Endpoint, request: Request, environment: Environment, door: Door, trace_id: str
) -> Response:
    try:
        session = None
        if endpoint.needs_session or endpoint.action is not None:
            session = await authenticate(request, environment, door)
        body = await _decode(endpoint, request)
        if isinstance(body, Response):
            return body
        call = Call(request, environment, door, body, session)
        if endpoint.action is not None:
            require(call.actor, endpoint.action)
        reply = await endpoint.handler(call)
    except Exception as error:  # the outermost layer: nothing may leave it but an answer
        return error_response(error, endpoint.failure, trace_id)
    headers = {**(NO_STORE if endpoint.is_no_store else {}), **reply.headers}
    return Response(encode_json(reply.body), media_type=_JSON, headers=headers)


async def authenticate(request: Request, environment: Environment, door: Door) -> Session:
    """The live session of a request. Through the tunnel only sessions count that a mint made for a device's key.

    Raises AuthenticationFailed; any other failure is ours and answers `internal_error`.
    """
    try:
        session = await environment.authentication.authenticate(credentials_of(request, door))
    except AuthenticationFailed:
        raise
    except Exception as error:
        raise environment_error(error, failure="internal_error") from error
    if door == "tunnel" and not session.is_minted:
        raise AuthenticationFailed("invalid_credential", "a session made here came through the tunnel")
    return session


def error_response(error: Exception, failure: Failure, trace_id: str) -> Response:
    answer = environment_error(error, failure=failure)
    headers = {}
    if isinstance(error, AuthenticationFailed) and error.is_dpop:
        headers["www-authenticate"] = "DPoP"
    return Response(answer.body(trace_id), answer.status, media_type=_JSON, headers=headers)


def trace_of(request: Request) -> str:
    """The trace id of the caller (W3C `traceparent`), or a new one: 32 hex digits."""
    found = _TRACE.fullmatch(request.headers.get("traceparent", ""))
    return found[1] if found else secrets.token_hex(16)


async def _decode(endpoint: Endpoint, request: Request) -> object:
    """The body in its declared shape, or the framework-level refusal as a Response."""
    if endpoint.body is None:
        return None
    received = request.headers.get("content-type", _JSON)
    expected = _FORM if endpoint.is_form else _JSON
    if received.partition(";")[0].strip().lower() != expected:
        return Response(f"Unsupported content-type: {received}", 415, media_type="text/plain")
    chunks = bytearray()
    try:
        async for chunk in request.stream():
            chunks += chunk
            if len(chunks) > MAX_BODY_BYTES:
                return Response(status_code=413)
    except ClientDisconnect:
        # Nobody is left to read an answer, and it is no failure of ours to log.
        return Response(status_code=400)
    try:
        if endpoint.is_form:
            return decode_form(endpoint.body, parse_qsl(chunks.decode(), keep_blank_values=True))
        return decode_json(endpoint.body, bytes(chunks))
    except (SchemaMismatch, UnicodeDecodeError, ValueError):
        return Response(status_code=400)
