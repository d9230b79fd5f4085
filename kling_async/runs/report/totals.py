"""Count the results of a run, row by row: jobs, money and time."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from statistics import median

from attrs import frozen

from ...types.status import JobStatus
from .rows import STATUSES, ReportRow, Tone, tone_of

__all__ = ["Cause", "CauseCounter", "Totals", "TotalsCounter", "count_causes", "count_totals"]

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
        replaced: number of jobs with another input in the place of a refused one.
    """

    jobs: int
    statuses: Mapping[JobStatus, int]
    spent: Decimal
    at_risk: Decimal
    unpriced: int
    took: float | None
    began_at: float | None
    ended_at: float | None
    replaced: int = 0

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


class TotalsCounter:
    """Counts the totals of jobs, of which it keeps no row: only eight bytes for the duration of each."""

    def __init__(self) -> None:
        self._statuses = Counter[JobStatus]()
        self._spent = self._at_risk = Decimal()
        self._unpriced = self._replaced = 0
        self._took = array("d")
        self._began_at: float | None = None
        self._ended_at: float | None = None

    def add(self, row: ReportRow) -> None:
        """Count a job."""
        self._statuses[row.status] += 1
        self._replaced += row.refused_prompt is not None
        succeeded = row.status is JobStatus.SUCCEEDED
        if row.cost is None:
            self._unpriced += succeeded
        elif row.status in _AT_RISK:
            self._at_risk += row.cost
        else:
            self._spent += row.cost
        if succeeded and (took := row.took) is not None:
            self._took.append(took)
        if times := row.times:
            first, last = min(times), max(times)
            self._began_at = first if self._began_at is None else min(self._began_at, first)
            self._ended_at = last if self._ended_at is None else max(self._ended_at, last)

    def totals(self) -> Totals:
        """Return the totals so far."""
        return Totals(
            jobs=self._statuses.total(),
            statuses={status: self._statuses[status] for status in STATUSES if status in self._statuses},
            spent=self._spent,
            at_risk=self._at_risk,
            unpriced=self._unpriced,
            replaced=self._replaced,
            took=median(self._took) if self._took else None,
            began_at=self._began_at,
            ended_at=self._ended_at,
        )


def count_totals(rows: Iterable[ReportRow]) -> Totals:
    """Count the totals of jobs."""
    counter = TotalsCounter()
    for row in rows:
        counter.add(row)
    return counter.totals()


class CauseCounter:
    """Counts the causes of failure; it keeps each different one."""

    def __init__(self) -> None:
        self._causes = Counter[tuple[str, str]]()

    def add(self, row: ReportRow) -> None:
        """Count a job, if it failed."""
        if tone_of(row.status) is Tone.BAD:
            self._causes[row.cause or f"{row.status}, without a known cause", row.advice or ""] += 1

    def causes(self) -> list[Cause]:
        """Return the causes so far, the most frequent first."""
        return [Cause(cause, advice, jobs) for (cause, advice), jobs in self._causes.most_common()]


def count_causes(rows: Iterable[ReportRow]) -> list[Cause]:
    """Count the causes of failure, the most frequent first."""
    counter = CauseCounter()
    for row in rows:
        counter.add(row)
    return counter.causes()
