"""The listeners of the agent: a TCP socket on loopback, and unix sockets only this user can open."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

# sun_path of the smallest system we run on, less its final zero.
MAX_SOCKET_PATH_BYTES = 103


class AgentCannotStart(Exception):
    """Something outside keeps the agent from starting; the message says what and what to do."""

    code = "agent_cannot_start"


def bind_loopback(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises AgentCannotStart."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        what = (
            f"Port {port} is taken by another program" if error.errno == errno.EADDRINUSE else error.strerror
        )
        raise AgentCannotStart(f"{what}. Choose another port for this machine's own page.") from error
    return listener


def bind_unix(path: Path) -> socket.socket:
    """A listening unix socket of mode 0600 in a folder of mode 0700. One left by a crash is replaced.

    Raises AgentCannotStart.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise AgentCannotStart(
            f"The path {path} is too long for a socket. Choose a shorter data folder with DOORWARD_HOME."
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        path.unlink(missing_ok=True)
        # The folder keeps everybody else out already; the mode of the socket is the second lock.
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise AgentCannotStart(
            f"The socket {path} cannot be made ({error.strerror}). Choose a writable data folder with DOORWARD_HOME."
        ) from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process that owns the loop owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an application on a listening socket while the block runs; requests in flight get a second.

    Forwarded headers change nothing here: each door reads what it may believe by itself.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        ws="websockets-sansio",
        ws_max_size=1024 * 1024,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="listener")
    try:
        while not server.started:
            if task.done():
                task.result()
                raise AgentCannotStart("The listener stopped before it started.")
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task
