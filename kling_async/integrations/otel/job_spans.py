"""Spans of jobs, made from their events: submission, waiting and saving, below a span of the caller's or of the job."""

from __future__ import annotations

from time import time_ns
from typing import Final

from attrs import define, field
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from ...types.errors import KlingError
from ...types.events import Event, EventKind
from .attributes import ERROR_TYPE, JOB_KEY, MODEL, OPERATION, PROVIDER, Attributes, error_type, of_prediction
from .metrics import Metrics

__all__ = ["GENERATE", "CallSpans", "JobSpans", "mark_failed"]

GENERATE: Final = "generate_content"
"""The operation of the conventions that is nearest: generation that is not of texts only."""


@define(eq=False)
class _Step:
    """One step of a job.

    Attributes:
        name: submit, wait or save.
        began_ns: when it began, in nanoseconds since 1970; `ended_ns` likewise.
        notes: events meanwhile: their names, times and attributes.
        error: what ended it, or None.
    """

    name: str
    began_ns: int
    ended_ns: int = 0
    notes: list[tuple[str, int, Attributes]] = field(factory=list[tuple[str, int, Attributes]])
    error: KlingError | None = None


@define(eq=False)
class _Steps:
    """The steps of a job, one after the other. Their spans are made at its end, in one go."""

    done: list[_Step] = field(factory=list[_Step])

    def enter(self, name: str, event: Event, now: int) -> None:
        """End the present step, and begin another."""
        self.end(event, now)
        self.done.append(_Step(name, now))

    def end(self, event: Event, now: int) -> None:
        """End the present step."""
        if self.done and not self.done[-1].ended_ns:
            self.done[-1].ended_ns, self.done[-1].error = now, event.error

    def follow(self, event: Event, now: int) -> bool:
        """Follow an event; return False after the last one of the job."""
        match event.kind:
            case EventKind.SUBMITTED:
                self.enter("submit", event, now)
            case EventKind.ACCEPTED | EventKind.RESUMED:
                self.enter("wait", event, now)
            case EventKind.FINISHED | EventKind.SAVED | EventKind.NOT_SAVED:
                self.end(event, now)
                return False
            case _:
                self._note(event, now)
        return True

    def _note(self, event: Event, now: int) -> None:
        if not self.done or self.done[-1].ended_ns:
            return
        facts: Attributes = {} if event.error is None else {ERROR_TYPE: error_type(event.error)}
        if event.retry_in is not None:
            facts["kling_async.retry_in"] = event.retry_in
        self.done[-1].notes.append((event.kind.value, now, facts))
        turned_away = event.kind in _TURNED_AWAY and event.prediction is None
        if turned_away or event.kind is EventKind.REPLACED:
            self.end(event, now)

    def make_spans(self, tracer: Tracer, parent: Context) -> None:
        """Make the span of each step."""
        for step in self.done:
            span = tracer.start_span(step.name, context=parent, kind=SpanKind.CLIENT, start_time=step.began_ns)
            for name, at, facts in step.notes:
                span.add_event(name, facts, timestamp=at)
            if step.error is not None:
                mark_failed(span, step.error)
            span.end(step.ended_ns or None)
        self.done.clear()


_TURNED_AWAY: Final = (EventKind.THROTTLED, EventKind.NOT_SENT, EventKind.MOVED)


