"""Reading requests: bounded bodies, the caller's address, answers as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from doorward.environment.pages.errors import Problem, Refused

MAX_BODY = 8192  # bytes; every body of ours is far smaller

T = TypeVar("T", bound=msgspec.Struct)
Handler = Callable[[Request], Awaitable[Response]]


async def read_body(request: Request, shape: type[T]) -> T:
    """The JSON body. Raises Refused (400) when it is too long, not JSON, or of another shape."""
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > MAX_BODY:
            raise Refused(Problem.MALFORMED)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(Problem.MALFORMED)
    try:
        return msgspec.json.decode(received, type=shape)
    except msgspec.DecodeError as error:
        raise Refused(Problem.MALFORMED) from error


def answer(body: msgspec.Struct) -> Response:
    return Response(
        msgspec.json.encode(body), 200, {"cache-control": "no-store"}, media_type="application/json"
    )


def address_of(request: Request) -> str:
    """The visitor's address: the edge's word when it is exactly one, else the connection's.

    The tunnel application is reached through a unix socket only, behind the edge, which drops what visitors
    send under this name.
    """
    forwarded = request.headers.getlist("x-forwarded-for")
    if len(forwarded) == 1 and "," not in forwarded[0]:
        return forwarded[0].strip()
    return request.client.host if request.client else "unknown"


def refusals_as_json(handler: Handler) -> Handler:
    """Turns a `Refused` of the handler into its row of the table."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            return refused.problem.response(retry_after=refused.retry_after)

    return handle
