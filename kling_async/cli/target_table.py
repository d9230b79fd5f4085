"""Tables with a line for each target of a comparison: what it will cost, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from ..runs.jobfile import JobfileSummary, Row
from ..runs.report.comparison import TargetTotals, figures
from ..runs.targets import Target
from ..types.jobs import Job
from .console import escape, stderr, table_of
from .options import Options

__all__ = ["TargetCosts", "print_comparison"]

_HEADINGS: Final = {
    "succeeded": "ok",
    "unfinished": "open",
    "median time": "median\ntime",
    "per success": "per\nsuccess",
}
"""Headings of figures that leave room for the targets on a line of 80 characters."""


class TargetCosts:
    """Counts the jobs at each target, and adds up their expected cost; it keeps no job.

    Args:
        targets: where each row runs; without one nothing is counted.
        options: the providers and prices of the jobs.
    """

    def __init__(self, targets: Sequence[Target], options: Options) -> None:
        self._options = options
        self._at = {target: _summary(options) for target in targets}

    def add(self, job: Job) -> None:
        """Count a job."""
        if self._at:
            target = Target(job.labels.get("provider"), job.labels.get("model"))
            self._at.setdefault(target, _summary(self._options)).add(Row("", 0, (job,)))

    def print(self) -> None:
        """Print the number of jobs at each target, and their expected cost."""
        if self._at:
            table = table_of("target", "jobs", "expected cost")
            for target, summary in self._at.items():
                table.add_row(escape(str(target)), f"{summary.jobs:,}", escape(str(summary.estimate)))
            stderr.print(table)


def _summary(options: Options) -> JobfileSummary:
    return JobfileSummary(options.providers, prices=options.prices, storage=options.storage is not None)


def print_comparison(targets: Sequence[TargetTotals]) -> None:
    """Print the totals of each target, if jobs are compared."""
    if not targets:
        return
    table = _comparison_table(targets, colon=":")
    if stderr.measure(table).maximum > stderr.width:
        table = _comparison_table(targets, colon=":\n ")
    stderr.print(table)


def _comparison_table(targets: Sequence[TargetTotals], *, colon: str) -> Table:
    texts = figures(targets)
    table = table_of("target", *(_HEADINGS.get(name, name) for name in texts))
    for one, *line in zip(targets, *texts.values(), strict=True):
        table.add_row(escape(one.target.replace(":", colon, 1)), *map(escape, line))
    return table
