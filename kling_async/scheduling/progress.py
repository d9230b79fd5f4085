"""The progress of a batch, counted from its events: jobs by status, speed, remaining time, and money."""

from __future__ import annotations

from collections import Counter, deque
from decimal import Decimal
from typing import Final

from attrs import frozen

from ..types.errors import NotSent
from ..types.events import Event, EventKind
from ..types.formatting import format_clock, format_money, format_rate
from ..types.limits import SpeedLimit
from ..types.prediction import Status
from ..types.status import JobStatus

__all__ = ["Progress", "ProgressTracker"]

_RECENT: Final = 50
"""Completions over which the speed is measured."""
_MIN_RECENT: Final = 5
"""Completions below which no speed is given."""


_COUNTED: Final = ("succeeded", "failed", "unconfirmed", "accepted", "submitting", "planned", "saved")
"""The counts that the text of a progress names, if they are not 0."""
_MOVES: Final = {
    EventKind.SUBMITTED: (JobStatus.PLANNED, JobStatus.SUBMITTING),
    EventKind.RESOLVING: (JobStatus.SUBMITTING, JobStatus.RESOLVING),
    EventKind.RESUMED: (JobStatus.PLANNED, JobStatus.ACCEPTED),
}
"""The statuses before and after an event, where these are always the same."""


@frozen(kw_only=True)
class Progress:
    """The progress of a batch at one moment.

    Attributes:
        total: all jobs, or None while the iterator has not ended.
        pulled: jobs taken from the iterator so far.
        planned: queued, or withdrawn from the queue by a stop.
        submitting: submissions in flight, and those that are looked up since their answer was lost.
        accepted: accepted by a provider, and not finished.
        succeeded: finished with success.
        failed: refused, failed, cancelled, expired, or dropped.
        unconfirmed: submitted without a usable answer.
        saved: jobs whose files are saved.
        throttled: the number of 429 replies.
        elapsed: seconds since the batch began, until it ended.
        per_second: recent completions per second, or None while there are too few; jobs that an earlier run had
            finished do not count.
        remaining: remaining seconds at that speed, or None.
        spent: US dollars for the finished and unconfirmed jobs, at published or given prices; it includes the cost of
            these jobs in earlier runs.
        unpriced: finished and unconfirmed jobs without a known price.
        limited_by: what holds the next job, or the results, back at each provider now: the accounts are the client's,
            so jobs of its other calls count. A provider where nothing does is left out.
    """

    total: int | None
    pulled: int
    planned: int
    submitting: int
    accepted: int
    succeeded: int
    failed: int
    unconfirmed: int
    saved: int
    throttled: int
    elapsed: float
    per_second: float | None
    remaining: float | None
    spent: Decimal
    unpriced: int
    limited_by: tuple[SpeedLimit, ...] = ()

    def __repr__(self) -> str:
        return f"Progress({self})"

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total:,}"
        jobs = {name: int(getattr(self, name)) for name in _COUNTED}
        counts = ", ".join(f"{count:,} {name}" for name, count in jobs.items() if count)
        parts = [
            f"{self.done:,}{of} done: {counts or 'nothing yet'}",
            "" if self.per_second is None else format_rate(self.per_second),
            f"{format_money(self.spent)} spent" if self.spent or not self.unpriced else "",
            f"{self.unpriced:,} without a price" if self.unpriced else "",
            f"elapsed {format_clock(self.elapsed)}",
            *(f"{limit.provider} {limit}" for limit in self.limited_by),
        ]
        return "; ".join(filter(None, parts))

    @property
    def done(self) -> int:
        """Finished jobs, whatever the result, and unconfirmed ones."""
        return self.succeeded + self.failed + self.unconfirmed


