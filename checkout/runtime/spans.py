"""Spans for OpenTelemetry, where the extra `tracing` is installed and an exporter is configured.

Without the extra nothing here does anything. `trace` keeps the ids, and is what others call.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

try:
    from opentelemetry import trace as otel
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    HAS_OPENTELEMETRY = False
else:
    HAS_OPENTELEMETRY = True

# OpenTelemetry Protocol Exporter, "Configuration Options".
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def start() -> None:
    """Have spans sent to the collector that the environment names, if it names one."""
    if not HAS_OPENTELEMETRY or not any(os.environ.get(name) for name in ENDPOINTS):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    otel.set_tracer_provider(provider)


def stop() -> None:
    """Send what is still kept; for a process that ends without Python's own ending."""
    if HAS_OPENTELEMETRY and hasattr(provider := otel.get_tracer_provider(), "shutdown"):
        provider.shutdown()


@contextmanager
def span(name: str, parent: str, fields: Mapping[str, str | int]) -> Iterator[str]:
    """Yields the traceparent of the new span; empty where nobody collects spans."""
    if not HAS_OPENTELEMETRY:
        yield ""
        return
    # The span belongs to its parent or to none, never to one that is under way in this thread.
    context = TraceContextTextMapPropagator().extract({"traceparent": parent}, Context())
    # Without the exception itself, whose words may quote a customer.
    with _tracer().start_as_current_span(
        name,
        context,
        attributes=fields,
        record_exception=False,
        set_status_on_exception=False,
    ) as begun:
        try:
            yield _traceparent_of(begun)
        except Exception as error:
            begun.set_status(otel.StatusCode.ERROR, type(error).__name__)
            raise


def set_attributes(**fields: str | int) -> None:
    """Add to the span under way what was not known when it began."""
    if HAS_OPENTELEMETRY:
        otel.get_current_span().set_attributes(fields)


def _tracer() -> "otel.Tracer":
    return otel.get_tracer("once")


def _traceparent_of(begun: "otel.Span") -> str:
    context = begun.get_span_context()
    if not context.is_valid:
        return ""
    trace_id, span_id = otel.format_trace_id(context.trace_id), otel.format_span_id(context.span_id)
    return f"00-{trace_id}-{span_id}-{context.trace_flags:02x}"
