"""What an integration of `doorward.verify` adds to a request, for each framework it has one for.

The same smallest application runs twice in this process: with the integration, its handler asking who the request is by,
and without. A request is what a script in a browser sends, with a session token in `Authorization` that was verified
before (`verified_tokens`); signatures are measured in `bench.verify`. The two sides take turns (`bench.jose`), and what
counts is CPU time of a request from its bytes to the bytes of its answer, its server's own code included: uvicorn with
httptools on uvloop for ASGI, aiohttp's, the standard library's for WSGI. Nothing goes through the kernel, whose share would
only make ours look smaller.

What is added is much the same everywhere, 6 µs and what the framework's own hooks take, so its share tells how little the
rest is: without a framework, or with a small one, there is next to nothing for a share to be taken of.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable
from typing import Any
from wsgiref.simple_server import make_server

import uvloop
from tests.verify.frameworks import applications
from tests.verify.frameworks.serving import QuietHandler

from bench.jose import CLAIMS, _rates
from bench.rows import row
from doorward.jose import generate_key, sign_jwt
from doorward.verify import Authenticator

GOAL_PERCENT = 15.0
ROUNDS, REQUESTS = 400, 10
HEADERS = {
    "Host": "127.0.0.1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "application/json",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://app.example.com/orders",
    "Connection": "keep-alive",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
}

#: Has an application answer one request, given as bytes.
Ask = Callable[[], Awaitable[None]]


def measure() -> list[dict[str, Any]]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return [figure for name in applications.BARE for figure in _of_framework(name, runner)]


def _of_framework(name: str, runner: asyncio.Runner) -> list[dict[str, Any]]:
    key, now = generate_key("RS256", kid="ins_1"), int(time.time())
    token = sign_jwt(CLAIMS | {"iat": now, "nbf": now - 10, "exp": now + 3600}, key, typ="JWT")
    authenticator = Authenticator(jwt_key=key.public, environment={}, verified_tokens=100)

    async def made(app: Any, path: str) -> Ask:
        return await SERVERS.get(name, _uvicorn)(app, _request(path, token))

    dressed = runner.run(made(applications.FRAMEWORKS[name][0](authenticator), "/"))
    bare = runner.run(made(applications.BARE[name](), "/bare"))

    def requests(ask: Ask) -> Callable[[], None]:
        async def several() -> None:
            for _ in range(REQUESTS):
                await ask()

        return lambda: runner.run(several())

    own, other = (
        1e6 / (rate * REQUESTS) for rate in _rates((requests(dressed), requests(bare)), ROUNDS, calls=1)
    )
    share = 100 * (own - other) / other
    return [
        row(f"middleware of {name}, of a request's CPU", share, "%", at_most=GOAL_PERCENT),
        row(f"middleware of {name}, beside {other:.0f} us", own - other, "us"),
    ]


def _request(path: str, token: str) -> bytes:
    headers = HEADERS | {"Authorization": f"Bearer {token}"}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


class _Wire(asyncio.Transport):
    """The server's end of a connection. Whoever asked waits for `answer`, which ends with a JSON object."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8000)})
        self.answer = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        self.answer = asyncio.get_running_loop().create_future()
        self._head = b""

    def write(self, data: Any) -> None:
        self._head = self._head or bytes(data[:12])
        if data.endswith(b"}"):
            self.answer.set_result(self._head)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def close(self) -> None: ...


def _connected(protocol: Any, raw: bytes) -> Ask:
    wire = _Wire()
    protocol.connection_made(wire)

    async def ask() -> None:
        wire.begin()
        protocol.data_received(raw)
        _check(await wire.answer)

    return ask


def _check(head: bytes) -> None:
    if head[9:12] != b"200":
        raise RuntimeError(f"unexpected answer: {head!r}")


async def _uvicorn(app: Any, raw: bytes) -> Ask:
    from uvicorn import Config
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.server import ServerState

    config = Config(app, ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    return _connected(HttpToolsProtocol(config, ServerState(), {}), raw)


async def _aiohttp(app: Any, raw: bytes) -> Ask:
    from aiohttp.web import AppRunner

    runner = AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    return _connected(runner.server(), raw)


async def _wsgiref(app: Any, raw: bytes) -> Ask:
    server = make_server("127.0.0.1", 0, app)
    server.server_close()

    class Connection:
        answer = b""

        def makefile(self, *_: object) -> io.BytesIO:
            return io.BytesIO(raw)

        def sendall(self, data: bytes) -> None:
            self.answer = self.answer or bytes(data[:12])

    async def ask() -> None:
        connection: Any = Connection()
        QuietHandler(connection, ("127.0.0.1", 50000), server)
        _check(connection.answer)

    return ask


SERVERS = {"aiohttp": _aiohttp, "wsgi": _wsgiref, "flask": _wsgiref, "django-wsgi": _wsgiref}
