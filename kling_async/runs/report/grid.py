"""Arrange the jobs of a prompt matrix as tables: two variables span each table, the others distinguish the tables.

Jobs at several providers or models are one table: a row for each prompt, and a column for each target.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import prod
from typing import Final

from attrs import frozen

from .comparison import TargetTotals, compare_targets, figures, prompt_of, target_of
from .rows import ReportRow
from .text import split_text

__all__ = ["Grid", "layout_grids"]


@frozen
class Grid:
    """A table of jobs.

    Attributes:
        labels: the values of the other variables by name; empty if only two variables vary.
        down: the variable whose values name the rows.
        across: the variable whose values name the columns.
        columns: the values of `across`.
        lines: for each row, its value of `down` and the jobs in each of its cells.
        totals: the totals of each column, where the columns are compared.
    """

    labels: Mapping[str, str]
    down: str
    across: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[tuple[ReportRow, ...], ...]], ...]
    totals: tuple[TargetTotals, ...] = ()

    @property
    def figures(self) -> dict[str, list[str]]:
        """The figures of the columns as text, by name."""
        return figures(self.totals)


_MAX_HEADING: Final = 120
_MAX_SPARSE: Final = 20
"""Cells of a table for each job, at most: labels that differ in every row, such as article numbers, make no table."""
"""Characters of a prompt that head its row; the cards have the rest."""


def layout_grids(
    rows: Sequence[ReportRow], *, targets: Sequence[TargetTotals] | None = None
) -> tuple[list[Grid], list[ReportRow]]:
    """Arrange jobs as tables; return the tables, and the jobs that belong in none, in the order given.

    Args:
        rows: the jobs.
        targets: the totals of each target, where the jobs are only some of the run; by default those of the jobs.
    """
    compared = _layout_comparison(rows, compare_targets(rows) if targets is None else targets)
    if compared is None:
        return _layout_variables(rows)
    grids, others = _layout_variables([row for row in rows if target_of(row) is None])
    return [compared, *grids], others


def _layout_comparison(rows: Sequence[ReportRow], totals: Sequence[TargetTotals]) -> Grid | None:
    """Arrange the jobs that have a target as one table; None unless there are two targets or more."""
    if not totals:
        return None
    headings: dict[Hashable, str] = {}
    cells: dict[tuple[Hashable, str], list[ReportRow]] = {}
    for row in rows:
        if (target := target_of(row)) is not None:
            prompt = prompt_of(row)
            headings.setdefault(prompt, _heading(row))
            cells.setdefault((prompt, target), []).append(row)
    columns = tuple(one.target for one in totals)
    lines = tuple(
        (heading, tuple(tuple(cells.get((prompt, column), ())) for column in columns))
        for prompt, heading in headings.items()
    )
    return Grid({}, "prompt", "target", columns, lines, tuple(totals))


def _heading(row: ReportRow) -> str:
    shown, rest = split_text(" ".join(row.prompt.split()), _MAX_HEADING)
    return f"{shown.rstrip()}…" if rest else shown or row.key


def _layout_variables(rows: Sequence[ReportRow]) -> tuple[list[Grid], list[ReportRow]]:
    """Arrange the jobs of a prompt matrix as tables.

    Variables are taken in the order of the prompt. The last two that vary span the tables. The one with fewer values
    goes across, because pages grow downwards.
    """
    values: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, value in row.labels.items():
            values.setdefault(name, {})[value] = None
    varying = [name for name, seen in values.items() if len(seen) > 1]
    if len(varying) < 2 or prod(len(values[name]) for name in varying) > _MAX_SPARSE * len(rows):
        return [], list(rows)
    down, across = sorted(varying[-2:], key=lambda name: -len(values[name]))
    sections: dict[tuple[str, ...], list[ReportRow]] = {}
    others: list[ReportRow] = []
    for row in rows:
        if row.labels.keys() >= set(varying):
            sections.setdefault(tuple(row.labels[name] for name in varying[:-2]), []).append(row)
        else:
            others.append(row)
    grids: list[Grid] = []
    for section, members in sections.items():
        cells: dict[tuple[str, str], list[ReportRow]] = {}
        for row in members:
            cells.setdefault((row.labels[down], row.labels[across]), []).append(row)
        columns = tuple(values[across])  # the same in every table, so that they can be compared
        lines = tuple(
            (value, tuple(tuple(cells.get((value, column), ())) for column in columns))
            for value in values[down]
            if any((value, column) in cells for column in columns)
        )
        grids.append(Grid(dict(zip(varying[:-2], section, strict=True)), down, across, columns, lines))
    return grids, others
