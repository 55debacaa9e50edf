"""The two ends of an exchange, and what a router may decide.

An exchange has an asking end (a client's connection, or the machine's end of a tunnel stream) and an
answering end (a connection to an origin, or the edge's end of a tunnel stream). Each end calls the other
directly for every piece of body: no task, no queue, no copy stands between them.

Back-pressure: whoever cannot take more calls `pause_…` on the other end and `resume_…` later; the other end
may still deliver the piece in its hands.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import msgspec

from doorward.http1.heads import Headers, RequestHead, ResponseHead

Data: TypeAlias = bytes | bytearray | memoryview


class Peer(msgspec.Struct, frozen=True, gc=False):
    """Who asks: the address of the client and how it reached us (`http` or `https`)."""

    ip: str
    is_tls: bool = False

    @property
    def scheme(self) -> str:
        return "https" if self.is_tls else "http"


class Failure(msgspec.Struct, frozen=True):
    """Why an exchange could not be completed; `status` is what a client sees when no head was sent yet."""

    status: int
    code: str
    message: str
    may_retry: bool = False
    """The origin has not seen the request, so that sending it again cannot do it twice."""
    may_replay: bool = False
    """Nothing of an answer has come, and asking twice does no more than asking once: the router may be asked anew."""


class Inbound(Protocol):
    """The asking end, as its answering end sees it."""

    def on_interim(self, head: ResponseHead) -> None: ...
    def on_response(self, head: ResponseHead) -> None: ...
    def on_data(self, data: Data) -> None: ...
    def on_end(self, trailers: Headers) -> None: ...
    def on_whole(self, head: ResponseHead, data: Data) -> None:
        """`on_response`, `on_data` and `on_end` at once, for an answer that came in one piece: most are small."""

    def on_failure(self, failure: Failure) -> None: ...
    def pause_sending(self) -> None: ...
    def resume_sending(self) -> None: ...


class Outbound(Protocol):
    """The answering end, as its asking end sees it. After `abort` it calls nothing any more."""

    def send_data(self, data: Data) -> None: ...
    def send_end(self, trailers: Headers) -> None: ...
    def abort(self) -> None: ...
    def pause_receiving(self) -> None: ...
    def resume_receiving(self) -> None: ...


class TcpUpstream(msgspec.Struct, frozen=True):
    """An origin at a TCP address, in plain HTTP/1.1, or over `tls` with the certificate of `server_name`.

    `proxy` is the http URL of a proxy that leads there by CONNECT.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    proxy: str | None = None

    def __repr__(self) -> str:
        # A proxy's URL may hold a password.
        return f"TcpUpstream({self})"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class UnixUpstream(msgspec.Struct, frozen=True):
    """An origin at a unix socket."""

    path: str

    def __str__(self) -> str:
        return self.path


class Opener(Protocol):
    """An upstream that makes its own answering ends, such as a tunnel."""

    def open(self, head: RequestHead, peer: Peer, inbound: Inbound) -> Outbound: ...


Upstream: TypeAlias = TcpUpstream | UnixUpstream | Opener


class Forward(msgspec.Struct):
    """Carry the request to `upstream` with `head`. `tag` names the exchange for `close_tag`.

    `rewrite_response` answers another head where it has something to change: the one it gets is shared.
    """

    upstream: Upstream
    head: RequestHead
    tag: str = ""
    rewrite_response: Callable[[ResponseHead], ResponseHead] | None = None
    rewrite_failure: Callable[[Failure], Failure] | None = None
    """Other words for a failure that comes before the answer's head."""
    peer: Peer | None = None
    """Who really asks, where the connection's own peer is only a front."""


class Answer(msgspec.Struct):
    """Answer here. `content-length` is added; a request body is read and dropped."""

    status: int
    headers: Headers = []
    body: bytes = b""


class Takeover(msgspec.Struct):
    """Answer 101 with `headers`, then hand the connection to `protocol`, whose `connection_made` is called at once.

    Only a listener's own connection can be taken over; through a tunnel it is a 502.
    """

    upgrade: bytes
    protocol: Callable[[], asyncio.Protocol | asyncio.BufferedProtocol]
    headers: Headers = []


Decision: TypeAlias = Forward | Answer | Takeover
Router: TypeAlias = Callable[[RequestHead, Peer], "Decision | Awaitable[Decision]"]
