"""OpenTelemetry: spans and metrics, as the SDK's exporters in memory get them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from kling_async import AnswerLost, ContentRejected, ImageInput, Input, Job, Limits
from kling_async.integrations.otel import instrument

from ..conftest import OpenClient

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

pytestmark = pytest.mark.anyio
DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "reference" / "grafana.json"


class Telemetry:
    """Exporters in memory, and what they got."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.traces = TracerProvider()
        self.traces.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider(metric_readers=[self.reader])

    @property
    def providers(self) -> dict[str, Any]:
        """The arguments of `instrument`."""
        return {"tracer_provider": self.traces, "meter_provider": self.meters}

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """Spans that have ended."""
        return self.exporter.get_finished_spans()

    def tree(self) -> set[tuple[str, str | None]]:
        """Return each span's name with that of its parent."""
        names = {span.context.span_id: span.name for span in self.spans if span.context}
        return {(span.name, names.get(span.parent.span_id) if span.parent else None) for span in self.spans}

    def points(self) -> dict[str, list[Any]]:
        """Return the data points of each metric."""
        data = self.reader.get_metrics_data()
        found = [one for resource in data.resource_metrics for scope in resource.scope_metrics for one in scope.metrics]
        return {one.name: list(one.data.data_points) for one in found}

    def total(self, name: str) -> float:
        """Return the sum of a counter."""
        return sum(point.value for point in self.points()[name])


@pytest.fixture
def telemetry() -> Telemetry:
    """Collect spans and metrics."""
    return Telemetry()


async def test_a_call_is_a_span_below_the_callers(
    open_client: OpenClient, telemetry: Telemetry, tmp_path: Path
) -> None:
    """`generate` has the steps of its job below it, and saving is a call of its own."""
    async with open_client(provider="apiinone") as here:
        client = instrument(here.client, **telemetry.providers)
        with telemetry.traces.get_tracer("app").start_as_current_span("request"):
            prediction = await client.generate(ImageInput("a fox", model="kling-image-o1", n=2), key="fox")
            await client.download(prediction, tmp_path)
    assert {
        ("request", None),
        ("generate_content kling-image-o1", "request"),
        ("submit", "generate_content kling-image-o1"),
        ("wait", "generate_content kling-image-o1"),
        (f"save {prediction.model}", "request"),
    } == telemetry.tree()


async def test_names_of_the_convention(open_client: OpenClient, telemetry: Telemetry) -> None:
    """A span has the attributes of generative AI where there are some, and nothing of the prompt."""
    async with open_client(provider="apiinone") as here:
        client = instrument(here.client, **telemetry.providers)
        prediction = await client.generate(ImageInput("a secret fox", model="kling-image-o1", n=2), key="fox")
    [span] = [span for span in telemetry.spans if span.name.startswith("generate_content")]
    expected: Mapping[str, object] = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "apiinone",
        "gen_ai.request.model": "kling-image-o1",
        "gen_ai.request.choice.count": 2,
        "gen_ai.output.type": "image",
        "gen_ai.response.id": prediction.id,
        "gen_ai.response.model": prediction.model,
        "kling_async.status": "succeeded",
        "kling_async.job.key": "fox",
        "kling_async.cost.usd": float(prediction.cost or 0),
    }
    assert expected == dict(span.attributes or {})
    assert "secret" not in "".join(span.to_json() for span in telemetry.spans)
    assert here.sandbox.key_for("apiinone") not in "".join(span.to_json() for span in telemetry.spans)


@pytest.mark.parametrize(("prompt", "kind"), [("[[refused]]", ContentRejected), ("[[lost]]", AnswerLost)])
async def test_a_failure(open_client: OpenClient, telemetry: Telemetry, prompt: str, kind: type[Exception]) -> None:
    """An error is the status of the call and of its step, and its class the attribute `error.type`."""
    async with open_client() as here:
        client = instrument(here.client, **telemetry.providers)
        with pytest.raises(kind):
            await client.generate(ImageInput(f"a cat {prompt}"))
    found = {span.name.split()[0]: span for span in telemetry.spans}
    assert {"generate_content", "submit"} == found.keys()
    assert all(span.status.status_code is StatusCode.ERROR for span in found.values())
    assert all(kind.__name__ == (span.attributes or {})["error.type"] for span in found.values())


async def test_jobs_of_a_batch(open_client: OpenClient, telemetry: Telemetry, tmp_path: Path) -> None:
    """Each job has a span below the caller's, with its steps; `map` is a batch, too."""
    async with open_client(provider="apiinone") as here:
        client = instrument(here.client, **telemetry.providers)
        with telemetry.traces.get_tracer("app").start_as_current_span("request"):
            jobs = [Job(ImageInput(f"cat {number}"), key=f"k{number}") for number in range(3)]
            async with client.batch(jobs, save_to=tmp_path) as batch:
                outcomes = [outcome async for outcome in batch]
            await client.map([ImageInput("an owl [[refused]]")])
    assert all(outcome.ok for outcome in outcomes)
    job = "generate_content kling-image-o1"
    assert {
        ("request", None),
        (job, "request"),
        ("submit", job),
        ("wait", job),
        ("save", job),
        ("generate_content", "request"),  # refused, so that no model is known
        ("submit", "generate_content"),
    } == telemetry.tree()
    names = [span.name for span in telemetry.spans]
    assert (3, 4, 3, 3) == (names.count(job), names.count("submit"), names.count("wait"), names.count("save"))
    [refused] = [span for span in telemetry.spans if span.name == "generate_content"]
    assert "ContentRejected" == (refused.attributes or {})["error.type"]


