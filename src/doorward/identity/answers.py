"""How both APIs answer: JSON that nobody keeps, and Clerk's body of errors."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from starlette.responses import Response

from doorward.identity.errors import Problem, Refused


class ErrorItem(msgspec.Struct):
    message: str
    long_message: str
    code: str
    meta: dict[str, Any]


class ErrorBody(msgspec.Struct):
    errors: list[ErrorItem]
    clerk_trace_id: str


class ErrorBodyWithMeta(ErrorBody):
    """What else a caller learns from a refusal: a browser, its client as it became."""

    meta: object


def json(body: object, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(body),
        status,
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )


def error_response(refused: Refused, *, meta: msgspec.Struct | None = None) -> Response:
    """Clerk's error body; 429 and 503 say when to come back."""
    trace = trace_id()
    items = [error_item(problem) for problem in refused.errors]
    body = ErrorBody(items, trace) if meta is None else ErrorBodyWithMeta(items, trace, meta)
    response = json(body, refused.status)
    response.headers["x-clerk-trace-id"] = trace
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def trace_id() -> str:
    return secrets.token_hex(16)


def error_item(problem: Problem) -> ErrorItem:
    meta = dict(problem.meta)
    if problem.param is not None:
        meta["param_name"] = problem.param
    return ErrorItem(problem.message, problem.text, problem.code, meta)
