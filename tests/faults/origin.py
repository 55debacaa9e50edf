"""Somebody's service, as a process: the demo, and routes that tell how the requests of its visitors ended.

POST /swallow?id=   reads the body; the journal has `complete` or `cancelled`
GET  /pour?id=      a body without end; the journal has `cancelled`
GET  /never         no answer, ever
GET  /who           `{"pid"}`
GET  /journal?id=   waits for the end of that exchange: `{"end", "bytes"}`
WS   /echo          sends back what comes; "close 4001 why" closes so; the journal has the client's close code
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from doorward.server.demo import create_demo

BLOCK = bytes(65_536)


class Journal:
    def __init__(self) -> None:
        self._ends: defaultdict[str, asyncio.Future[dict[str, object]]] = defaultdict(
            asyncio.get_running_loop().create_future
        )

    def note(self, exchange: str, end: str, size: int) -> None:
        if not self._ends[exchange].done():
            self._ends[exchange].set_result({"end": end, "bytes": size})

    async def read(self, exchange: str) -> dict[str, object]:
        return await asyncio.wait_for(asyncio.shield(self._ends[exchange]), 120)


async def _swallow(request: Request) -> Response:
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
    except ClientDisconnect:
        request.app.state.journal.note(request.query_params["id"], "cancelled", size)
        raise
    request.app.state.journal.note(request.query_params["id"], "complete", size)
    return JSONResponse({"bytes": size})


async def _pour(request: Request) -> Response:
    async def blocks() -> AsyncIterator[bytes]:
        size = 0
        try:
            while True:
                yield BLOCK
                size += len(BLOCK)
                # what is sent to a closed connection does not wait, and nobody else would get a turn
                await asyncio.sleep(0)
        finally:
            request.app.state.journal.note(request.query_params["id"], "cancelled", size)

    return StreamingResponse(blocks(), media_type="application/octet-stream")


async def _never(_: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def _who(_: Request) -> Response:
    return JSONResponse({"pid": os.getpid()})


async def _journal(request: Request) -> Response:
    return JSONResponse(await request.app.state.journal.read(request.query_params["id"]))


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            exchange = websocket.query_params.get("id", "")
            websocket.app.state.journal.note(exchange, f"closed {message['code']}", 0)
            return
        text = message.get("text")
        if text is not None and text.startswith("close "):
            _, code, reason = text.split(" ", 2)
            await websocket.close(int(code), reason)
            return
        if text is not None:
            await websocket.send_text(text)
        else:
            await websocket.send_bytes(message["bytes"])


def create_origin() -> Starlette:
    """Inside a running loop."""
    app = Starlette(
        routes=[
            Route("/swallow", _swallow, methods=["POST"]),
            Route("/pour", _pour),
            Route("/never", _never),
            Route("/who", _who),
            Route("/journal", _journal),
            WebSocketRoute("/echo", _echo),
            *create_demo().routes,
        ]
    )
    app.state.journal = Journal()
    return app


async def main(port: int) -> None:
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    print("listening", flush=True)
    config = uvicorn.Config(
        create_origin(), log_level="warning", ws_ping_interval=None, ws_max_size=64 * 1024 * 1024
    )
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1])))
