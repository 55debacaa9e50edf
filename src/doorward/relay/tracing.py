"""The trace of one request (https://www.w3.org/TR/trace-context/), and its spans where spans are recorded.

http.server POST                          the request: path, route, status, headers without what opens doors
└ relay.api.connect.connect               its route; a failure carries the error's tag and fields
  ├ relay.auth.dpop_client                who asks
  ├ relay.dpop_proofs.verify_and_consume
  └ relay.environment_connector.connect
    └ http.client POST                    the call to the environment, whose own span is below it
"""

import contextlib
import random
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import msgspec
from starlette.types import Scope

from doorward.spans import (
    SpanContext,
    current_span,
    is_recording,
    parse_traceparent,
    set_request_headers,
    span,
)
from doorward.t3_connect.errors import ErrorBody

_B3 = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})(?:-.*)?")
_NOT_FIELDS = frozenset(("_tag", "traceId"))


class Trace(msgspec.Struct, frozen=True):
    """`trace_id` is what errors quote; `span_id` is this server's span."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        return SpanContext(self.trace_id, self.span_id).traceparent

    def child(self) -> "Trace":
        """The context of a call we make while we serve this one."""
        return Trace(self.trace_id, _new_id(64))


def start_trace(traceparent: str | None, b3: str | None) -> Trace:
    """Continue the caller's trace, or begin one. Anything malformed begins a new one."""
    parent = _parent(traceparent, b3)
    return Trace(parent.trace_id if parent else _new_id(128), _new_id(64))


def _new_id(bits: int) -> str:
    """Not all zero. It sets two requests apart and keeps no secret."""
    return f"{random.getrandbits(bits) or 1:0{bits // 4}x}"


def traced_request(scope: Scope, traceparent: str | None, b3: str | None) -> AbstractContextManager[Trace]:
    """The request's trace; where spans are recorded it is that of a server span around the block."""
    if not is_recording():
        return nullcontext(start_trace(traceparent, b3))
    return _recorded_request(scope, traceparent, b3)


@contextlib.contextmanager
def _recorded_request(scope: Scope, traceparent: str | None, b3: str | None) -> Iterator[Trace]:
    name = f"http.server {scope['method']}"
    with span(name, kind="server", parent=_parent(traceparent, b3)) as opened:
        assert opened is not None
        opened.set("http.request.method", scope["method"])
        opened.set("url.path", scope["path"])
        set_request_headers(opened, scope["headers"])
        yield Trace(*opened.context)


def record_answer(route: str, status: int) -> None:
    """What the request came to; called in its server span. An unknown path has no route."""
    opened = current_span()
    if opened is not None:
        opened.set("http.route", route)
        opened.set("http.response.status_code", status)


def fail_span(answer: ErrorBody) -> None:
    """The current span failed with an answer of the protocol: its tag and its fields, none of which is a secret."""
    opened = current_span()
    if opened is not None:
        fields = msgspec.to_builtins(answer)
        opened.fail(
            fields["_tag"], {name: str(value) for name, value in fields.items() if name not in _NOT_FIELDS}
        )


def _parent(traceparent: str | None, b3: str | None) -> SpanContext | None:
    parent = parse_traceparent(traceparent)
    match = _B3.fullmatch(b3.strip()) if b3 and parent is None else None
    if match and set(match[1]) != {"0"} and set(match[2]) != {"0"}:
        return SpanContext(match[1], match[2])
    return parent
