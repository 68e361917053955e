"""Spans by OpenTelemetry, an extra: imported only when traces are wanted. `relay/traces.py` says of what."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from relay import __version__

CLOSING_S = 3.0
_HEADER = "traceparent"
_W3C = TraceContextTextMapPropagator()


class Spans:
    """Makes spans and sends them in batches from a thread of its own; with the collector away, only spans are lost."""

    def __init__(self) -> None:
        name = os.environ.get("OTEL_SERVICE_NAME", "taskstatus-relay")
        resource = Resource.create({"service.name": name, "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("relay", __version__)

    @contextmanager
    def span(self, name: str, parent: str | None, *, inward: bool) -> "Iterator[_Open]":
        """Open a span that answers a request (`inward`) or makes one. Of an error it keeps the type alone."""
        span = self._tracer.start_span(
            name, _context(parent), SpanKind.SERVER if inward else SpanKind.CLIENT, record_exception=False
        )
        try:
            yield _Open(span)
        except BaseException as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            span.end()

    def close(self) -> None:
        """Send what is not sent yet, as far as 3 s allow: OpenTelemetry would wait 30 s for a collector that hangs."""
        closing = Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSING_S)


class _Open:
    def __init__(self, span: Span) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(span, Context()))
        self.traceparent = carrier.get(_HEADER)

    def note(self, **attributes: str | float | None) -> None:
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(f"relay.{name}", value)

    def follows(self, traceparent: str | None) -> None:
        followed = get_current_span(_context(traceparent)).get_span_context()
        if followed.is_valid and followed.trace_id != self._span.get_span_context().trace_id:
            self._span.add_link(followed)


def _context(traceparent: str | None) -> Context:
    return _W3C.extract({} if traceparent is None else {_HEADER: traceparent}, Context())
