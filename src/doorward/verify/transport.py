"""One HTTP exchange, over https or to this machine, without following redirects.

Blocking, on the standard library; coroutines run it in a thread, so that no event loop ever waits. Anything with
the shape of `Send` or `SendAsync` may stand in its place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import SplitResult, urlsplit

import msgspec

TIMEOUT_SECONDS = 10
MAX_BYTES = 1_000_000


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None

    def __repr__(self) -> str:  # headers hold secret keys, addresses nonces
        return f"HttpRequest({self.method} {self.url.partition('?')[0]})"


class HttpAnswer(msgspec.Struct, frozen=True):
    status: int
    body: bytes


Send = Callable[[HttpRequest], HttpAnswer]
SendAsync = Callable[[HttpRequest], Awaitable[HttpAnswer]]


def send(request: HttpRequest) -> HttpAnswer:
    """The answer, whatever its status. Raises OSError when there is none, or none that can be used."""
    # Imported here: the HTTP stack costs more to import than the rest of this package.
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = _checked(request.url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(_dialled(parts), parts.port, timeout=TIMEOUT_SECONDS)
    headers = {"host": parts.netloc.rpartition("@")[2], **request.headers}
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(request.method, target, body=request.body, headers=headers)
        answer = connection.getresponse()
        body = answer.read(MAX_BYTES + 1)
    except HTTPException as error:
        raise OSError("the server does not speak HTTP") from error
    finally:
        connection.close()
    if len(body) > MAX_BYTES:
        raise OSError("the answer is too large")
    return HttpAnswer(answer.status, body)


async def send_async(request: HttpRequest) -> HttpAnswer:
    """As `send`, in a thread of its own. Raises OSError."""
    import asyncio

    return await asyncio.to_thread(send, request)


async def fetch_url(url: str) -> bytes:
    """The body at `url`, which must answer 200. Raises OSError."""
    return _body(await send_async(_get(url)))


def fetch_url_blocking(url: str) -> bytes:
    """As `fetch_url`, in a thread. Raises OSError."""
    return _body(send(_get(url)))


def _get(url: str) -> HttpRequest:
    _checked(url)
    return HttpRequest(method="GET", url=url, headers={"accept": "application/json"})


def _body(answer: HttpAnswer) -> bytes:
    if answer.status != 200:
        raise OSError(f"the key set answered {answer.status}")
    return answer.body


def _dialled(parts: SplitResult) -> str:
    """Names below localhost are this machine whatever a resolver says, and many resolvers know none (RFC 6761, 6.3)."""
    host = parts.hostname or ""
    return "127.0.0.1" if parts.scheme == "http" and host.endswith(".localhost") else host


def _checked(url: str) -> SplitResult:
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_local = host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
    if not (parts.scheme == "https" and host) and not (parts.scheme == "http" and is_local):
        raise OSError("keys and tokens travel over https; plain http only to this machine")
    return parts
