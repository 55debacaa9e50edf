"""Which route a request means."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from doorward.relay.audit.store import Origin
from doorward.relay.tracing import Trace
from doorward.t3_connect.errors import AuthInvalid, ErrorBody, RelayInternal

PrincipalT = TypeVar("PrincipalT")
BodyT = TypeVar("BodyT")


class Headers:
    """Request headers by lower-case name; a repeated one is joined by commas, as HTTP allows a proxy to do.

    So a second `dpop` or `authorization` header makes the value malformed, instead of one of the two winning.
    """

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, str] = {}
        for raw_name, raw_value in raw:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            self._values[name] = f"{self._values[name]}, {value}" if name in self._values else value

    def get(self, name: str) -> str | None:
        return self._values.get(name)


class Arrival(msgspec.Struct, frozen=True):
    """A matched request whose body was not read yet: what a guard may look at.

    `url` is the public URL without query, for DPoP's `htu`: the relay's own origin plus the path as sent, never
    built from `Host` or forwarding headers, which the caller controls.
    """

    method: str
    url: str
    headers: Headers
    params: Mapping[str, str]
    trace: Trace
    source: str
    query: str = ""

    @property
    def origin(self) -> Origin:
        return Origin(self.source, self.trace.trace_id)


class Call(msgspec.Struct, Generic[PrincipalT, BodyT], frozen=True):
    """An authenticated request with its decoded body, as a handler gets it."""

    arrival: Arrival
    principal: PrincipalT
    body: BodyT

    def param(self, name: str) -> str:
        return self.arrival.params[name]


Guard = Callable[[Arrival], Awaitable[PrincipalT]]
Handler = Callable[[Call[PrincipalT, BodyT]], Awaitable[Any]]


async def anyone(_arrival: Arrival) -> None:
    """The guard of routes without authentication."""


class Body(msgspec.Struct, Generic[BodyT], frozen=True):
    """How a route's body is read. `decode` raises `SchemaMismatch` for anything outside the schema."""

    media_type: str
    schema: type[Any]
    decode: Callable[[bytes], BodyT]


@dataclass(frozen=True)
class Route(Generic[PrincipalT, BodyT]):
    """One line of the API.

    `is_dpop` marks routes whose every 401 carries `www-authenticate: DPoP`; `no_store` marks answers that hold
    secrets, from the moment the handler starts. For the API's description: `response` lists the structs a success may
    be, `status` is the one it has, and `refusals` are the handler's own errors; the guard's and the database's are added.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Handler[PrincipalT, BodyT]
    guard: Guard[PrincipalT]
    summary: str
    body: Body[BodyT] | None = None
    response: tuple[type[Any], ...] = ()
    status: int = 200
    refusals: tuple[type[ErrorBody], ...] = ()
    required_headers: tuple[str, ...] = ()
    is_dpop: bool = False
    no_store: bool = False
    segments: tuple[bytes, ...] = field(init=False)
    span: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", _span_name(self.handler))
        object.__setattr__(self, "segments", tuple(self.path.strip("/").encode().split(b"/")))

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(segment[1:-1].decode() for segment in self.segments if segment.startswith(b"{"))

    @property
    def errors(self) -> tuple[type[ErrorBody], ...]:
        """Every tagged error it answers with, each once."""
        guard = () if self.guard is anyone else (AuthInvalid,)
        return tuple(dict.fromkeys((*guard, *self.refusals, RelayInternal)))


def _span_name(handler: Callable[..., Any]) -> str:
    """`relay.api.<group>.<operation>`: the class of the handler's API, and its name."""
    group = type(getattr(handler, "__self__", None)).__name__.removesuffix("Api").lower()
    return f"relay.api.{group}.{getattr(handler, '__name__', 'handler')}"


class Match(msgspec.Struct, frozen=True):
    route: Route[Any, Any]
    params: dict[str, str]


class Router:
    """A table of routes, looked up by method and raw path."""

    def __init__(self, routes: Iterable[Route[Any, Any]], *, max_parameter: int) -> None:
        self.routes = tuple(routes)
        self._max_parameter = max_parameter
        self._by_shape: dict[tuple[str, int], list[Route[Any, Any]]] = {}
        for route in self.routes:
            self._by_shape.setdefault((route.method, len(route.segments)), []).append(route)

    def match(self, method: str, raw_path: bytes) -> Match | None:
        """The route, or `None`: an unknown path and an unsupported method look the same from outside.

        The path is split before it is decoded, so an encoded slash stays inside its parameter.
        """
        path = raw_path[1:] if raw_path.startswith(b"/") else raw_path
        segments = path.removesuffix(b"/").split(b"/")
        for route in self._by_shape.get((method, len(segments)), ()):
            params = self._params(route, segments)
            if params is not None:
                return Match(route, params)
        return None

    def _params(self, route: Route[Any, Any], segments: list[bytes]) -> dict[str, str] | None:
        params: dict[str, str] = {}
        for expected, sent in zip(route.segments, segments, strict=True):
            if not expected.startswith(b"{"):
                if sent != expected:
                    return None
                continue
            try:
                value = unquote_to_bytes(sent).decode("utf-8")
            except UnicodeDecodeError:
                return None
            if not value or len(value) > self._max_parameter or "\x00" in value:
                return None
            params[expected[1:-1].decode()] = value
        return params
