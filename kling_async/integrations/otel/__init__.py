"""OpenTelemetry: spans and metrics of the calls of a client. It needs the extra `otel`."""

from __future__ import annotations

from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import TracerProvider, get_tracer

from ...client import Client
from .metrics import Metrics
from .operations import Operations

__all__ = ["instrument"]


def instrument(
    client: Client, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> Client:
    """Trace and measure the calls of a client, and return it; before it is opened, or at any time after.

    Each call is a span below the caller's, and each job of a batch is one below the span in which `batch` was called;
    submission, waiting and saving are spans below these. Spans and metrics hold no prompt, URL or API key. Names are
    those of OpenTelemetry's conventions for generative AI where these have one; the rest begins with `kling_async`.

    Args:
        client: the client; a second call for it would count everything twice.
        tracer_provider: makes the tracer; by default the global one.
        meter_provider: makes the meter; by default the global one.
    """
    name = "kling_async"
    tracer = get_tracer(name, tracer_provider=tracer_provider)
    metrics = Metrics(get_meter(name, meter_provider=meter_provider))
    client.add_listener(metrics.on_event)
    Operations(client, tracer=tracer, metrics=metrics).install()
    return client
