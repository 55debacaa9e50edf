"""HTTP/1.1 connections, kept alive between exchanges: what nearly every request of ours goes over.

A relay asks a machine at every connect, and httpcore's layers took longer for that than everything else the connect
needs. What these connections do not speak stays httpcore's: HTTP/2, and proxies.
"""

import asyncio
import ssl
from collections.abc import Mapping
from select import POLLIN, poll
from typing import cast

import httptools

from doorward.outbound.addresses import Target, addresses_to_dial
from doorward.outbound.carriers import Answer, BrokenAnswer, require_writable

# All of an answer that is not body: heads, interim ones too, trailers, and the framing of chunks.
_OVERHEAD_BYTES = 100_000
_OVERHEAD_PER_BODY_BYTE = 8


def request_block(method: str, target: str, fields: Mapping[str, str]) -> bytes:
    """A request's head; names in lower case. Raises ValueError for what would not arrive as one head of these fields."""
    require_writable(method, fields)
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in fields.items()]]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


class Connection(asyncio.Protocol):
    """One exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._poll = poll()
        self._done: asyncio.Future[None] | None = None
        self._is_kept = False
        self.idle_since = 0.0

    async def exchange(self, block: bytes, answer: Answer, *, is_head: bool) -> None:
        """Write the request, and feed `answer` until it is complete; `abort` is due after an error or cancellation.

        Raises BrokenAnswer, OSError, what `answer` raises.
        """
        if self._transport is None:
            raise BrokenAnswer("the connection was closed")
        self._answer, self._is_head = answer, is_head
        self._parser = httptools.HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._has_head = self._is_kept = False
        self._received = self._fed = 0
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(block)
        try:
            await self._done
        finally:
            self._done = None

    @property
    def is_usable(self) -> bool:
        """Whether the next request may go over it: what is to be read between two answers is that the peer left."""
        return self._is_kept and self._transport is not None and not self._poll.poll(0)

    def abort(self) -> None:
        self._is_kept = False
        if self._transport is not None:
            self._transport.abort()

    # The loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket"), POLLIN)

    def data_received(self, data: bytes) -> None:
        done = self._done
        if done is None or done.done():
            # Unasked: whoever speaks then cannot be trusted to answer the next request.
            self.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
            overhead = self._received - self._fed
            if not done.done() and overhead > _OVERHEAD_BYTES + _OVERHEAD_PER_BODY_BYTE * self._fed:
                raise BrokenAnswer("the answer is hardly anything but headers")
        except httptools.HttpParserCallbackError as error:
            self._end(error.__context__ or error)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(BrokenAnswer(str(error) or "not an HTTP/1.1 answer"))
        except Exception as error:
            self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._done is None:
            return
        is_whole = exc is None and self._has_head and self._ends_with_connection()
        self._end(None if is_whole else exc or BrokenAnswer("the peer left before its answer was complete"))

    # The parser's side.

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # else a trailer, which nobody asked for
            self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == 101:
            raise BrokenAnswer("another protocol than was asked for")
        if status < 200:
            return
        self._has_head = True
        self._answer.begin(status, self._fields)
        if self._is_head:
            self._end(None)

    def on_body(self, piece: bytes) -> None:
        self._fed += len(piece)
        if self._done is not None and not self._done.done():
            self._answer.feed(piece)

    def on_message_begin(self) -> None:
        if self._done is None or self._done.done():
            raise BrokenAnswer("a second answer to one request")

    def on_message_complete(self) -> None:
        if not self._has_head:
            self._fields = []  # of an interim answer
        elif not self._is_head:
            self._is_kept = self._parser.should_keep_alive()
            self._end(None)

    def _ends_with_connection(self) -> bool:
        names = {name for name, _ in self._fields}
        return not names & {b"content-length", b"transfer-encoding"}

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            self._is_kept = False
        if self._done is None or self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)


class Connections:
    """`Carrier` over the connections of one road: at most `limit` at a time, each kept for `keep_seconds` afterwards.

    `private_hosts`: None where any host may be dialled; else the public ones and these alone.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None,
        *,
        private_hosts: frozenset[str] | None,
        limit: int,
        keep_seconds: float,
    ) -> None:
        self._context = context
        self._private_hosts = private_hosts
        self._keep_seconds = keep_seconds
        self._free = asyncio.Semaphore(limit)
        self._idle: dict[tuple[str, int], list[Connection]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    async def exchange(
        self, target: Target, method: str, fields: Mapping[str, str], body: bytes | None, answer: Answer
    ) -> None:
        block = request_block(method, target.target, fields) + (body or b"")
        async with self._free:
            connection = self._take_idle(target) or await self._dial(target)
            try:
                await connection.exchange(block, answer, is_head=method == "HEAD")
            except BaseException:
                connection.abort()
                raise
            self._keep(target, connection)

    def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle = {}

    def _take_idle(self, target: Target) -> Connection | None:
        idle = self._idle.get((target.host, target.port))
        oldest = asyncio.get_running_loop().time() - self._keep_seconds
        while idle:
            connection = idle.pop()
            if connection.idle_since > oldest and connection.is_usable:
                return connection
            connection.abort()
        return None

    async def _dial(self, target: Target) -> Connection:
        loop = asyncio.get_running_loop()
        failure: OSError | None = None
        for address in await addresses_to_dial(target.host, target.port, private_hosts=self._private_hosts):
            try:
                _, connection = await loop.create_connection(
                    Connection,
                    address,
                    target.port,
                    ssl=self._context,
                    server_hostname=target.host if self._context is not None else None,
                )
                return connection
            except ssl.SSLError:
                raise  # that is the host, and not what we trust
            except OSError as error:
                failure = failure or error
        raise failure or OSError("the name leads nowhere")

    def _keep(self, target: Target, connection: Connection) -> None:
        if not connection.is_usable:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault((target.host, target.port), []).append(connection)
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._keep_seconds, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long; one timer for all of them."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._keep_seconds
        for place, connections in list(self._idle.items()):
            for connection in [each for each in connections if each.idle_since <= oldest]:
                connections.remove(connection)
                connection.abort()
            if not connections:
                del self._idle[place]
        self._sweeping = loop.call_later(self._keep_seconds, self._sweep) if self._idle else None
