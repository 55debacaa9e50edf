"""Reading a submitted form into a struct."""

from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from doorward.identity.errors import (
    REQUEST_BODY_INVALID,
    REQUEST_BODY_TOO_LARGE,
    UNSUPPORTED_CONTENT_TYPE,
    Refused,
)

T = TypeVar("T")

MAX_FORM_BYTES = 32_768
MAX_FIELDS = 64


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form. Raises Refused (413, 415; 400 when a field is there twice, not UTF-8, or holds a NUL)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise Refused(UNSUPPORTED_CONTENT_TYPE)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise Refused(REQUEST_BODY_TOO_LARGE)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise Refused(REQUEST_BODY_INVALID) from None
    fields = dict(pairs)
    if len(fields) != len(pairs) or any("\x00" in text for pair in pairs for text in pair):
        raise Refused(REQUEST_BODY_INVALID)
    return fields


async def form_of(request: Request, shape: type[T]) -> T:
    """The form as `shape`, a struct whose fields are all text. Fields it does not name are ignored."""
    try:
        return msgspec.convert(await fields_of(request), shape)
    except msgspec.ValidationError:
        raise Refused(REQUEST_BODY_INVALID) from None
