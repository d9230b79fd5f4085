"""Metrics of a client, from its events: each submission counts once, however many calls have joined it.

Counts are kept here and read when they are exported, which costs a job less than telling each of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ...types.events import Event, EventKind
from ...types.status import JobStatus
from .attributes import ERROR_TYPE, PROVIDER, STATUS, Attributes, error_type

__all__ = ["Metrics"]

_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1200.0)
"""Bounds of buckets, from an upload to a long video. Those of the conventions end at 82 s."""
_UNFINISHED: Final = frozenset({JobStatus.PLANNED, JobStatus.SUBMITTING, JobStatus.RESOLVING, JobStatus.ACCEPTED})
_Ended: TypeAlias = tuple[str, str, str]
"""A provider, a status, and the class of an error, or ""."""


class Metrics:
    """The instruments of one client.

    Args:
        meter: makes them.
    """

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, description: str) -> Callable[[float, Attributes], None]:
            return meter.create_histogram(
                name, unit="s", description=description, explicit_bucket_boundaries_advisory=_SECONDS
            ).record

        self.record_duration = seconds("gen_ai.client.operation.duration", "Duration of a call, or a job of a batch.")
        self._record_queue = seconds("kling_async.queue.duration", "Time of a job in the local queue.")
        self._record_poll_delay = seconds(
            "kling_async.poll.delay",
            "Time between the last two polls of a prediction: its result was found no later than this.",
        )
        self._open: dict[tuple[str, str | None], bool] = {}
        """Whether it was submitted by this client, of each job in flight."""
        self._in_flight, self._throttled = Counter[str](), Counter[str]()
        self._ended, self._spend = Counter[_Ended](), dict[str, float]()
        meter.create_observable_up_down_counter(
            "kling_async.jobs.in_flight",
            [_reading(self._in_flight)],
            unit="{job}",
            description="Jobs that were submitted and have not ended.",
        )
        meter.create_observable_counter(
            "kling_async.jobs.finished",
            [self._read_ended],
            unit="{job}",
            description="Jobs that have ended.",
        )
        meter.create_observable_counter(
            "kling_async.throttled", [_reading(self._throttled)], unit="{reply}", description="Replies with status 429."
        )
        meter.create_observable_counter(
            "kling_async.spend",
            [_reading(self._spend)],
            unit="USD",
            description="Published prices of submitted jobs that have ended.",
        )

    def on_event(self, event: Event) -> None:
        """Count an event."""
        job = (event.provider, event.key or (None if event.prediction is None else event.prediction.id))
        match event.kind:
            case EventKind.SUBMITTED:
                if self._enter(job, submitted=True) and event.queued_seconds is not None:
                    self._record_queue(event.queued_seconds, {PROVIDER: event.provider})
            case EventKind.RESUMED:
                self._enter(job, submitted=False)
            case EventKind.THROTTLED:
                self._throttled[event.provider] += 1
                self._requeue(job, event)
            case EventKind.NOT_SENT | EventKind.MOVED:
                self._requeue(job, event)
            case EventKind.FINISHED:
                self._finish(job, event)
            case _:
                pass

    def _enter(self, job: tuple[str, str | None], *, submitted: bool) -> bool:
        if job in self._open:
            return False
        self._open[job] = submitted
        self._in_flight[job[0]] += 1
        return True

    def _requeue(self, job: tuple[str, str | None], event: Event) -> None:
        """Count a job that was turned away, and is queued again."""
        if event.status is JobStatus.PLANNED and self._open.pop(job, None) is not None:
            self._in_flight[event.provider] -= 1

    def _finish(self, job: tuple[str, str | None], event: Event) -> None:
        submitted, known, provider = self._open.get(job), event.prediction, event.provider
        if submitted is None or (event.status in _UNFINISHED and known is not None):
            return  # it was counted, or one of several callers has left
        del self._open[job]
        self._in_flight[provider] -= 1
        self._ended[provider, event.status.value, "" if event.error is None else error_type(event.error)] += 1
        if event.unseen_seconds is not None:
            self._record_poll_delay(event.unseen_seconds, {PROVIDER: provider})
        if submitted and known is not None and known.cost is not None:
            self._spend[provider] = self._spend.get(provider, 0.0) + float(known.cost)

    def _read_ended(self, _: CallbackOptions) -> Iterable[Observation]:
        for (provider, status, error), count in list(self._ended.items()):
            failed = {ERROR_TYPE: error} if error else {}
            yield Observation(count, {PROVIDER: provider, STATUS: status, **failed})


def _reading(counts: Mapping[str, float]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """Return what reads a count for each provider; exporters call it in threads of their own."""
    return lambda _: [Observation(count, {PROVIDER: provider}) for provider, count in list(counts.items())]
