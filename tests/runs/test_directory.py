"""What a run's folder holds for others to read: one line per job, and cells that are text."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from kling_async import ImageInput, Job
from kling_async.runs.directory import RunDirectory
from kling_async.runs.report import ReportRow
from kling_async.runs.run_results import write_results
from kling_async.types.status import JobStatus

MADE_AT = datetime(2026, 11, 29, tzinfo=UTC)
ENDS = "a\nb\rc\vd\fe\x1cf\x1dg\x1eh\x85i\u2028j\u2029k\r\nl\ud83d"
"""Everything that splits lines, and half of a surrogate pair."""


def written(path: Path, row: ReportRow) -> RunDirectory:
    """Write a folder with one row."""
    folder = RunDirectory(path)
    folder.write_jobs([Job(ImageInput(row.prompt), key="a", labels=row.labels)])
    write_results(folder, [row], title="Run", settings={}, made_at=MADE_AT)
    return folder


def row_of(text: str, *, status: JobStatus = JobStatus.FAILED) -> ReportRow:
    """Make a row of a text in every place that may hold one."""
    return ReportRow(
        key="a",
        position=0,
        provider=text,
        model=text,
        kind="image",
        prompt=text,
        status=status,
        failure=text,
        cause=text,
        advice=text,
        id=text,
        outputs=(text, text),
        files=(text,),
        cost=Decimal("-0.5"),
        labels={"name": text},
    )


@pytest.mark.parametrize(
    "text", [f"{sign}1+1" for sign in ("=", "+", "-", "@", "\t=", "\r=", "\n=", "\uff1d", "\uff0b", "\uff0d", "\uff20")]
)
def test_no_cell_is_a_formula(tmp_path: Path, text: str) -> None:
    """Whatever begins like a formula is marked as text in every column of the CSV; numbers stay numbers."""
    written(tmp_path, row_of(text))
    with (tmp_path / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        [row] = csv.DictReader(file)
    texts = {"failure", "provider", "model", "prompt", "id", "files", "error", "advice", "label.name"}
    assert dict.fromkeys(texts, f"'{text}") == {name: row[name] for name in texts}
    assert f"'{text}|{text}" == row["outputs"]
    assert ("-0.5", "1") == (row["cost"], row["attempts"])


@pytest.mark.parametrize("name", ["results.jsonl", "failed.jsonl", "jobs.jsonl"])
def test_a_job_is_one_line(tmp_path: Path, name: str) -> None:
    """JSONL has one line per job for all that splits lines, and holds the texts as they are."""
    written(tmp_path, row_of(ENDS))
    text = (tmp_path / name).read_bytes().decode("utf-8")
    [line] = text.splitlines()
    assert ENDS == json.loads(line)["prompt"]


def test_a_text_that_is_none_of_these_stays(tmp_path: Path) -> None:
    """What people write in any script stays readable in both."""
    written(tmp_path, row_of("猫 – a=b, 'quoted'"))
    assert "猫 – a=b, 'quoted'" in (tmp_path / "results.jsonl").read_text(encoding="utf-8")
    assert "猫 – a=b, 'quoted'" in (tmp_path / "results.csv").read_text(encoding="utf-8-sig")
