"""The client: one pool of connections per kind of road (plain to this machine, TLS, TLS through a proxy; HTTP/2; to a
stranger's URL).

The parser, httpcore and the trust store are loaded by the first request that needs them, so that importing this room, and
starting a process that dials nobody, costs nothing.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlencode, urljoin

import msgspec

from doorward.outbound.addresses import Target, parse_target, require_public_name
from doorward.outbound.carriers import BrokenAnswer, Carrier
from doorward.outbound.errors import CertificateRefused, TimedOut, TooLarge, UnexpectedBody, Unreachable
from doorward.outbound.proxies import Proxy, proxy_from_environment
from doorward.outbound.trust import tls_context
from doorward.spans import span

if TYPE_CHECKING:
    import httpcore

    from doorward.outbound.connections import Connections

T = TypeVar("T")

DEFAULT_TIMEOUT = 10.0
DEFAULT_MAX_BYTES = 1_000_000
MAX_CONNECTIONS = 100
MAX_REDIRECTS = 5
# Shorter than the 5 s after which uvicorn and most proxies close an idle connection: a request should not meet a
# connection that is being closed under it.
KEEP_ALIVE_SECONDS = 4.0
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Headers(Mapping[str, str]):
    """Header fields by name, in any case; several fields of one name are joined with ", "."""

    def __init__(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self._fields: dict[str, str] = {}
        for raw_name, raw_value in fields:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            self._fields[name] = f"{self._fields[name]}, {value}" if name in self._fields else value

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Response(msgspec.Struct, frozen=True):
    """A complete answer. Any status: whether it is an error is the caller's protocol to say."""

    status: int
    headers: Headers
    body: bytes

    def json(self, expected: type[T]) -> T:
        """The body as `expected`. Raises UnexpectedBody."""
        try:
            return msgspec.json.decode(self.body, type=expected)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnexpectedBody(
                f"The answer (status {self.status}) is not the JSON expected: {error}."
            ) from error

    def __repr__(self) -> str:
        # The body may hold a token.
        return f"Response({self.status}, {len(self.body)} bytes)"


class Road(NamedTuple):
    """What connections may be shared by: `kind` is `http`, `https` or `proxy`."""

    kind: str
    is_http2: bool
    is_public_only: bool


