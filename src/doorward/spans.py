"""Spans: what happened inside what, across processes (https://www.w3.org/TR/trace-context/).

Rooms open spans here; nothing is recorded, and nothing is paid but one comparison, until `collect_with` names a
collector (`server.tracing` has OpenTelemetry's). Names and attributes are words of our own code: never a token, a
proof, a key, or the text of an exception.
"""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Literal, NamedTuple, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Kind = Literal["server", "client", "internal"]

REDACTED = "<redacted>"
#: Request headers whose values open doors. The first two are the protocol's list, the others are ours.
_SECRET_HEADERS = frozenset(
    (
        "authorization",
        "dpop",
        "cookie",
        "set-cookie",
        "doorward-authorization",
        "doorward-dpop",
        "doorward-assertion",
    )
)
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


class SpanContext(NamedTuple):
    """32 and 16 lower-case hexadecimal digits, neither all zero."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


class Span(Protocol):
    @property
    def context(self) -> SpanContext: ...

    def set(self, name: str, value: str | int | Sequence[str]) -> None: ...

    def fail(self, type_: str, fields: Mapping[str, str]) -> None:
        """It failed: `error.type` and one `error.<name>` a field."""
        ...

    def end(self) -> None: ...


class Collector(Protocol):
    def start(
        self, name: str, *, kind: Kind, parent: SpanContext | None, began_at: int | None = None
    ) -> Span:
        """A span from now, or from `began_at` (nanoseconds since the epoch), until its `end`."""
        ...


_collector: Collector | None = None
_NO_SPAN: AbstractContextManager[None] = contextlib.nullcontext()
_current: ContextVar[Span | None] = ContextVar("span", default=None)


def collect_with(collector: Collector | None) -> None:
    """Record spans with `collector` from now on, or no more."""
    global _collector
    _collector = collector


def is_recording() -> bool:
    return _collector is not None


def current_span() -> Span | None:
    return _current.get()


def span(
    name: str, *, kind: Kind = "internal", parent: SpanContext | None = None
) -> AbstractContextManager[Span | None]:
    """A span around the block, inside the current one or else below `parent`; None where nothing is recorded.

    What the block raises marks it as failed by the exception's name alone: its text may quote anything.
    """
    return _NO_SPAN if _collector is None else _span(_collector, name, kind, parent)


@contextlib.contextmanager
def _span(collector: Collector, name: str, kind: Kind, parent: SpanContext | None) -> Iterator[Span]:
    # A request arrives from outside, whatever this task did before.
    outer = None if kind == "server" else _current.get()
    opened = collector.start(name, kind=kind, parent=outer.context if outer is not None else parent)
    token = _current.set(opened)
    try:
        yield opened
    except Exception as error:
        opened.fail(type(error).__name__, {})
        raise
    finally:
        _current.reset(token)
        opened.end()


def record(name: str, *, kind: Kind, parent: SpanContext | None, began_at: int) -> Span | None:
    """A span that is told of after it happened, from `began_at` on; the caller ends it."""
    if _collector is None:
        return None
    return _collector.start(name, kind=kind, parent=parent, began_at=began_at)


def traced(name: str) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """A coroutine function whose every call is a span."""

    def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        async def recorded(*args: P.args, **kwargs: P.kwargs) -> T:
            with span(name):
                return await function(*args, **kwargs)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
            # A coroutine around it would take part in every wait of the one inside.
            return function(*args, **kwargs) if _collector is None else recorded(*args, **kwargs)

        return call

    return decorate


def parse_traceparent(header: str | None) -> SpanContext | None:
    """The caller's span, or None for anything malformed."""
    match = _TRACEPARENT.fullmatch(header.strip()) if header else None
    if match is None or set(match[1]) == {"0"} or set(match[2]) == {"0"}:
        return None
    return SpanContext(match[1], match[2])


def set_request_headers(opened: Span, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Record a request's headers, without the values of those that open doors."""
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        value = REDACTED if name in _SECRET_HEADERS else raw_value.decode("latin-1")
        opened.set(f"http.request.header.{name}", value)


def now() -> int:
    """For `record`: nanoseconds since the epoch."""
    return time.time_ns()
