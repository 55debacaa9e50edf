"""An ASGI application of this process as an answering end: a request for it crosses no socket and is parsed once.

What a listener in front of it would do is done here: bodies with back-pressure in both directions, `Date`, a length where
the application gives none, 100 Continue, `http.disconnect`. An upgrade is no request of that kind: WebSockets go to a
listener (ASGI 3, https://asgi.readthedocs.io/en/latest/specs/www.html).
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import unquote

from doorward.http1 import errors
from doorward.http1.exchange import Data, Inbound, Outbound, Peer
from doorward.http1.heads import LENGTH_UNKNOWN, NO_BODY_STATUSES, Headers, RequestHead, ResponseHead

log = logging.getLogger(__name__)

Message: TypeAlias = MutableMapping[str, Any]
AsgiApp: TypeAlias = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_UNREAD_BYTES = 64 * 1024
# What frames a message on one hop; the next one frames it anew.
_FRAMING = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CONTINUE = ResponseHead(100, b"Continue", [])


class AsgiUpstream:
    """`Opener` of exchanges with `app`. As behind a proxy, `client` is unknown: headers say who asks."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, head: RequestHead, peer: Peer, inbound: Inbound) -> Outbound:
        exchange = _Exchange(head, inbound)
        task = asyncio.get_running_loop().create_task(exchange.run(self._app))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return exchange

    async def close(self) -> None:
        """End what is still being answered."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Exchange:
    """One request. As with a listener, the application goes on when the visitor has left: it is told so by `receive`."""

    __slots__ = (
        "_body",
        "_changed",
        "_has_ended",
        "_head",
        "_headers",
        "_inbound",
        "_is_body_complete",
        "_is_body_read",
        "_is_receiving_paused",
        "_is_sending_paused",
        "_left",
        "_status",
        "_unread",
        "_waits_to_be_asked",
    )

    def __init__(self, head: RequestHead, inbound: Inbound) -> None:
        self._head = head
        self._inbound: Inbound | None = inbound
        self._body: list[bytes] = []
        self._unread = 0
        self._is_body_complete = head.length == 0
        self._is_body_read = False
        self._waits_to_be_asked = head.length != 0 and head.get(b"expect") == b"100-continue"
        self._is_sending_paused = self._is_receiving_paused = False
        self._changed: asyncio.Event | None = None
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] | None = None
        self._left = 0
        self._has_ended = False

    async def run(self, app: AsgiApp) -> None:
        try:
            await app(self._scope(), self._receive, self._send)
        except Exception:
            log.exception("an application failed")
        inbound, self._inbound = self._inbound, None
        if inbound is not None and not self._has_ended:
            inbound.on_failure(errors.ROUTER_FAILED)

    # The asking end's side.

    def send_data(self, data: Data) -> None:
        self._body.append(bytes(data))
        self._unread += len(data)
        if self._unread > _UNREAD_BYTES and not self._is_sending_paused and self._inbound is not None:
            self._is_sending_paused = True
            self._inbound.pause_sending()
        self._wake()

    def send_end(self, trailers: Headers) -> None:
        self._is_body_complete = True
        self._wake()

    def abort(self) -> None:
        self._inbound = None
        self._wake()

    def pause_receiving(self) -> None:
        self._is_receiving_paused = True

    def resume_receiving(self) -> None:
        self._is_receiving_paused = False
        self._wake()

    # The application's side.

    def _scope(self) -> Message:
        head = self._head
        path, _, query = head.target.partition(b"?")
        text = path.decode("latin-1")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": head.method.decode("ascii"),
            "scheme": "http",
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(head.headers),
            "client": None,
            "server": None,
        }

    async def _receive(self) -> Message:
        if self._waits_to_be_asked and not self._body and self._inbound is not None:
            self._inbound.on_interim(_CONTINUE)
        self._waits_to_be_asked = False
        while self._inbound is not None and not self._has_ended:
            if self._body or (self._is_body_complete and not self._is_body_read):
                return self._next_piece(self._inbound)
            await self._change()
        return {"type": "http.disconnect"}

    def _next_piece(self, inbound: Inbound) -> Message:
        body = b"".join(self._body)
        self._body, self._unread = [], 0
        self._is_body_read = self._is_body_complete
        if self._is_sending_paused:
            self._is_sending_paused = False
            inbound.resume_sending()
        return {"type": "http.request", "body": body, "more_body": not self._is_body_complete}

    async def _send(self, message: Message) -> None:
        if self._inbound is None:
            return
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message.get("headers", ()))
            return
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        if self._headers is not None:
            head = self._response_head(self._headers, body, is_last)
            self._headers = None
            if is_last and head.length == len(body) > 0:
                self._end()
                self._inbound.on_whole(head, body)
                return
            self._left = head.length
            self._inbound.on_response(head)
        if self._left == 0:
            body = b""  # to HEAD, or with a status that has none
        elif self._left != LENGTH_UNKNOWN:
            self._left -= len(body)
            if self._left < 0 or (is_last and self._left > 0):
                raise RuntimeError("the answer has another length than its Content-Length")
        if body:
            self._inbound.on_data(body)
        if is_last:
            self._end()
            if self._inbound is not None:
                self._inbound.on_end([])
        while self._is_receiving_paused and self._inbound is not None and not self._has_ended:
            await self._change()

    def _response_head(self, sent: list[tuple[bytes, bytes]], body: bytes, is_last: bool) -> ResponseHead:
        headers = [(name.lower(), value) for name, value in sent if name.lower() not in _FRAMING]
        if _CONTROL.search(b"".join([value for _, value in headers])) is not None:
            raise RuntimeError("a header of the answer has control characters")
        names = dict(headers)
        if b"date" not in names:
            headers.append((b"date", _date(int(time.time()))))
        if self._status in NO_BODY_STATUSES or self._head.method == b"HEAD":
            length = 0
        elif b"content-length" in names:
            length = int(names[b"content-length"])
        elif is_last:
            length = len(body)
            headers.append((b"content-length", b"%d" % length))
        else:
            length = LENGTH_UNKNOWN
        return ResponseHead(self._status, b"", headers, b"", length)

    def _end(self) -> None:
        """The answer is whole: who still waits to read or send has no more to wait for."""
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    async def _change(self) -> None:
        """Until the other end did something."""
        if self._changed is None:
            self._changed = asyncio.Event()
        self._changed.clear()
        await self._changed.wait()


@lru_cache(maxsize=1)
def _date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()
