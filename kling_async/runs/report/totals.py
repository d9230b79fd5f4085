"""Count the results of a run: jobs, money and time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from statistics import median

from attrs import frozen

from ...types.status import JobStatus
from .rows import STATUSES, ReportRow, Tone, tone_of

__all__ = ["Cause", "Totals", "count_causes", "count_totals"]

_AT_RISK = frozenset({JobStatus.RESOLVING, JobStatus.UNCONFIRMED, JobStatus.ABANDONED})
"""Statuses of jobs that may have been charged."""


@frozen(kw_only=True)
class Totals:
    """Totals of some jobs. Times are Unix seconds.

    Attributes:
        jobs: number of jobs.
        statuses: number of jobs by status.
        spent: the known cost in US dollars.
        at_risk: the possible cost of the unconfirmed and abandoned jobs, in US dollars.
        unpriced: number of jobs that succeeded at an unknown price.
        took: the median duration of a succeeded job, in seconds; None without one.
        began_at: when the first submission was sent.
        ended_at: when the last event happened.
    """

    jobs: int
    statuses: Mapping[JobStatus, int]
    spent: Decimal
    at_risk: Decimal
    unpriced: int
    took: float | None
    began_at: float | None
    ended_at: float | None

    def of(self, tone: Tone) -> int:
        """Count the jobs whose status has this tone."""
        return sum(self.kinds(tone).values())

    def kinds(self, tone: Tone) -> dict[JobStatus, int]:
        """Count the jobs whose status has this tone, by status."""
        return {status: count for status, count in self.statuses.items() if tone_of(status) == tone}

    @property
    def elapsed(self) -> float | None:
        """Seconds from the first submission to the last event."""
        return None if self.began_at is None or self.ended_at is None else self.ended_at - self.began_at


@frozen
class Cause:
    """Why some jobs did not succeed, what to do about it, and the number of jobs."""

    cause: str
    advice: str
    jobs: int


def count_totals(rows: Sequence[ReportRow]) -> Totals:
    """Count the totals of jobs."""
    statuses = Counter(row.status for row in rows)
    begins = (min(row.times) for row in rows if row.times)
    ends = (max(row.times) for row in rows if row.times)
    took = [row.took for row in rows if row.took is not None and row.status is JobStatus.SUCCEEDED]
    return Totals(
        jobs=len(rows),
        statuses={status: statuses[status] for status in STATUSES if status in statuses},
        spent=_sum(row.cost for row in rows if row.status not in _AT_RISK),
        at_risk=_sum(row.cost for row in rows if row.status in _AT_RISK),
        unpriced=sum(row.cost is None and row.status is JobStatus.SUCCEEDED for row in rows),
        took=median(took) if took else None,
        began_at=min(begins, default=None),
        ended_at=max(ends, default=None),
    )


def count_causes(rows: Iterable[ReportRow]) -> list[Cause]:
    """Count the causes of failure, the most frequent first."""
    bad = (row for row in rows if tone_of(row.status) is Tone.BAD)
    causes = Counter((row.cause or f"{row.status}, without a known cause", row.advice or "") for row in bad)
    return [Cause(cause, advice, jobs) for (cause, advice), jobs in causes.most_common()]


def _sum(costs: Iterable[Decimal | None]) -> Decimal:
    return sum((cost for cost in costs if cost is not None), Decimal())