async def test_another_input_after_a_refusal(open_client: OpenClient, telemetry: Telemetry) -> None:
    """A job whose refused input is replaced is one span, with a step for each submission, in a call and in a batch."""

    async def reword(_: Input, __: ContentRejected) -> Input:
        return ImageInput("an owl")

    refused = ImageInput("an owl [[refused]]")
    async with open_client(provider="apiinone") as here:
        client = instrument(here.client, **telemetry.providers)
        assert (await client.generate(refused, on_refused=reword)).succeeded
        [outcome] = await client.map([refused], on_refused=reword)
    assert outcome.ok
    names = [span.name.split()[0] for span in telemetry.spans]
    assert (2, 4, 2) == tuple(names.count(name) for name in ("generate_content", "submit", "wait"))
    jobs = [span for span in telemetry.spans if span.name.startswith("generate_content")]
    assert {StatusCode.UNSET} == {span.status.status_code for span in jobs}
    assert 0 == telemetry.total("kling_async.jobs.in_flight")


async def test_a_throttled_submission(open_client: OpenClient, telemetry: Telemetry) -> None:
    """A 429 is an event of its step, which a further step follows, and is counted."""
    async with open_client() as here:
        client = instrument(here.client, **telemetry.providers)
        await client.generate(ImageInput("a cat [[rate_limited:2]]"))
    submits = [span for span in telemetry.spans if span.name == "submit"]
    assert ["throttled"] == [event.name for event in submits[0].events]
    assert 3 == len(submits)
    assert 2 == telemetry.total("kling_async.throttled")
    assert 0 == telemetry.total("kling_async.jobs.in_flight")


async def test_metrics(open_client: OpenClient, telemetry: Telemetry) -> None:
    """Jobs in flight, time in the queue, spend, delay of polls and durations are measured."""
    async with open_client(provider="apiinone", limits=Limits(submit_per_second=1, submit_burst=1)) as here:
        client = instrument(here.client, **telemetry.providers)
        jobs = [Job(ImageInput(f"cat {number}"), key=f"k{number}") for number in range(4)]
        async with client.batch(jobs) as batch:
            first = await anext(batch)
            joined = await client.generate(first.job.input, key="k9")
            outcomes = [first, *[outcome async for outcome in batch]]
    points = telemetry.points()
    assert 0 == telemetry.total("kling_async.jobs.in_flight")
    assert 5 == telemetry.total("kling_async.jobs.finished")
    spent = sum(outcome.result().cost or 0 for outcome in outcomes) + (joined.cost or 0)
    assert float(spent) == pytest.approx(telemetry.total("kling_async.spend"))
    [queued] = points["kling_async.queue.duration"]
    assert 5 == queued.count
    assert queued.sum >= 1 + 2 + 3
    assert 5 == sum(point.count for point in points["kling_async.poll.delay"])
    assert 5 == sum(point.count for point in points["gen_ai.client.operation.duration"])


async def test_joined_calls_count_once(open_client: OpenClient, telemetry: Telemetry) -> None:
    """Two calls with one key are two calls with one submission, whose steps are below the first, and one cost."""
    calls: list[str] = []
    async with open_client(provider="apiinone") as here:
        client = instrument(here.client, **telemetry.providers)

        async def call() -> None:
            calls.append((await client.generate(ImageInput("a fox"), key="fox")).id)

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            group.start_soon(call)
    names = [span.name for span in telemetry.spans]
    assert (1, 1, 2) == (names.count("submit"), names.count("wait"), sum("generate" in name for name in names))
    assert 1 == len(set(calls)) == telemetry.total("kling_async.jobs.finished")
    assert 0.012 == telemetry.total("kling_async.spend")


async def test_a_batch_that_is_left(open_client: OpenClient, telemetry: Telemetry) -> None:
    """Spans of jobs that go on at the provider are ended when the batch is left."""
    async with open_client() as here:
        client = instrument(here.client, **telemetry.providers)
        async with client.batch([Job(ImageInput("a cat [[slow:1000]]"), key="slow"), ImageInput("a fox")]) as batch:
            await anext(batch)
    assert 2 == sum(span.name.startswith("generate_content") for span in telemetry.spans)


async def test_without_an_sdk(open_client: OpenClient) -> None:
    """With the API alone nothing is recorded, and calls do what they did."""
    async with open_client() as here:
        client = instrument(here.client)
        assert (await client.generate(ImageInput("a cat"))).succeeded


def test_the_dashboard_shows_metrics_that_exist() -> None:
    """Each expression of the Grafana dashboard names a metric of this package, as Prometheus writes it."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    named = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"\b(?:kling_async|gen_ai)_\w+", target["expr"])
        if not name.startswith(("gen_ai_provider", "gen_ai_request", "gen_ai_operation", "kling_async_status"))
    }
    assert {
        "kling_async_jobs_in_flight",
        "kling_async_jobs_finished_total",
        "kling_async_queue_duration_seconds_bucket",
        "kling_async_poll_delay_seconds_bucket",
        "kling_async_throttled_total",
        "kling_async_spend_USD_total",
        "gen_ai_client_operation_duration_seconds_bucket",
    } == named
