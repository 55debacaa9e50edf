"""The socket to a machine: opened with a ticket, asked for its configuration, alive until somebody ends it.

Of the RPC envelope (connect-environment §3.2) a forwarder needs one method without a stream, `server.getConfig`: an answer to
it is what T3's clients take for "connected", and what shows later that the connection still lives.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from doorward.client.errors import ClientError, Refused, Unavailable
from doorward.outbound import dial_address, is_localhost

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

OPEN_SECONDS = 15.0
#: A machine that fell silent is noticed after at most twice this; proxies and NATs on the way stay open.
PING_SECONDS = 20.0
MAX_FRAME_BYTES = 4 * 1024 * 1024

_AUTHORIZATION_ERROR = "EnvironmentAuthorizationError"


class _Request(msgspec.Struct, tag="Request", tag_field="_tag"):
    id: str
    tag: str
    payload: dict[str, str] = {}
    headers: tuple[()] = ()


class _Tagged(msgspec.Struct):
    tag: str = msgspec.field(name="_tag", default="")


class _Cause(msgspec.Struct):
    error: _Tagged = msgspec.field(default_factory=_Tagged)


class _Outcome(msgspec.Struct):
    tag: str = msgspec.field(name="_tag", default="")
    cause: tuple[_Cause, ...] = ()


class _Frame(msgspec.Struct, rename="camel"):
    """Of a frame, what is looked at."""

    tag: str = msgspec.field(name="_tag", default="")
    request_id: str = ""
    exit: _Outcome = msgspec.field(default_factory=_Outcome)


_frames: msgspec.json.Decoder[_Frame | list[_Frame]] = msgspec.json.Decoder(_Frame | list[_Frame])


class RpcSocket:
    """`label` names the machine in failures. Made by `open_socket`."""

    def __init__(self, connection: ClientConnection, label: str) -> None:
        self._connection = connection
        self._label = label
        #: None is the answer of a socket that ended.
        self._waiting: dict[str, asyncio.Future[_Outcome | None]] = {}
        self._count = 0
        self._reader = asyncio.create_task(self._read(), name="machine socket")

    async def get_config(self) -> None:
        """Return when the machine answered. Raises Refused, Unavailable."""
        self._count += 1
        name = str(self._count)
        answered: asyncio.Future[_Outcome | None] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answered
        try:
            request = msgspec.json.encode(_Request(id=name, tag="server.getConfig")).decode()
            await self._connection.send(request)
            outcome = await answered
        except _closed_errors() as error:
            raise self.ended() from error
        finally:
            self._waiting.pop(name, None)
        if outcome is None:
            raise self.ended()
        if outcome.tag == "Success":
            return
        if any(cause.error.tag == _AUTHORIZATION_ERROR for cause in outcome.cause):
            raise Refused("The environment credential does not grant the required access.")
        raise Unavailable(f"{self._label} did not say how it is set up.", reason="remote-unavailable")

    async def wait_closed(self) -> None:
        """Return when the socket has ended, whoever ended it."""
        await self._connection.wait_closed()

    def ended(self) -> ClientError:
        """What a socket that ended means."""
        return Unavailable(f"{self._label} disconnected.", reason="transport")

    async def close(self) -> None:
        """End it from here."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._connection.close()

    async def _read(self) -> None:
        try:
            async for frame in self._connection:
                self._received(frame)
        except _closed_errors():
            pass
        finally:
            for answered in self._waiting.values():
                if not answered.done():
                    answered.set_result(None)

    def _received(self, text: str | bytes) -> None:
        try:
            found = _frames.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # not for us: a stream we did not open, or nonsense
        for frame in found if isinstance(found, list) else [found]:
            answered = self._waiting.get(frame.request_id)
            if answered is not None and not answered.done() and frame.tag in ("Exit", "Defect"):
                answered.set_result(frame.exit)


async def open_socket(url: str, label: str, *, tls: Callable[[], ssl.SSLContext]) -> RpcSocket:
    """Open the socket. Raises Unavailable."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    parts = urlsplit(url)
    is_secure = parts.scheme == "wss"
    host, port = dial_address(parts.hostname or "", parts.port or (443 if is_secure else 80))
    try:
        connection = await connect(
            url,
            host=host,
            port=port,
            ssl=tls() if is_secure else None,
            server_hostname=parts.hostname if is_secure else None,
            proxy=None if is_localhost(parts.hostname or "") else True,
            compression=None,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=2,
            max_size=MAX_FRAME_BYTES,
        )
    except (OSError, TimeoutError, EOFError, WebSocketException) as error:
        # The URL holds the ticket: it stays out of every message.
        raise Unavailable(
            f"{label} could not establish a WebSocket connection ({type(error).__name__}).",
            reason="transport",
        ) from error
    return RpcSocket(connection, label)


def _closed_errors() -> tuple[type[Exception], ...]:
    from websockets.exceptions import ConnectionClosed

    return (ConnectionClosed,)
