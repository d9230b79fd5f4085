"""Tables with a line for each target of a comparison: what it will cost, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.table import Table

from ..runs.jobfile import JobfileSummary, Row
from ..runs.report import ReportRow
from ..runs.report.comparison import TargetTotals, compare_targets, figures
from ..runs.targets import Target
from ..types.jobs import Job
from .console import escape, stderr, table_of
from .options import Options

__all__ = ["print_comparison", "print_targets"]

_HEADINGS: Final = {
    "succeeded": "ok",
    "unfinished": "open",
    "median time": "median\ntime",
    "per success": "per\nsuccess",
}
"""Headings of figures that leave room for the targets on a line of 80 characters."""


def print_targets(targets: Sequence[Target], jobs: Iterable[Job], options: Options) -> None:
    """Print the number of jobs at each target, and their expected cost."""
    at: dict[Target, list[Job]] = {target: [] for target in targets}
    for job in jobs:
        at.setdefault(Target(job.labels.get("provider"), job.labels.get("model")), []).append(job)
    table = table_of("target", "jobs", "expected cost")
    for target, own in at.items():
        summary = JobfileSummary(options.providers, prices=options.prices, storage=options.storage is not None)
        summary.add(Row("", 0, tuple(own)))
        table.add_row(escape(str(target)), f"{summary.jobs:,}", escape(str(summary.estimate)))
    stderr.print(table)


def print_comparison(rows: Iterable[ReportRow]) -> None:
    """Print the totals of each target, if jobs are compared."""
    targets = compare_targets(rows)
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
