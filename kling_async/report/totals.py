"""What a run came to: counts, money and time, of all jobs and of each provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from statistics import median

from attrs import frozen

from .rows import STATUSES, ReportRow, Tone, tone_of

__all__ = ["Cause", "Totals", "count_causes", "count_totals"]

_AT_RISK = frozenset({"unconfirmed", "abandoned"})
"""Statuses of jobs that may have been charged."""


@frozen(kw_only=True)
class Totals:
    """What some jobs came to.

    Attributes:
        jobs: how many they are.
        statuses: how many have each status.
        spent: what they cost, as far as it is known.
        at_risk: what those that are unconfirmed or abandoned may have cost.
        unpriced: how many succeeded at a price that is not known.
        took: the median time that a job took, in seconds; None if none ended.
        began_at: when the first submission left.
        ended_at: when the last thing happened.
    """

    jobs: int
    statuses: Mapping[str, int]
    spent: Decimal
    at_risk: Decimal
    unpriced: int
    took: float | None
    began_at: float | None
    ended_at: float | None

    def of(self, tone: Tone) -> int:
        """Count the jobs whose status means this."""
        return sum(self.kinds(tone).values())

    def kinds(self, tone: Tone) -> dict[str, int]:
        """Count the jobs whose status means this, by status."""
        return {status: count for status, count in self.statuses.items() if tone_of(status) == tone}

    @property
    def elapsed(self) -> float | None:
        """Seconds from the first submission to the last thing that happened."""
        return None if self.began_at is None or self.ended_at is None else self.ended_at - self.began_at


@frozen
class Cause:
    """Why some jobs did not succeed, what to do about it, and how many they are."""

    cause: str
    advice: str
    jobs: int


def count_totals(rows: Sequence[ReportRow]) -> Totals:
    """Count what jobs came to."""
    statuses = Counter(row.status for row in rows)
    known = [*STATUSES, *sorted(statuses.keys() - STATUSES.keys())]
    times = [at for row in rows for at in row.times]
    took = [row.took for row in rows if row.took is not None and row.status == "succeeded"]
    return Totals(
        jobs=len(rows),
        statuses={status: statuses[status] for status in known if status in statuses},
        spent=_sum(row.cost for row in rows if row.status not in _AT_RISK),
        at_risk=_sum(row.cost for row in rows if row.status in _AT_RISK),
        unpriced=sum(row.cost is None and row.status == "succeeded" for row in rows),
        took=median(took) if took else None,
        began_at=min(times, default=None),
        ended_at=max(times, default=None),
    )


def count_causes(rows: Iterable[ReportRow]) -> list[Cause]:
    """Count why jobs did not succeed, the most frequent cause first."""
    bad = (row for row in rows if tone_of(row.status) is Tone.BAD)
    causes = Counter((row.cause or f"{row.status}, no cause was given", row.advice or "") for row in bad)
    return [Cause(cause, advice, jobs) for (cause, advice), jobs in causes.most_common()]


def _sum(costs: Iterable[Decimal | None]) -> Decimal:
    return sum((cost for cost in costs if cost is not None), Decimal())
