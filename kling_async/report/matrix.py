"""The jobs of a prompt matrix as labelled tables: two variables span each, the others tell the tables apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from .rows import ReportRow

__all__ = ["Grid", "lay_out"]


@frozen
class Grid:
    """A table of jobs.

    Attributes:
        labels: the values of the variables that do not span it, by name; none if only two vary.
        down: the variable whose values name the rows.
        across: the variable whose values name the columns.
        columns: the values across.
        lines: the value of each row, with the jobs of each of its cells.
    """

    labels: Mapping[str, str]
    down: str
    across: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[tuple[ReportRow, ...], ...]], ...]


def lay_out(rows: Sequence[ReportRow]) -> tuple[list[Grid], list[ReportRow]]:
    """Arrange jobs as tables, and return what belongs in none, in the order given.

    Variables are taken in the order of the prompt: the last two that vary span the tables, the one with fewer
    values across, as pages grow downwards.
    """
    values: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, value in row.labels.items():
            values.setdefault(name, {})[value] = None
    varying = [name for name, seen in values.items() if len(seen) > 1]
    if len(varying) < 2:
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
