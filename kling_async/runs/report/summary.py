"""What a report has of a run, gathered row by row: all figures, and the rows that get a card."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Self

from .comparison import TargetCounter
from .rows import ReportRow, Tone, tone_of
from .timeline import StateCounter
from .totals import CauseCounter, TotalsCounter

__all__ = ["RunSummary"]

_MAX_CARDS: Final = 10_000
"""Maximum number of jobs with a card: 100,000 make a file of 40 MB, which a browser lays out for 20 seconds."""


class RunSummary:
    """Counts the jobs of a run. Of its rows it keeps those that a report shows.

    Attributes:
        totals: those of all jobs.
        by_provider: the totals of each provider that was chosen.
        states: the number of jobs in each state over time.
        causes: the causes of failure.
        targets: the totals of each target, where jobs are compared.
        providers: all providers, with "" if none was chosen for a job.
        models: all models.
    """

    def __init__(self) -> None:
        self.totals = TotalsCounter()
        self.by_provider: dict[str, TotalsCounter] = {}
        self.states = StateCounter()
        self.causes = CauseCounter()
        self.targets = TargetCounter()
        self.providers: set[str] = set()
        self.models: set[str] = set()
        self._first: list[ReportRow] = []
        self._others: list[ReportRow] = []

    @classmethod
    def of(cls, rows: Iterable[ReportRow]) -> Self:
        """Return the summary of jobs, in their order in the run."""
        summary = cls()
        for row in rows:
            summary.add(row)
        return summary

    def add(self, row: ReportRow) -> None:
        """Count a job."""
        for counter in (self.totals, self.states, self.causes, self.targets):
            counter.add(row)
        if row.provider:
            self.by_provider.setdefault(row.provider, TotalsCounter()).add(row)
        self.providers.add(row.provider)
        self.models.add(row.model)
        kept = self._first if tone_of(row.status) in (Tone.BAD, Tone.DOUBT) else self._others
        if len(kept) < _MAX_CARDS:
            kept.append(row)

    def shown(self) -> list[ReportRow]:
        """Return the jobs with a card, in their order: of too many, those that failed or are unconfirmed come first."""
        chosen = [*self._first, *self._others[: _MAX_CARDS - len(self._first)]]
        return sorted(chosen, key=lambda row: row.position)
