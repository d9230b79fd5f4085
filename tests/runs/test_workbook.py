"""Workbooks: cells become what a job file has for them."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from kling_async import InputError
from kling_async.runs.jobfile import read_jobfile
from kling_async.runs.workbook import read_workbook

openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("python_calamine")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Write a workbook as people have it: a title, empty rows, numbers, dates, truths, and a hidden first sheet."""
    workbook = openpyxl.Workbook()
    workbook.active.title = "lists"
    workbook.active.sheet_state = "hidden"
    sheet = workbook.create_sheet("Jobs")
    rows = [
        ["key", "prompt", "n", "multi_shot", "Shooting day", "Client"],
        [None] * 6,
        [1001, "a cat, asleep", 2, True, date(2026, 5, 1), "ACME"],
        ["k2", "a dog\nawake", 1.0, False, datetime(2026, 5, 2, 9, 30), None],
    ]
    for row in rows:
        sheet.append(row)
    workbook.create_sheet("Other").append(["prompt"])
    workbook.save(tmp_path / "book.xlsx")
    return tmp_path / "book.xlsx"


def test_a_workbook_is_a_job_file(book: Path) -> None:
    """The first visible sheet is read; numbers are keys and counts, and other columns are labels."""
    rows = list(read_jobfile(read_workbook(book), name=book.name))
    assert [] == [str(fault) for row in rows for fault in row.faults]
    [first, second] = [job for row in rows for job in row.jobs]
    assert ("1001", "a cat, asleep", 2) == (first.key, first.input.prompt, first.input.n)
    assert {"Shooting day": "2026-05-01", "Client": "ACME"} == first.labels
    assert ("a dog\nawake", {"Shooting day": "2026-05-02T09:30:00"}) == (second.input.prompt, second.labels)
    assert [3, 4] == [row.line for row in rows]


def test_faults_have_the_number_of_the_row(book: Path) -> None:
    """A fault names the row as the spreadsheet counts it, also below empty rows."""
    workbook = openpyxl.load_workbook(book)
    workbook["Jobs"]["C4"] = "two"
    workbook.save(book)
    rows = read_jobfile(read_workbook(book), name=book.name)
    assert ["book.xlsx:4: n: must be a whole number (is 'two')"] == [str(one) for row in rows for one in row.faults]


def test_a_sheet_is_chosen(book: Path) -> None:
    """A sheet has its name; one that is not there is refused with those that are."""
    assert ["prompt"] == [cell for row in read_workbook(book, sheet="Other") for cell in row.cells]
    with pytest.raises(InputError, match="must be one of lists, Jobs, Other"):
        next(read_workbook(book, sheet="Sheet1"))


def test_a_file_that_is_no_workbook(tmp_path: Path) -> None:
    """What cannot be read is an error that names the file."""
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 and no more")
    for path in (tmp_path / "a.xlsx", tmp_path / "none.xlsx"):
        with pytest.raises(InputError, match=f"Cannot read .*{path.name}"):
            next(read_workbook(path))


def test_ods(tmp_path: Path) -> None:
    """A sheet of LibreOffice is read, too."""
    pytest.importorskip("odf")
    from odf.opendocument import OpenDocumentSpreadsheet  # noqa: PLC0415 - optional
    from odf.table import Table, TableCell, TableRow  # noqa: PLC0415
    from odf.text import P  # noqa: PLC0415

    document, table = OpenDocumentSpreadsheet(), Table(name="Jobs")
    for cells in (["prompt", "notes"], ["a cat", "for May"]):
        row = TableRow()
        for text in cells:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=text))
            row.addElement(cell)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    document.save(tmp_path / "jobs.ods")
    [row] = read_jobfile(read_workbook(tmp_path / "jobs.ods"), name="jobs.ods")
    assert [("a cat", {"notes": "for May"})] == [(job.input.prompt, job.labels) for job in row.jobs]
