"""Reading a request's body: size, media type, schema, in that order."""

from typing import Any

from starlette.types import Receive

from doorward.relay.http.responses import SCHEMA_MISMATCH, TOO_LARGE, Response, unsupported_media_type
from doorward.relay.http.routing import Body, Headers
from doorward.t3_connect import SchemaMismatch

MAX_BODY_BYTES = 64 * 1024


class BodyRefused(Exception):
    """The body cannot be used; `response` says so on the wire."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


async def read_body(receive: Receive) -> bytes:
    """The whole body, at most 64 KiB; raises `BodyRefused` beyond, before the rest is read."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyRefused(SCHEMA_MISMATCH)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise BodyRefused(TOO_LARGE)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def check_media_type(expected: str, headers: Headers) -> None:
    """Raises `BodyRefused` (415). A missing content type counts as JSON, as in the original."""
    sent = (headers.get("content-type") or "application/json").split(";", 1)[0].strip()
    if sent.lower() != expected:
        raise BodyRefused(unsupported_media_type(sent))


def decode_body(body: Body[Any], raw: bytes) -> Any:
    """The route's struct; raises `BodyRefused` (400 without a body) for anything outside its schema."""
    try:
        return body.decode(raw)
    except SchemaMismatch as error:
        raise BodyRefused(SCHEMA_MISMATCH) from error
