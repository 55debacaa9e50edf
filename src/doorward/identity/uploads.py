"""Images as they come: in a multipart form, or from Clerk's browser SDK as Base64 text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from doorward.identity.accounts.images import MAX_IMAGE_BYTES
from doorward.identity.errors import (
    IMAGE_MISSING,
    IMAGE_TOO_LARGE,
    REQUEST_BODY_INVALID,
    UNSUPPORTED_CONTENT_TYPE,
    Refused,
)

# What boundaries, headers and the other parts of such a form may take.
_FORM_BYTES = 64 * 1024


async def read_upload(request: Request) -> bytes:
    """The part named `file`. Raises Refused (400, 413, 415)."""
    if media_type_of(request) != "multipart/form-data":
        raise Refused(UNSUPPORTED_CONTENT_TYPE)
    parser = MultiPartParser(request.headers, _bounded(request.stream()), max_files=1, max_fields=8)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise Refused(REQUEST_BODY_INVALID) from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refused(IMAGE_MISSING)
        content = await file.read()
    finally:
        await form.close()
    if len(content) > MAX_IMAGE_BYTES:
        raise Refused(IMAGE_TOO_LARGE)
    return content


async def read_encoded_upload(request: Request) -> bytes:
    """A body of Base64. Raises Refused (400, 413)."""
    body = b"".join([chunk async for chunk in _bounded(request.stream(), MAX_IMAGE_BYTES * 4 // 3)])
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise Refused(REQUEST_BODY_INVALID) from error


def media_type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _bounded(
    stream: AsyncGenerator[bytes, None], most: int = MAX_IMAGE_BYTES
) -> AsyncGenerator[bytes, None]:
    """Raises Refused (413) as soon as too much has come."""
    total = 0
    async for chunk in stream:
        total += len(chunk)
        if total > most + _FORM_BYTES:
            raise Refused(IMAGE_TOO_LARGE)
        yield chunk
