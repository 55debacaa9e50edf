"""Spans to an OpenTelemetry collector: the extra `doorward[otel]`, turned on by OpenTelemetry's own variables.

`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` names the collector (OTLP over HTTP), and
`OTEL_EXPORTER_OTLP_HEADERS` what it wants to be shown. A client of T3's may set `T3CODE_RELAY_CLIENT_OTLP_TRACES_URL`,
`…_DATASET` and `…_TOKEN` instead, all three.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from doorward import __version__, spans
from doorward.server.configuration import ConfigurationInvalid
from doorward.spans import Kind, SpanContext

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_T3 = "T3CODE_RELAY_CLIENT_OTLP_TRACES_"
#: Spans wait this long (milliseconds) for others to be sent with, as the original's do.
_INTERVAL_MS = 1_000


@contextlib.contextmanager
def tracing(service: str, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Send the process's spans, while the block runs, where the variables say; nowhere if they say nothing.

    Raises ConfigurationInvalid when they do and the extra is not installed.
    """
    settings = _exporter_settings(environ)
    if settings is None:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationInvalid(
            "Traces are asked for (OTEL_EXPORTER_OTLP_…), and OpenTelemetry is not installed: pip install 'doorward[otel]'."
        ) from error
    processor = BatchSpanProcessor(OTLPSpanExporter(**settings), schedule_delay_millis=_INTERVAL_MS)
    with collecting(processor, service):
        yield


@contextlib.contextmanager
def collecting(processor: SpanProcessor, service: str) -> Iterator[None]:
    """Give the process's spans to an OpenTelemetry span processor, while the block runs."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(
        resource=Resource.create({"service.name": f"doorward-{service}", "service.version": __version__}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    spans.collect_with(_Collector(provider))
    try:
        yield
    finally:
        spans.collect_with(None)
        provider.shutdown()


def _exporter_settings(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """What the exporter is told beyond the variables it reads itself; None: no traces."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if any(environ.get(name) for name in _ENDPOINTS):
        return {}
    url, dataset, token = (environ.get(f"{_T3}{name}", "").strip() for name in ("URL", "DATASET", "TOKEN"))
    if not (url and dataset and token):
        return None
    return {"endpoint": url, "headers": {"authorization": f"Bearer {token}", "x-axiom-dataset": dataset}}


class _Collector:
    """`doorward.spans` in OpenTelemetry's words."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace import SpanKind

        self._tracer = provider.get_tracer("doorward", __version__)
        self._kinds = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}

    def start(
        self, name: str, *, kind: Kind, parent: SpanContext | None, began_at: int | None = None
    ) -> _Span:
        from opentelemetry.context import Context

        # A context of its own: what a library left in OpenTelemetry's current one must not become our parent.
        context = Context() if parent is None else _remote(parent)
        return _Span(
            self._tracer.start_span(name, context=context, kind=self._kinds[kind], start_time=began_at)
        )


def _remote(parent: SpanContext) -> Context:
    from opentelemetry import trace
    from opentelemetry.context import Context

    context = trace.SpanContext(
        int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=trace.TraceFlags(1)
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())


class _Span:
    def __init__(self, inner: Span) -> None:
        self._inner = inner

    @property
    def context(self) -> SpanContext:
        found = self._inner.get_span_context()
        return SpanContext(f"{found.trace_id:032x}", f"{found.span_id:016x}")

    def set(self, name: str, value: str | int | Sequence[str]) -> None:
        self._inner.set_attribute(name, value)

    def fail(self, type_: str, fields: Mapping[str, str]) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._inner.set_status(Status(StatusCode.ERROR, type_))
        self._inner.set_attribute("error.type", type_)
        for name, value in fields.items():
            self._inner.set_attribute(f"error.{name}", value)

    def end(self) -> None:
        self._inner.end()
