"""Collect what a display shows of a batch from its events.

Theory of operation. A batch counts its own jobs. This module adds what the batch does not count: the same counts per
provider, what keeps a provider from being used, and the last few results. Its size does not grow with the number of
jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from ...providers.pricing import Estimate
from ...scheduling.progress import Progress, ProgressTracker
from ...types.errors import NotSent, RateLimited
from ...types.events import Event, EventKind, UploadProgress
from ...types.formatting import format_count
from ...types.limits import LimitKind, SpeedLimit
from ...types.prediction import Status
from ...types.status import ACCOUNT_ERRORS, JobStatus

__all__ = [
    "GROUPS",
    "EventAggregator",
    "ProviderView",
    "RecentResult",
    "Snapshot",
    "apportion",
]

_MAX_RECENT: Final = 3
"""Results that are kept: enough to show progress."""
_MOVED_SECONDS: Final = 30.0
"""Seconds for which a provider that could not take a job is shown as troubled."""
_OVER_LIMIT: Final = "rate-limited"


GROUPS: Final = (
    JobStatus.SUCCEEDED,
    JobStatus.FAILED,
    JobStatus.UNCONFIRMED,
    JobStatus.ACCEPTED,
    JobStatus.SUBMITTING,
    JobStatus.PLANNED,
)
"""The statuses by which jobs are counted, in the order of the bar; FAILED includes cancelled and expired jobs."""


@frozen
class RecentResult:
    """The result of one job.

    Attributes:
        key: the job's key.
        group: the segment of the bar that counts it.
        text: its files, its error or its prompt, whichever is known.
        is_path: whether `text` names files.
    """

    key: str
    group: JobStatus
    text: str
    is_path: bool = False


@frozen(kw_only=True)
class ProviderView:
    """The counts of one provider.

    Attributes:
        trouble: why no submission is sent to it now, or "". A pause of its account is told by the limit.
        trouble_seconds: how long this will last, in seconds.
        limit: what holds the next job, or the results, back now.
    """

    name: str
    accepted: int
    submitting: int
    finished: int
    throttled: int
    per_second: float | None
    trouble: str = ""
    trouble_seconds: float = 0.0
    limit: SpeedLimit | None = None

    @property
    def is_paused(self) -> bool:
        """Whether the limit is a pause."""
        return self.limit is not None and self.limit.kind is LimitKind.PAUSE


@frozen(kw_only=True)
class Snapshot:
    """The state of a batch at one moment, as displays show it.

    Attributes:
        progress: the counts of the batch.
        total: number of jobs, or None while it is unknown.
        providers: the counts of each provider.
        recent: the last results, the newest last.
        estimate: the expected cost of the batch, or None.
        uploads: local media that are on their way.
    """

    progress: Progress
    total: int | None
    uploads: tuple[UploadProgress, ...] = ()
    providers: tuple[ProviderView, ...] = ()
    recent: tuple[RecentResult, ...] = ()
    estimate: Estimate | None = None

    @property
    def counts(self) -> dict[JobStatus, int]:
        """Number of jobs in each group; jobs that were not read yet count as planned."""
        counted = {group: int(getattr(self.progress, group.value)) for group in GROUPS}
        if self.total is not None:
            counted[JobStatus.PLANNED] += max(0, self.total - self.progress.pulled)
        return counted

    @property
    def share(self) -> float:
        """Fraction of the jobs that are done, from 0 to 1."""
        return self.progress.done / max(1, sum(self.counts.values()))

    @property
    def uploading(self) -> str:
        """How many uploads there are, and how far they are together, such as "uploading 2 files 45%"; or ""."""
        if not self.uploads:
            return ""
        share = sum(one.sent for one in self.uploads) / max(1, sum(one.size for one in self.uploads))
        return f"uploading {format_count(len(self.uploads), 'file')} {share:.0%}"

    @property
    def remaining(self) -> float | None:
        """Seconds to the end at the current rate, or None while either is unknown."""
        if self.total is None or self.progress.per_second is None:
            return None
        return max(0, self.total - self.progress.done) / self.progress.per_second


class EventAggregator:
    """Aggregates events per provider, and keeps the last results.

    Args:
        total: number of jobs, where the batch cannot know it.
        estimate: the expected cost of the batch.
    """

    def __init__(self, *, total: int | None = None, estimate: Estimate | None = None) -> None:
        self._total = total
        self._estimate = estimate
        self._trackers: dict[str, ProgressTracker] = {}
        self._troubles: dict[str, tuple[str, float]] = {}
        self._recent: dict[str, RecentResult] = {}
        self._uploads: dict[str | None, UploadProgress] = {}

    def on_event(self, event: Event, *, elapsed: float) -> None:
        """Record an event.

        Args:
            event: what happened.
            elapsed: seconds since the batch started.
        """
        tracker = self._trackers.setdefault(event.provider, ProgressTracker(now=event.at, total=None))
        tracker.record(event, cost=None)
        if event.upload is not None and event.upload.sent < event.upload.size:
            self._uploads[event.key] = event.upload
        elif event.kind in (EventKind.UPLOADING, EventKind.SUBMITTED, EventKind.FINISHED):
            self._uploads.pop(event.key, None)
        if event.kind in (EventKind.THROTTLED, EventKind.NOT_SENT, EventKind.MOVED):
            lasts = _MOVED_SECONDS if event.kind is EventKind.MOVED else event.retry_in or 0.0
            self._troubles[event.provider] = _trouble(event), elapsed + lasts
        elif event.kind in (EventKind.FINISHED, EventKind.SAVED, EventKind.NOT_SAVED) and not _is_old(event):
            self._keep(_result_of(event))

    def _keep(self, result: RecentResult) -> None:
        self._recent.pop(result.key, None)
        self._recent[result.key] = result
        while len(self._recent) > _MAX_RECENT:
            del self._recent[next(iter(self._recent))]

    def snapshot(self, progress: Progress) -> Snapshot:
        """Return the state at this moment, with the batch's own counts."""
        limits = {limit.provider: limit for limit in progress.limited_by}
        return Snapshot(
            progress=progress,
            total=progress.total if progress.total is not None else self._total,
            providers=tuple(
                self._provider(name, tracker, progress.elapsed, limits.get(name))
                for name, tracker in self._trackers.items()
            ),
            recent=tuple(self._recent.values()),
            uploads=tuple(self._uploads.values()),
            estimate=self._estimate,
        )

    def _provider(self, name: str, tracker: ProgressTracker, elapsed: float, limit: SpeedLimit | None) -> ProviderView:
        counts = tracker.snapshot(now=0.0)
        trouble, ends_at = self._troubles.get(name, ("", 0.0))
        view = ProviderView(
            name=name,
            # A listener that was added late receives ends of jobs without their beginnings.
            accepted=max(0, counts.accepted),
            submitting=max(0, counts.submitting),
            finished=counts.done,
            throttled=counts.throttled,
            per_second=counts.per_second,
            trouble=trouble if ends_at > elapsed else "",
            trouble_seconds=max(0.0, ends_at - elapsed),
            limit=limit,
        )
        return evolve(view, trouble="", trouble_seconds=0.0) if view.is_paused and trouble == _OVER_LIMIT else view