class ProgressTracker:
    """Counts the events of one batch.

    Args:
        now: the time at which the batch began.
        total: the number of jobs, or None while it is unknown.
    """

    def __init__(self, *, now: float, total: int | None) -> None:
        self._started_at = now
        self._ended_at: float | None = None
        self._total = total
        self._counts: Counter[str] = Counter()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._spent = Decimal(0)
        self._unpriced = 0

    def pulled(self) -> None:
        """Count a job taken from the iterator."""
        self._counts["pulled"] += 1
        self._counts["planned"] += 1

    def refused(self, *, now: float) -> None:
        """Count a job that failed before it was queued."""
        self._counts["planned"] -= 1
        self._count_finished("failed", now)

    def ended(self, *, now: float) -> None:
        """Stop the clock, since the batch has ended; without effect if it has stopped."""
        if self._ended_at is None:
            self._ended_at = now

    def exhausted(self) -> None:
        """Set the total, since the iterator has ended."""
        self._total = self._counts["pulled"]

    def paid_before(self, amount: Decimal) -> None:
        """Add US dollars that an earlier attempt has cost of a job that is submitted again."""
        self._spent += amount

    def record(self, event: Event, *, cost: Decimal | None, free: bool = False) -> None:
        """Count an event.

        Args:
            event: the event.
            cost: the maximum cost of the job in US dollars, or None where no price is known.
            free: whether the cost is counted by another call, which submitted the job.
        """
        if event.kind in _MOVES:
            self._move(*_MOVES[event.kind])
        elif event.kind is EventKind.ACCEPTED:
            found = event.previous is JobStatus.RESOLVING
            self._move(JobStatus.RESOLVING if found else JobStatus.SUBMITTING, JobStatus.ACCEPTED)
        elif event.kind in (EventKind.NOT_SENT, EventKind.MOVED):
            self._move(event.previous, JobStatus.PLANNED)
        elif event.kind is EventKind.REPLACED:
            self._move(event.previous, JobStatus.PLANNED)
            self._add_cost(event, cost, free=free)
        elif event.kind is EventKind.THROTTLED:
            self._counts["throttled"] += 1
            if event.prediction is None:
                self._move(JobStatus.SUBMITTING, JobStatus.PLANNED)
        elif event.kind is EventKind.SAVED:
            self._counts["saved"] += 1
        elif event.kind is EventKind.FINISHED:
            self._finished(event, cost, free=free)

    def _move(self, before: JobStatus, after: JobStatus) -> None:
        self._counts[before] -= 1
        self._counts[after] += 1

    def _finished(self, event: Event, cost: Decimal | None, *, free: bool) -> None:
        if isinstance(event.error, NotSent) and event.error.reason == "stopped":
            return  # it did not fail, and is still planned
        prediction = event.prediction
        self._counts[event.previous] -= 1
        lost = event.status in (JobStatus.UNCONFIRMED, JobStatus.ABANDONED)
        succeeded = prediction is not None and prediction.status is Status.SUCCEEDED
        result = JobStatus.UNCONFIRMED if lost else JobStatus.SUCCEEDED if succeeded else JobStatus.FAILED
        if event.replayed:
            self._counts[result] += 1  # it took no time in this run, so it does not count for the speed
        else:
            self._count_finished(result, event.at)
        self._add_cost(event, cost, free=free)

    def _add_cost(self, event: Event, cost: Decimal | None, *, free: bool) -> None:
        """Add what a job has cost that has ended with this event."""
        prediction, lost = event.prediction, event.status in (JobStatus.UNCONFIRMED, JobStatus.ABANDONED)
        billed = event.error is not None and event.error.may_be_billed
        if (lost or billed or prediction is not None) and not free:
            known = prediction.cost if prediction is not None and prediction.cost is not None else cost
            self._spent += known or 0
            self._unpriced += known is None

    def _count_finished(self, result: str, now: float) -> None:
        self._counts[result] += 1
        self._recent.append(now)

    def snapshot(self, *, now: float, limited_by: tuple[SpeedLimit, ...] = ()) -> Progress:
        """Return the progress at a time, with what holds jobs back at that time."""
        counts = self._counts
        recent = self._recent
        speed = None
        if len(recent) >= _MIN_RECENT and recent[-1] > recent[0]:
            speed = (len(recent) - 1) / (recent[-1] - recent[0])
        done = counts["succeeded"] + counts["failed"] + counts["unconfirmed"]
        left = None if self._total is None else self._total - done
        return Progress(
            total=self._total,
            pulled=counts["pulled"],
            planned=counts["planned"],
            submitting=counts["submitting"] + counts["resolving"],
            accepted=counts["accepted"],
            succeeded=counts["succeeded"],
            failed=counts["failed"],
            unconfirmed=counts["unconfirmed"],
            saved=counts["saved"],
            throttled=counts["throttled"],
            elapsed=(now if self._ended_at is None else self._ended_at) - self._started_at,
            per_second=speed,
            remaining=None if left is None or speed is None else left / speed,
            spent=self._spent,
            unpriced=self._unpriced,
            limited_by=limited_by,
        )
