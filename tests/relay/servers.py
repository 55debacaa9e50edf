"""Real uvicorn servers on loopback ports, inside the test's event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


@contextlib.asynccontextmanager
async def serve(*apps: tuple[Any, socket.socket]) -> AsyncIterator[None]:
    """Serve each application on its socket, all started and stopped together."""
    servers, tasks = [], []
    for app, listener in apps:
        config = uvicorn.Config(app, interface="asgi3", log_config=None, access_log=False, lifespan="off")
        servers.append(_Server(config))
        tasks.append(asyncio.create_task(servers[-1].serve(sockets=[listener])))
    while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.002)
    try:
        yield
    finally:
        for server in servers:
            server.should_exit = server.force_exit = True
        await asyncio.gather(*tasks)
