"""Sockets and uvicorn servers inside one event loop, and port conflicts told in one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from doorward.http1.turn_writer import Turn, TurnWriter

#: For a unix socket that only our own edge can open.
ANYONE = ("*",)


class CannotListen(Exception):
    """The address cannot be used; the message says which one, why and what to do."""


def bind(host: str, port: int, *, option: str) -> socket.socket:
    """A listening TCP socket. `option` names the flag or key that chooses another port, for the error."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise CannotListen(_why(host, port, option, error)) from error
    return listener


def _why(host: str, port: int, option: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken by another program. Stop that program, or choose another port with {option}."
    if error.errno == errno.EACCES:
        return f"This user may not open port {port}. Choose one above 1023 with {option}."
    return f"Cannot listen on {host}:{port} ({error.strerror}). Choose another address with {option}."


def bind_unix(path: Path) -> socket.socket:
    """A listening unix socket only this user can reach; one left by a crash is replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"Cannot make the socket {path} ({error}). Choose a shorter or writable data folder with DOORWARD_HOME."
        ) from error
    finally:
        os.umask(previous)
    listener.listen(2048)
    listener.setblocking(False)
    return listener


class _OneWrite(TurnWriter):
    """The transport of an HTTP connection, as uvicorn sees it: uvicorn writes a head and its body apart, which would be two
    segments that wake the client twice."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, _OneWrite(Turn(self.loop), transport)))


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process that owns the loop owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    listener: socket.socket,
    *,
    trusted_proxies: Sequence[str] = (),
    tls: ssl.SSLContext | None = None,
    grace: int = 5,
    with_websockets: bool = True,
) -> AsyncIterator[None]:
    """Serve an ASGI application on a bound socket until the block ends; then open requests get `grace` seconds.

    `trusted_proxies` are addresses and networks whose `X-Forwarded-For` and `-Proto` say who the client is.
    An application without WebSockets saves their library's import, a tenth of a node's start.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_graceful_shutdown=grace,
        http=_Protocol,
        ws="websockets-sansio" if with_websockets else "none",
        ws_max_size=1024 * 1024,
    )
    if tls is not None:
        config.load()
        config.ssl = tls
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task
