"""Jobs of a prompt matrix, laid out as tables."""

from __future__ import annotations

from itertools import product

import pytest

from kling_async.runs.report.grid import layout_grids


@pytest.fixture
def make_rows(make_row):
    """Make a row for each combination of values."""

    def making(**variables):
        return [
            make_row(key="-".join(values), position=place, labels=dict(zip(variables, values, strict=True)))
            for place, values in enumerate(product(*variables.values()))
        ]

    return making


def keys(grid):
    return [[[row.key for row in cell] for cell in cells] for _, cells in grid.lines]


def test_two_variables_make_one_table(make_rows) -> None:
    """The variable with fewer values goes across, and every job stands where its labels say."""
    [grid], others = layout_grids(make_rows(light=["dawn", "dusk"], animal=["fox", "cat", "owl"]))
    assert ("animal", "light", ("dawn", "dusk")) == (grid.down, grid.across, grid.columns)
    assert ["fox", "cat", "owl"] == [value for value, _ in grid.lines]
    assert [[["dawn-fox"], ["dusk-fox"]], [["dawn-cat"], ["dusk-cat"]], [["dawn-owl"], ["dusk-owl"]]] == keys(grid)
    assert [] == others
    assert {} == grid.labels


def test_more_variables_make_sections(make_rows) -> None:
    """The last two variables span each table; the others name it."""
    grids, others = layout_grids(
        make_rows(style=["ink", "oil"], size=["s"], animal=["fox", "cat"], light=["dawn", "dusk"])
    )
    assert [{"style": "ink"}, {"style": "oil"}] == [grid.labels for grid in grids]
    assert all((grid.down, grid.across) == ("animal", "light") for grid in grids)
    assert [] == others


def test_a_table_shows_what_is_missing_and_what_is_there_twice(make_rows) -> None:
    """An empty cell stays empty, two jobs share a cell, and a value that a section lacks makes no row in it."""
    rows = make_rows(style=["ink", "oil"], animal=["fox", "cat"], light=["dawn", "dusk"])
    kept = [row for row in rows if row.key not in ("ink-fox-dusk", "oil-cat-dawn", "oil-cat-dusk")]
    ink, oil = layout_grids([*kept, kept[0]])[0]
    assert [["ink-fox-dawn", "ink-fox-dawn"], []] == keys(ink)[0]
    assert [["oil-fox-dawn"], ["oil-fox-dusk"]] == keys(oil)[0]
    assert 1 == len(oil.lines)


def test_what_is_no_matrix_stays_as_it_is(make_row, make_rows) -> None:
    """Less than two varying labels make no table, and jobs without them are left for the usual cards."""
    for rows in ([], [make_row()], make_rows(animal=["fox", "cat"]), make_rows(animal=["fox", "cat"], light=["dawn"])):
        assert ([], rows) == layout_grids(rows)
    plain = make_row(key="plain")
    [_], others = layout_grids([plain, *make_rows(animal=["fox", "cat"], light=["dawn", "dusk"])])
    assert [plain] == others


def test_labels_that_differ_in_every_row_make_no_table(make_row) -> None:
    """Columns of a user's own, such as an article number, would make a table that is nearly empty."""
    rows = [make_row(key=str(at), position=at, labels={"sku": f"A{at}", "day": f"{at}"}) for at in range(100)]
    assert ([], rows) == layout_grids(rows)
