"""No row of the matrix is silently skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from .rows import ROWS, Row, proofs

HERE = Path(__file__).parent
PROOFS = proofs(HERE)


def test_all_rows_are_there() -> None:
    """The matrix has 62 rows, in order."""
    assert list(range(1, 63)) == [row.number for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number}")
def test_each_row_is_proven_or_says_why_not(row: Row) -> None:
    """A row has tests that can pass, or the table says why it has none; never both, and never neither."""
    tests = PROOFS.get(row.number, [])
    assert bool(row.missing) != any(not one.pending for one in tests)


@pytest.mark.parametrize("number", PROOFS)
def test_each_test_belongs_to_a_row(number: int) -> None:
    """A test that is named after a row is named after one that exists, and says its rule."""
    assert number in {row.number for row in ROWS}
    assert all(one.says.endswith(".") for one in PROOFS[number])


def test_a_gap_would_be_found(tmp_path: Path) -> None:
    """A row whose only test is marked as failing is not proven."""
    marked = '@pytest.mark.xfail(reason="not yet")\nasync def test_row_07_x():\n    """It holds."""\n'
    (tmp_path / "test_x.py").write_text(marked + "def test_row_08_y():\n    pass\n", encoding="utf-8")
    found = proofs(tmp_path)
    assert ["not yet"] == [one.pending for one in found[7]]
    assert ["It holds."] == [one.says for one in found[7]]
    assert [""] == [one.pending for one in found[8]]