def _is_old(event: Event) -> bool:
    """Whether an event tells no new result: of an earlier run, or of a job that was stopped and is still planned."""
    return event.replayed or (isinstance(event.error, NotSent) and event.error.reason == "stopped")


def _result_of(event: Event) -> RecentResult:
    prediction, key = event.prediction, event.key or ""
    if event.status in (JobStatus.UNCONFIRMED, JobStatus.ABANDONED):
        group = JobStatus.UNCONFIRMED
    else:
        succeeded = prediction is not None and prediction.status is Status.SUCCEEDED
        group = JobStatus.SUCCEEDED if succeeded else JobStatus.FAILED
    if event.files:
        return RecentResult(key, group, ", ".join(map(str, event.files)), is_path=True)
    failure = prediction.failure if prediction is not None else None
    return RecentResult(
        key, group, event.error.message if event.error else failure.message if failure else event.prompt
    )


def apportion(counts: Sequence[int], width: int) -> list[int]:
    """Divide `width` cells in proportion to counts. Each count above zero gets a cell, if there are enough."""
    total = sum(counts)
    if total == 0:
        return [0] * len(counts)
    least = [min(1, count) for count in counts] if sum(map(bool, counts)) <= width else [0] * len(counts)
    exact = [count * width / total for count in counts]
    cells = [max(int(share), few) for share, few in zip(exact, least, strict=True)]
    while (over := sum(cells) - width) != 0:
        step = -1 if over > 0 else 1
        able = [index for index, cell in enumerate(cells) if counts[index] and cell + step >= least[index]]
        worst = max(able, key=lambda index: (exact[index] - cells[index]) * step)
        cells[worst] += step
    return cells


def _trouble(event: Event) -> str:
    """Return a word for the reason why a provider takes no submission now."""
    if event.kind is EventKind.THROTTLED or (event.kind is EventKind.MOVED and isinstance(event.error, RateLimited)):
        return _OVER_LIMIT
    return "account refused" if isinstance(event.error, ACCOUNT_ERRORS) else "unreachable"
