"""A run that another process does, as its journal tells it: what a display shows, and the code with which it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from heapq import heappush, heappushpop
from typing import Final

from attrs import frozen

from ..journal.queue_values import QueueCounts
from ..runs.directory import RunDirectory
from ..runs.display.snapshot import RecentResult, Snapshot
from ..runs.queued_run import totals_of
from ..runs.report import ReportRow
from ..runs.report.totals import Totals, TotalsCounter
from ..runs.run_rows import RunRows
from ..scheduling.progress import Progress
from ..types.status import JobStatus
from .console import ExitCode

__all__ = ["RunView", "view_of_counts", "view_of_directory"]

_RECENT: Final = 50
"""Completions over which the speed is measured."""
_MIN_RECENT: Final = 5
_SHOWN: Final = 3
"""Number of results that a display shows."""
_GROUPS: Final = {
    JobStatus.RESOLVING: JobStatus.SUBMITTING,
    JobStatus.CANCELLED: JobStatus.FAILED,
    JobStatus.EXPIRED: JobStatus.FAILED,
    JobStatus.ABANDONED: JobStatus.UNCONFIRMED,
}
"""The group of a display that counts a status which has none of its own."""


@frozen
class RunView:
    """A run at one moment.

    Attributes:
        owner: what is doing it; None if nothing is.
        snapshot: what a display shows.
        totals: the totals of its jobs.
        code: the exit code of a run that has ended.
    """

    owner: str | None
    snapshot: Snapshot
    totals: Totals
    code: ExitCode


def view_of_directory(here: RunDirectory, *, now: float) -> RunView:
    """Read a run directory.

    Args:
        here: the directory.
        now: the time in Unix seconds.

    Raises:
        InputError: it has no run.
        JournalError: its journal cannot be read.
    """
    owner = here.owner  # read first: what is read later is then at least as new as the end of the run
    metadata = here.read_metadata()
    began_at = _began_at(metadata)
    counter, ends = TotalsCounter(), _Ends(began_at)
    with here.read() as journal:
        for row in RunRows(here).of(journal):
            counter.add(row)
            ends.add(row)
    totals = counter.totals()
    progress = _progress(totals, elapsed=max(0.0, now - began_at), saved=ends.saved, per_second=ends.per_second(now))
    return RunView(
        owner, Snapshot(progress=progress, total=totals.jobs, recent=ends.results), totals, _code(metadata, totals)
    )


def view_of_counts(counts: QueueCounts, *, began_at: float, now: float) -> RunView:
    """Return the view of a run in a database, by its counts.

    Args:
        counts: the counts.
        began_at: when it was written, in Unix seconds.
        now: the time in Unix seconds.
    """
    totals = totals_of(counts, began_at=began_at)
    progress = _progress(totals, elapsed=max(0.0, now - began_at), saved=0, per_second=None)
    owner = "workers" if counts.chunks.is_open else None
    return RunView(owner, Snapshot(progress=progress, total=totals.jobs), totals, _code({}, totals))


class _Ends:
    """The ends of jobs since a run began: the newest ones, and the results of the last few."""

    def __init__(self, began_at: float) -> None:
        self._began_at = began_at
        self._newest = list[tuple[float, int, ReportRow]]()
        self.saved = 0

    def add(self, row: ReportRow) -> None:
        self.saved += row.saved_at is not None
        if row.finished_at is None or row.finished_at < self._began_at:
            return
        entry = row.finished_at, row.position, row
        if len(self._newest) < _RECENT:
            heappush(self._newest, entry)
        else:
            heappushpop(self._newest, entry)

    def per_second(self, now: float) -> float | None:
        """Return how fast jobs end at a time; None after too few ends."""
        if len(self._newest) < _MIN_RECENT:
            return None
        return len(self._newest) / max(0.001, now - self._newest[0][0])

    @property
    def results(self) -> tuple[RecentResult, ...]:
        """The last results, the newest last."""
        return tuple(_result(row) for _, _, row in sorted(self._newest)[-_SHOWN:])


def _result(row: ReportRow) -> RecentResult:
    group, files = _GROUPS.get(row.status, row.status), [*row.files, *row.objects]
    if files:
        return RecentResult(row.key, group, ", ".join(files), is_path=True)
    return RecentResult(row.key, group, row.cause or row.prompt)


def _progress(totals: Totals, *, elapsed: float, saved: int, per_second: float | None) -> Progress:
    counts = Counter[JobStatus]()
    for status, count in totals.statuses.items():
        counts[_GROUPS.get(status, status)] += count
    return Progress(
        total=totals.jobs,
        pulled=totals.jobs,
        planned=counts[JobStatus.PLANNED],
        submitting=counts[JobStatus.SUBMITTING],
        accepted=counts[JobStatus.ACCEPTED],
        succeeded=counts[JobStatus.SUCCEEDED],
        failed=counts[JobStatus.FAILED],
        unconfirmed=counts[JobStatus.UNCONFIRMED],
        saved=saved,
        throttled=0,
        elapsed=elapsed,
        per_second=per_second,
        remaining=None,
        spent=totals.spent + totals.at_risk if totals.jobs else Decimal(),
        unpriced=totals.unpriced,
    )


def _began_at(metadata: Mapping[str, object]) -> float:
    try:
        return datetime.fromisoformat(str(metadata.get("began_at"))).timestamp()
    except ValueError:
        return 0.0


def _code(metadata: Mapping[str, object], totals: Totals) -> ExitCode:
    """Return the code of a run that has ended; a run that was killed, or that has stored none, has that of its jobs."""
    stored = metadata.get("exit_code")
    if metadata.get("ended_at") is not None and isinstance(stored, int) and stored in set(ExitCode):
        return ExitCode(stored)
    return ExitCode.DONE if set(totals.statuses) <= {JobStatus.SUCCEEDED} else ExitCode.FAILED
