"""Trace and measure a client with OpenTelemetry, and print the spans."""

import asyncio

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from kling_async import Client, ImageInput
from kling_async.integrations.otel import instrument

# What your own program sets up, with an exporter to your collector in place of this one.
provider = TracerProvider()
exporter = ConsoleSpanExporter(formatter=lambda span: f"{span.name}\n")
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)


async def main() -> None:
    """Generate and save an image below a span of the program's own."""
    async with instrument(Client()) as client:
        with trace.get_tracer("my-app").start_as_current_span("request"):
            prediction = await client.generate(ImageInput("a fox, linocut"))
            await client.download(prediction, "out")


asyncio.run(main())
