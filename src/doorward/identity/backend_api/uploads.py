"""Images as multipart forms."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from doorward.identity.accounts.images import MAX_IMAGE_BYTES
from doorward.identity.backend_api.operations import Upload
from doorward.identity.errors import (
    IMAGE_MISSING,
    IMAGE_TOO_LARGE,
    REQUEST_BODY_INVALID,
    UNSUPPORTED_CONTENT_TYPE,
    Refused,
)

# What boundaries, headers and the other parts of such a form may take.
_FORM_BYTES = 64 * 1024


async def read_upload(request: Request) -> Upload:
    """The part named `file`. Raises Refused (400, 413, 415)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
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
    return Upload(content)


async def _bounded(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Raises Refused (413) as soon as too much has come."""
    total = 0
    async for chunk in stream:
        total += len(chunk)
        if total > MAX_IMAGE_BYTES + _FORM_BYTES:
            raise Refused(IMAGE_TOO_LARGE)
        yield chunk
