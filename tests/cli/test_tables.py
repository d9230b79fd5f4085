"""Spreadsheets as people have them, on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from kling_async.testing import Sandbox

from .conftest import Run

Served = tuple[Sandbox, dict[str, str]]


def test_a_real_spreadsheet_is_run(run: Run, folder: Path, served: Served) -> None:
    """A workbook with columns of the user's own runs; these come back in the results and in the report."""
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    book = openpyxl.Workbook()
    for row in (["id", "prompt", "Client", "price"], [72, "a cat", "ACME", 12.5], [73, "a dog", "Byte & Co", 13]):
        book.active.append(row)
    book.save(folder / "book.xlsx")
    _, settings = served
    options = ("--column", "id=key", "--column", "price=", "-p", "apiinone")
    done = run("batch", "book.xlsx", *options, **settings)
    assert 0 == done.returncode, done.stderr
    with (folder / "book/results.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [("72", "ACME"), ("73", "Byte & Co")] == [(row["key"], row["label.Client"]) for row in rows]
    assert "price" not in "".join(rows[0])
    assert "Byte &amp; Co" in (folder / "book/report.html").read_text(encoding="utf-8")


def test_a_sheet_of_another_country(run: Run, folder: Path) -> None:
    """What cannot be told about a table is asked for, and can be said."""
    (folder / "jobs.csv").write_bytes('key^prompt^Клиент\nk1^кот^"ООО"\n'.encode("cp1251"))
    refused = run("plan", "jobs.csv", "-p", "apiinone")
    assert 2 == refused.returncode
    assert "name the encoding with --encoding" in refused.stderr
    planned = run("plan", "jobs.csv", "-p", "apiinone", "--encoding", "cp1251", "--delimiter", "^", "--json")
    assert 0 == planned.returncode, planned.stderr
    assert {"Клиент": "ООО"} == json.loads(planned.stdout)["labels"]


def test_faults_are_grouped(run: Run, folder: Path) -> None:
    """Ten rows with the same fault are one line, the header is no row, and --json tells each fault on stdout."""
    (folder / "jobs.csv").write_text("prompt,n\n" + "a cat,two\n" * 10, encoding="utf-8")
    told = run("plan", "jobs.csv", "-p", "apiinone")
    assert "jobs.csv:2-11: n: must be a whole number (is 'two') (10 rows)" in told.stderr
    assert 1 == told.stderr.count("must be a whole number")
    assert "10 lines of jobs.csv cannot be used" in told.stderr
    as_json = [json.loads(line) for line in run("plan", "jobs.csv", "-p", "apiinone", "--json").stdout.splitlines()]
    assert list(range(2, 12)) == [fault["line"] for fault in as_json]
    assert {"name", "line", "field", "problem"} == as_json[0].keys()


def test_plan_is_a_table(run: Run, folder: Path) -> None:
    """A plan has a line for each model, with count, price and total, the least time, and equal inputs."""
    rows = ["key,model,prompt", *(f"k{number},,cat {number}" for number in range(8)), "k8,,cat 0", "v,kling-3,a cat"]
    (folder / "jobs.csv").write_text("\n".join(rows), encoding="utf-8")
    done = run("plan", "jobs.csv", "-p", "apiinone")
    assert 0 == done.returncode, done.stderr
    lines = [line.split() for line in done.stderr.splitlines()]
    assert ["kling-image-o1", "apiinone", "9", "$0.012", "$0.108"] in lines
    assert any(line[:3] == ["kling-3.0-std", "apiinone", "1"] or line[1:3] == ["apiinone", "1"] for line in lines)
    assert "Submitting takes 1 s at least, at 2.0/s." in done.stderr
    assert "1 job has the input of an earlier job, such as k8." in done.stderr


def test_plan_has_only_options_that_mean_something(run: Run) -> None:
    """Options of a run, such as those of its display, are not offered."""
    told = run("plan", "--help").stdout
    assert all(option in told for option in ("--provider", "--price", "--max-cost", "--column", "--delimiter"))
    assert not any(option in told for option in ("--fail-fast", "--progress", "--download", "--retry-failed"))


def test_a_template(run: Run, folder: Path) -> None:
    """`schema --csv` prints a job file that can be planned at once."""
    (folder / "jobs.csv").write_text(run("schema", "image", "--csv").stdout, encoding="utf-8")
    assert 0 == run("plan", "jobs.csv", "-p", "apiinone").returncode


def test_verbose(run: Run, folder: Path, served: Served) -> None:
    """With -v each submission, end and save has a line on stderr; stdout has the paths only."""
    (folder / "jobs.csv").write_text("key,prompt\nk1,a cat\n", encoding="utf-8")
    _, settings = served
    told = [
        run("batch", "jobs.csv", "-p", "apiinone", "-o", "one", "-v", **settings),
        run("generate", "a dog", "-p", "apiinone", "-o", "two", "-v", **settings),
    ]
    for done in told:
        assert 0 == done.returncode, done.stderr
        assert [1] * 3 == [done.stderr.count(f"{word} key=") for word in ("accepted", "succeeded", "saved")]
        assert "key=" not in done.stdout
