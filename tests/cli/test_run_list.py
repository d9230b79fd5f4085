"""`kling-async runs`: every run below a folder, whatever state it is in, and a choice of the fields."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kling_async.runs.directory import RunDirectory
from kling_async.runs.run_search import find_runs
from kling_async.testing import Sandbox

from .conftest import Type
from .test_runs import CALMLY, write


def test_all_runs_below_a_folder(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """Each run has its counts, its cost and its times, the latest first; a damaged one does not hide the others."""
    write("a.csv", {"x": "a cat", "y": "a dog [[refused]]"})
    write("b.csv", {"z": "an owl"})
    assert 1 == typed("batch", "a.csv", "-o", "work/first", *CALMLY)
    assert 0 == typed("batch", "b.csv", "-o", "work/deep/second", *CALMLY)
    assert 0 == typed("batch", "b.csv", "-o", "other", *CALMLY)
    capfd.readouterr()
    assert 0 == typed("runs", "work", "--json")
    second, first = map(json.loads, capfd.readouterr().out.splitlines())
    assert ["work/deep/second", "work/first"] == [second["run"], first["run"]]
    assert ({"succeeded": 1, "failed": 1}, 2, 0.012) == (first["statuses"], first["jobs"], first["spent"])
    assert first["began_at"] <= first["ended_at"] <= second["ended_at"]
    assert ("a.csv", None, None) == (first["job_file"], first["running"], first["error"])
    Path("other/journal.db").write_bytes(b"no journal at all" * 100)
    assert 0 == typed("runs", "--json", "run,error,spent")
    found = {one["run"]: one for one in map(json.loads, capfd.readouterr().out.splitlines())}
    assert ["run", "error", "spent"] == list(found["other"])
    assert "cannot be read" in found["other"]["error"]
    assert (None, 0.012) == (found["work/first"]["error"], found["work/first"]["spent"])
    assert 0 == typed("runs")
    told = capfd.readouterr()
    assert "1 succeeded, 1 failed" in " ".join(told.out.split())
    assert "other: The journal" in told.err
    assert 3 == sandbox.submits - 1


def test_wrong_fields_and_empty_folders(typed: Type, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An unknown field is refused with the known ones, and a folder without runs is no failure."""
    assert 2 == typed("runs", str(folder), "--json", "cost")
    assert "json='cost': must be one of run, job_file" in capfd.readouterr().err
    assert 0 == typed("runs", str(folder))
    told = capfd.readouterr()
    assert ("", True) == (told.out, told.err.startswith("No run below "))


def test_chosen_fields_of_a_status(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """A choice of fields has these in their order; without one all are there, and an unknown one is refused."""
    write("m.csv", {"a": "a cat"})
    assert 0 == typed("batch", "m.csv", *CALMLY)
    capfd.readouterr()
    assert 0 == typed("status", "m", "--json", "spent,statuses")
    assert [("spent", 0.012), ("statuses", {"succeeded": 1})] == list(json.loads(capfd.readouterr().out).items())
    assert 0 == typed("status", "m", "--json")
    assert {"job_file", "running", "spent", "statuses", "jobs"} <= json.loads(whole := capfd.readouterr().out).keys()
    assert 0 == typed("status", "--json", "m")
    assert whole == capfd.readouterr().out
    assert 2 == typed("status")
    assert 2 == typed("status", "m", "--json", "cost")
    assert "json='cost': must be one of job_file" in capfd.readouterr().err
    assert 1 == sandbox.submits


def test_where_runs_are_searched(folder: Path) -> None:
    """Runs are found once each: not in hidden folders, over links to folders, or inside another run."""
    for name in ("a", "a/inside", "b/c", ".hidden/d"):
        (folder / name).mkdir(parents=True)
        for file in ("jobs.jsonl", "run.json", "journal.db"):
            (folder / name / file).touch()
    (folder / "link").symlink_to(folder / "b", target_is_directory=True)
    found = [one.path.relative_to(folder).as_posix() for one in find_runs([folder, folder / "b", folder / "none"])]
    assert ["a", "b/c"] == found
    assert [folder / "a"] == [one.path for one in find_runs([RunDirectory(folder / "a").path])]