class CallSpans:
    """Steps of the jobs of single calls, which are known by their keys.

    Args:
        tracer: makes the spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._jobs: dict[str, _Steps] = {}

    def expect(self, key: str) -> bool:
        """Follow the job of a key; False if another call is followed under it, which this one joins."""
        return self._jobs.setdefault(key, steps := _Steps()) is steps

    def finish(self, key: str, parent: Context) -> None:
        """Make the spans of a job below that of its call."""
        self._jobs.pop(key, _Steps()).make_spans(self._tracer, parent)

    def on_event(self, event: Event) -> None:
        """Follow an event of a job that is expected."""
        steps = None if event.key is None else self._jobs.get(event.key)
        if steps is not None:
            steps.follow(event, time_ns())


class JobSpans:
    """Spans of the jobs of one batch, each with its steps, below the span in which the batch was made.

    Args:
        tracer: makes the spans.
        metrics: measure the jobs.
        parent: the context of the caller.
        saves: whether the batch saves files.
    """

    def __init__(self, tracer: Tracer, metrics: Metrics, parent: Context, *, saves: bool) -> None:
        self._tracer = tracer
        self._metrics = metrics
        self._parent = parent
        self._saves = saves
        self._jobs: dict[str | None, tuple[int, _Steps, Event]] = {}
        self._ended: list[tuple[int, _Steps, Event, int]] = []
        self._made_at = 0

    def __call__(self, event: Event) -> None:
        """Follow an event of a job of the batch."""
        known, now = self._jobs.get(event.key), time_ns()
        if known is None:
            if event.replayed:
                return  # nothing was done for it
            known = self._jobs[event.key] = (now, _Steps(), event)
        began, steps, _ = known
        if steps.follow(event, now):
            return
        succeeded = event.error is None and event.prediction is not None and event.prediction.succeeded
        if event.kind is EventKind.FINISHED and self._saves and succeeded:
            steps.enter("save", event, now)
            return
        del self._jobs[event.key]
        self._ended.append((began, steps, event, now))
        if len(self._ended) >= _GROUP or now - self._made_at >= _GROUP_NS:
            self._make_spans(now)

    def _make_spans(self, now: int) -> None:
        """Make the spans of jobs that have ended, and measure these: of several at once, since that is cheaper."""
        self._made_at = now
        for began, steps, event, ended in self._ended:
            self._make_span(began, steps, event, ended)
            self._metrics.record_duration((ended - began) / 1e9, _measured(event))
        self._ended.clear()

    def _make_span(self, began: int, steps: _Steps, event: Event, now: int) -> None:
        known = event.prediction
        name, facts = (GENERATE, _NONE) if known is None else (f"{GENERATE} {known.model}", of_prediction(known))
        attributes = {OPERATION: GENERATE, PROVIDER: event.provider, JOB_KEY: event.key or "", **facts}
        span = self._tracer.start_span(
            name, context=self._parent, kind=SpanKind.CLIENT, attributes=attributes, start_time=began
        )
        if span.is_recording():  # else the job is not sampled, and its steps are not, either
            steps.make_spans(self._tracer, set_span_in_context(span, self._parent))
        if event.error is not None:
            mark_failed(span, event.error)
        elif known is not None and known.status.is_terminal and not known.succeeded:
            span.set_status(Status(StatusCode.ERROR))
        span.end(now)

    def close(self) -> None:
        """Make the spans of jobs that the batch has left running."""
        now = time_ns()
        self._make_spans(now)
        for began, steps, event in self._jobs.values():
            self._make_span(began, steps, event, now)
        self._jobs.clear()


_NONE: Final[Attributes] = {}
_GROUP: Final = 32
"""Ended jobs whose spans are made at once: in a busy event loop one by one takes twice the time."""
_GROUP_NS: Final = 1_000_000_000
"""Nanoseconds after which a job that ends waits for no others."""


def _measured(event: Event) -> Attributes:
    attributes: Attributes = {OPERATION: GENERATE, PROVIDER: event.provider}
    if event.prediction is not None:
        attributes[MODEL] = event.prediction.model
    if event.error is not None:
        attributes[ERROR_TYPE] = error_type(event.error)
    return attributes


def mark_failed(span: Span, error: BaseException) -> None:
    """Mark a span as failed; the error's text stays out of it if it is not one of the package's."""
    span.set_attribute(ERROR_TYPE, error_type(error))
    span.set_status(Status(StatusCode.ERROR, error.message if isinstance(error, KlingError) else None))