class Outbound:
    """The client. Belongs to the event loop it is first used in; safe to share by its tasks."""

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        private_hosts: Iterable[str] = (),
    ) -> None:
        """`ca_file`: authorities trusted beside the system's. `timeout`: seconds for a whole exchange.
        `private_hosts`: host names inside our own network that a stranger's URL may name all the same."""
        self._ca_file = ca_file
        self._timeout = timeout
        self._private_hosts = frozenset(host.lower() for host in private_hosts)
        self._proxy = proxy_from_environment()
        self._connections: dict[Road, Connections] = {}
        self._pools: dict[Road, httpcore.AsyncConnectionPool] = {}
        self._tls: dict[bool, ssl.SSLContext] = {}

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        http2: bool = False,
        public_only: bool = False,
        nearby: Callable[[str], Carrier | None] | None = None,
    ) -> Response:
        """One exchange, answer read whole. `timeout` in seconds, connecting and reading included.

        `http2` offers HTTP/2 to the server besides HTTP/1.1. `public_only` is for a URL that a stranger gave us: it
        must be https and lead to the public Internet, or to one of `private_hosts` (AddressRefused). `nearby` knows hosts
        that are reached without the network; for all others it answers None.

        Raises InsecureUrl, AddressRefused, Unreachable, CertificateRefused, TimedOut, TooLarge.
        """
        target = parse_target(url)
        with span(f"http.client {method}", kind="client") as opened:
            if opened is not None:
                if not public_only:  # a stranger is no part of our traces
                    headers = {**(headers or {}), "traceparent": opened.context.traceparent}
                # The path is left out: it may hold what opens doors.
                opened.set("http.request.method", method)
                opened.set("server.address", target.host)
            response = await self._request(
                method,
                target,
                headers,
                body,
                timeout,
                max_bytes,
                http2=http2,
                public_only=public_only,
                carrier=None if nearby is None else nearby(target.host),
            )
            if opened is not None:
                opened.set("http.response.status_code", response.status)
            return response

    async def _request(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str] | None,
        body: bytes | None,
        timeout: float | None,
        max_bytes: int,
        *,
        http2: bool,
        public_only: bool,
        carrier: Carrier | None,
    ) -> Response:
        if public_only and target.host not in self._private_hosts:
            require_public_name(target)
        road = Road(self._kind_of(target), http2, public_only)
        seconds = self._timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(
                    method, road, target, headers or {}, body, max_bytes, carrier=carrier
                )
        except TimeoutError:
            raise TimedOut(f"{target.origin} did not answer within {seconds:g} seconds.") from None

    async def download(
        self, url: str, take: Callable[[bytes, int | None], None], *, timeout: float, max_bytes: int
    ) -> int:
        """GET something large, following redirects; the last answer's status.

        `take` gets each piece of the body of a 200, and how long the whole is said to be. Pieces may have been taken
        before an error. Raises what `request` raises.
        """
        for _ in range(MAX_REDIRECTS + 1):
            target = parse_target(url)
            road = Road(self._kind_of(target), False, False)
            try:
                async with asyncio.timeout(timeout):
                    answer = await self._exchange("GET", road, target, {}, None, max_bytes, take)
            except TimeoutError:
                raise TimedOut(f"{target.origin} did not answer within {timeout:g} seconds.") from None
            location = answer.headers.get("location")
            if answer.status not in (301, 302, 303, 307, 308) or location is None:
                return answer.status
            url = urljoin(url, location)
        raise Unreachable(f"{target.origin} sends from one place to the next without end.")

    async def json(
        self,
        url: str,
        value: object,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> Response:
        """Send `value` (a msgspec struct, as a rule) as JSON; raises what `request` raises."""
        sent = {"content-type": "application/json", **(headers or {})}
        body = msgspec.json.encode(value)
        return await self.request(method, url, headers=sent, body=body, timeout=timeout, max_bytes=max_bytes)

    async def form(
        self,
        url: str,
        fields: Mapping[str, str] | Iterable[tuple[str, str]],
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> Response:
        """POST `fields` as application/x-www-form-urlencoded; raises what `request` raises."""
        sent = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
        pairs = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
        body = urlencode(pairs).encode()
        return await self.request("POST", url, headers=sent, body=body, timeout=timeout, max_bytes=max_bytes)

    async def close(self) -> None:
        """Close every connection; the client may not be used afterwards."""
        connections, self._connections = self._connections, {}
        for each in connections.values():
            each.close()
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    async def _exchange(
        self,
        method: str,
        road: Road,
        target: Target,
        headers: Mapping[str, str],
        body: bytes | None,
        max_bytes: int,
        take: Callable[[bytes, int | None], None] | None = None,
        carrier: Carrier | None = None,
    ) -> Response:
        fields = {"host": target.authority, "accept": "*/*", "accept-encoding": "identity"}
        fields.update((name.lower(), value) for name, value in headers.items())
        if body is not None or method in _METHODS_WITH_BODY:
            # Said even when empty: some servers answer 411 to a POST that does not (RFC 9110 §8.6).
            fields["content-length"] = str(len(body or b""))
        answer = _Answer(target, max_bytes, take)
        if carrier is None and (road.is_http2 or road.kind == "proxy"):
            await self._by_httpcore(method, road, target, fields, body, answer)
        else:
            try:
                await (carrier or self._connections_of(road)).exchange(target, method, fields, body, answer)
            except (BrokenAnswer, OSError) as error:
                raise _unreachable(target, error) from error
        return answer.response()

    async def _by_httpcore(
        self,
        method: str,
        road: Road,
        target: Target,
        fields: Mapping[str, str],
        body: bytes | None,
        answer: "_Answer",
    ) -> None:
        import httpcore

        try:
            async with self._pool(road).stream(
                method,
                httpcore.URL(
                    scheme=target.scheme.encode(),
                    host=target.host.encode(),
                    port=target.port,
                    target=target.target.encode(),
                ),
                headers=[(name.encode(), value.encode("latin-1")) for name, value in fields.items()],
                content=body,
            ) as response:
                answer.begin(response.status, response.headers)
                async for chunk in response.aiter_stream():
                    answer.feed(chunk)
        except httpcore.LocalProtocolError as error:
            raise ValueError(f"this request cannot be written as HTTP: {error}") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, OSError) as error:
            raise _unreachable(target, error) from error

    def _kind_of(self, target: Target) -> str:
        is_proxied = target.scheme == "https" and self._proxy is not None and self._proxy.serves(target.host)
        return "proxy" if is_proxied else target.scheme

    def _connections_of(self, road: Road) -> "Connections":
        from doorward.outbound.connections import Connections

        if road not in self._connections:
            self._connections[road] = Connections(
                self._context(road) if road.kind == "https" else None,
                private_hosts=self._private_hosts if road.is_public_only else None,
                limit=MAX_CONNECTIONS,
                keep_seconds=KEEP_ALIVE_SECONDS,
            )
        return self._connections[road]

    def _pool(self, road: Road) -> "httpcore.AsyncConnectionPool":
        if road not in self._pools:
            self._pools[road] = self._new_pool(road)
        return self._pools[road]

    def _new_pool(self, road: Road) -> "httpcore.AsyncConnectionPool":
        import httpcore

        from doorward.outbound.network import Backend

        # A proxy resolves names, and where it lets them lead is its operator's to say.
        is_guarded = road.is_public_only and road.kind != "proxy"
        settings: dict[str, Any] = {
            "network_backend": Backend(self._private_hosts if is_guarded else None),
            "max_connections": MAX_CONNECTIONS,
            "keepalive_expiry": KEEP_ALIVE_SECONDS,
            "http2": road.is_http2,
        }
        if road.kind != "http":
            settings["ssl_context"] = self._context(road)
        if road.kind == "proxy":
            proxy: Proxy | None = self._proxy
            assert proxy is not None
            if proxy.url.startswith("https:"):
                settings["proxy_ssl_context"] = self._context(road)
            return httpcore.AsyncHTTPProxy(proxy.url, proxy_auth=proxy.auth, **settings)
        return httpcore.AsyncConnectionPool(**settings)

    def _context(self, road: Road) -> ssl.SSLContext:
        """One per protocol: what is offered (ALPN, RFC 7301) is written into the context, by httpcore too."""
        if road.is_http2 not in self._tls:
            self._tls[road.is_http2] = context = tls_context(self._ca_file)
            if not road.is_http2:
                context.set_alpn_protocols(["http/1.1"])
        return self._tls[road.is_http2]


class _Answer:
    """What an answer becomes: a body that is kept, or one that `take` gets piece by piece, of a 200.

    The limit is on the body. `feed` raises TooLarge, and what `take` raises.
    """

    def __init__(
        self, target: Target, max_bytes: int, take: Callable[[bytes, int | None], None] | None
    ) -> None:
        self._target = target
        self._max_bytes = max_bytes
        self._take = take
        self._pieces: list[bytes] = []
        self._size = 0

    def begin(self, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self._status, self._headers = status, Headers(fields)
        length = self._headers.get("content-length", "")
        self._total = int(length) if length.isdecimal() else None

    def feed(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max_bytes:
            raise TooLarge(f"{self._target.origin} answered with more than {self._max_bytes} bytes.")
        if self._take is not None and self._status == 200:
            self._take(piece, self._total)
        else:
            self._pieces.append(piece)

    def response(self) -> Response:
        return Response(self._status, self._headers, b"".join(self._pieces))


def _unreachable(target: Target, error: BaseException) -> Unreachable:
    cause: BaseException | None = error
    reason = str(error) or type(error).__name__
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CertificateRefused(
                f"The certificate of {target.origin} is not trusted ({cause.verify_message}). "
                "If it comes from your own authority, name its file in SSL_CERT_FILE."
            )
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.errno is not None:
            # The system's words without its number; a resolver's failure has a negative one and words of its own.
            reason = os.strerror(cause.errno) if cause.errno > 0 else cause.strerror or reason
        cause = cause.__cause__ or cause.__context__
    return Unreachable(f"Cannot reach {target.origin} ({reason}).")
