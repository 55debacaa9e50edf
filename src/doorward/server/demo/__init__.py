"""The demo service that `doorward up` exposes: a page, a WebSocket clock, a streamed upload and download.

It stands for somebody's own program on loopback: it knows nothing of Doorward but the assertion header,
which it shows so that a visitor sees what a service behind the gate learns about them.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
from collections.abc import AsyncIterator
from importlib import resources

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

_STATIC = resources.files("doorward.server.demo") / "static"
_PAGES = {"/": "index.html", "/demo.js": "demo.js", "/demo.css": "demo.css"}
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
_DOWNLOAD_LIMIT = 20 * 1024**3


async def _page(request: Request) -> Response:
    with resources.as_file(_STATIC / _PAGES[request.url.path]) as path:
        return FileResponse(path, headers={"content-security-policy": _POLICY, "cache-control": "no-cache"})


async def _clock(websocket: WebSocket) -> None:
    """One text message a second: the time on this machine, in UTC."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(datetime.datetime.now(datetime.UTC).strftime("%H:%M:%S"))
            # receiving is how a closed socket is noticed between two ticks
            try:
                async with asyncio.timeout(1):
                    await websocket.receive_text()
            except TimeoutError:
                continue
    except WebSocketDisconnect:
        return


async def _events(_: Request) -> Response:
    """The same clock as server-sent events."""

    async def ticks() -> AsyncIterator[str]:
        while True:
            yield f"data: {datetime.datetime.now(datetime.UTC).strftime('%H:%M:%S')}\n\n"
            await asyncio.sleep(1)

    return StreamingResponse(ticks(), media_type="text/event-stream", headers={"cache-control": "no-store"})


async def _upload(request: Request) -> Response:
    """Read the body as it comes, never holding it; answer its size in bytes and SHA-256."""
    digest, size = hashlib.sha256(), 0
    async for chunk in request.stream():
        digest.update(chunk)
        size += len(chunk)
    return JSONResponse({"bytes": size, "sha256": digest.hexdigest()})


async def _download(request: Request) -> Response:
    """`?bytes=N` zero bytes, made as they are sent."""
    try:
        size = int(request.query_params.get("bytes", "1048576"))
    except ValueError:
        size = -1
    if not 0 <= size <= _DOWNLOAD_LIMIT:
        return Response("bytes must be a number between 0 and 21474836480\n", 400, media_type="text/plain")

    async def zeros() -> AsyncIterator[bytes]:
        left, block = size, bytes(65_536)
        while left > 0:
            yield block if left >= len(block) else block[:left]
            left -= len(block)

    return StreamingResponse(
        zeros(), headers={"content-length": str(size)}, media_type="application/octet-stream"
    )


async def _visitor(request: Request) -> Response:
    """What this service was told about its visitor."""
    return JSONResponse(
        {
            "assertion": request.headers.get("doorward-assertion"),
            "authorization": request.headers.get("authorization"),
            "host": request.headers.get("host"),
            "forwarded_for": request.headers.get("x-forwarded-for"),
            "cookies": sorted(request.cookies),
        },
        headers={"cache-control": "no-store"},
    )


def create_demo() -> Starlette:
    """The demo service as an ASGI application."""
    return Starlette(
        routes=[
            *(Route(path, _page) for path in _PAGES),
            Route("/events", _events),
            Route("/upload", _upload, methods=["POST"]),
            Route("/download", _download),
            Route("/visitor", _visitor),
            WebSocketRoute("/clock", _clock),
        ]
    )
