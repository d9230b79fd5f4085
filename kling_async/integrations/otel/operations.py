"""Spans of the public calls of a client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import wraps
from secrets import token_hex
from time import perf_counter
from typing import ParamSpec, TypeVar

from opentelemetry.context import get_current
from opentelemetry.trace import Span, SpanKind, Tracer

from ...client import Client
from ...client.base import WAIT_TIMEOUT
from ...runtime.batch import Batch
from ...types.inputs import Input
from ...types.prediction import Prediction
from ...types.refusals import OnRefused
from .attributes import ERROR_TYPE, JOB_KEY, MODEL, OPERATION, PROVIDER, Attributes, error_type, facts_of
from .job_spans import GENERATE, CallSpans, JobSpans, mark_failed
from .metrics import Metrics

__all__ = ["Operations"]

_P = ParamSpec("_P")
T = TypeVar("T")


class Operations:
    """Puts a span around each public call of a client.

    Args:
        client: the client.
        tracer: makes the spans.
        metrics: measure the calls.
    """

    def __init__(self, client: Client, *, tracer: Tracer, metrics: Metrics) -> None:
        self._client = client
        self._tracer = tracer
        self._metrics = metrics
        self._calls = CallSpans(tracer)

    def install(self) -> None:
        """Replace the calls of the client; `map` makes a batch, and needs nothing of its own."""
        client = self._client
        client.add_listener(self._calls.on_event)
        for name, traced in (
            ("generate", self._traced_generate()),
            ("submit", self._traced("submit", client.submit)),
            ("wait", self._traced("wait", client.wait)),
            ("download", self._traced("save", client.download)),
            ("read", self._traced("read", client.read)),
            ("batch", self._traced_batch(client.batch)),
        ):
            setattr(client, name, traced)

    def _traced_generate(self) -> Callable[..., Awaitable[Prediction]]:
        """Return `generate`, whose job has its steps below the call."""
        call = self._client.generate

        @wraps(call)
        async def traced(
            input: Input,
            *,
            provider: str | None = None,
            key: str | None = None,
            wait_timeout: float = WAIT_TIMEOUT,
            on_refused: OnRefused | None = None,
        ) -> Prediction:
            # The events of a job are known by its key, so that it has one from the beginning.
            name = key if key is not None else f"job-{token_hex(10)}"
            with self._operation(GENERATE, input) as (span, found):
                span.set_attribute(JOB_KEY, name)
                followed = self._calls.expect(name)
                try:
                    prediction = await call(
                        input, provider=provider, key=name, wait_timeout=wait_timeout, on_refused=on_refused
                    )
                finally:
                    if followed:
                        self._calls.finish(name, get_current())
                found.append(prediction)
            return prediction

        return traced

    def _traced(self, name: str, call: Callable[_P, Awaitable[T]]) -> Callable[_P, Awaitable[T]]:
        """Return a call that has a span, which describes its first argument and its result."""

        @wraps(call)
        async def traced(*args: _P.args, **kwargs: _P.kwargs) -> T:
            with self._operation(name, args[0] if args else None) as (_, found):
                result = await call(*args, **kwargs)
                found.append(result)
            return result

        return traced

    def _traced_batch(self, call: Callable[_P, Batch]) -> Callable[_P, Batch]:
        """Return `batch`, whose jobs have spans below that of its caller."""

        @wraps(call)
        def traced(*args: _P.args, **kwargs: _P.kwargs) -> Batch:
            batch, saves = call(*args, **kwargs), kwargs.get("save_to") is not None
            batch.add_listener(JobSpans(self._tracer, self._metrics, get_current(), saves=saves))
            return batch

        return traced

    @contextmanager
    def _operation(self, name: str, subject: object) -> Generator[tuple[Span, list[object]]]:
        """Put a span around a call; what is appended to the list describes its result."""
        facts, found, began = facts_of(subject), list[object](), perf_counter()
        title = f"{name} {facts[MODEL]}" if MODEL in facts else name
        measured: Attributes = {OPERATION: name, **{key: facts[key] for key in (PROVIDER, MODEL) if key in facts}}
        with self._tracer.start_as_current_span(
            title,
            kind=SpanKind.CLIENT,
            attributes={OPERATION: name, **facts},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span, found
            except BaseException as error:
                mark_failed(span, error)
                measured[ERROR_TYPE] = error_type(error)
                raise
            else:
                for result in found:
                    facts = facts_of(result)
                    span.set_attributes(facts)
                    measured |= {key: facts[key] for key in (PROVIDER, MODEL) if key in facts}
            finally:
                self._metrics.record_duration(perf_counter() - began, measured)
