"""`kling-async retry`: jobs of a run again, as they are or edited, each paid once more and never by a resume."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kling_async.testing import Sandbox

from .conftest import Type
from .test_runs import CALMLY, rows, statuses, write

QUIET = ("--progress", "none")


def attempts(folder: Path) -> dict[str, int]:
    """Return the number of submissions of each job."""
    lines = (folder / "results.jsonl").read_text().splitlines()
    return {row["key"]: row["attempts"] for row in map(json.loads, lines)}


def test_a_changed_job_is_paid_once_more_and_the_job_file_still_fits(typed: Type, sandbox: Sandbox) -> None:
    """A job that failed at the provider is edited and run: the first job file, and a resume, then send nothing."""
    write("m.csv", {"a": "a cat", "b": "a dog [[failed:no luck]]", "c": "an owl"})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    assert 0 == typed("retry", "m", "--set", "prompt=a wolf", *QUIET)
    assert {"a": "a cat", "b": "a wolf", "c": "an owl"} == rows(Path("m"))
    assert {"a": 1, "b": 2, "c": 1} == attempts(Path("m"))
    before = sandbox.submits
    assert 0 == typed("resume", "m", *QUIET)
    assert 0 == typed("batch", "m.csv", *CALMLY)
    assert (before, "a wolf") == (sandbox.submits, rows(Path("m"))["b"])
    assert 1 == sandbox.billed("a wolf")


def test_a_job_that_succeeded_needs_a_change(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """Without one nothing is sent; after one that was refused, the first job file does not pay for the old input."""
    write("m.csv", {"a": "a cat", "b": "a dog"})
    assert 0 == typed("batch", "m.csv", *CALMLY)
    assert 2 == typed("retry", "m", "a", *QUIET)
    assert "has succeeded with this input" in capfd.readouterr().err
    assert 2 == typed("retry", "m", "a", "--set", "prompt=a cat", *QUIET)
    assert 2 == sandbox.submits
    assert 1 == typed("retry", "m", "a", "--set", "prompt=a cat [[refused]]", *QUIET)
    before = sandbox.billed("a cat"), sandbox.billed("a dog")
    assert 1 == typed("batch", "m.csv", *CALMLY)
    assert (1, 1) == before == (sandbox.billed("a cat"), sandbox.billed("a dog"))
    assert 0 == typed("retry", "m", "a", "--set", "prompt=a fox", *QUIET)
    assert {"a": "succeeded", "b": "succeeded"} == statuses(Path("m"))
    assert 1 == sandbox.billed("a fox")


def test_only_the_named_jobs_are_retried(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """Other failures stay; an unknown key, a run without failures and a missing run are refused before sending."""
    write("m.csv", {"a": "a cat [[failed:no luck]]", "b": "a dog [[failed:no luck]]"})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    assert 1 == typed("retry", "m", "b", *QUIET)
    assert {"a": 1, "b": 2} == attempts(Path("m"))
    before = sandbox.submits
    assert 2 == typed("retry", "m", "b", "z", *QUIET)
    assert "key='z': is not in that run" in capfd.readouterr().err
    assert 0 == typed("retry", "m", "--set", "prompt=a fox", *QUIET)
    assert before + 2 == sandbox.submits
    assert 2 == typed("retry", "m", *QUIET)
    assert 'No job of "m" failed' in capfd.readouterr().err
    assert 2 == typed("retry", "nothing", *QUIET)
    assert before + 2 == sandbox.submits


def test_a_fault_of_an_edit_changes_nothing(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """A setting that does not fit is told with its line, and the stored jobs stay."""
    write("m.csv", {"a": "a cat", "b": "a dog [[refused]]"})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    stored, before = Path("m/jobs.jsonl").read_bytes(), sandbox.submits
    assert 2 == typed("retry", "m", "--set", "n=99", *QUIET)
    assert "jobs.jsonl:2: n:" in capfd.readouterr().err
    assert (stored, before) == (Path("m/jobs.jsonl").read_bytes(), sandbox.submits)


def test_a_retry_that_the_budget_stopped_goes_on(
    typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """The last line is the command that retries the rest, also edited jobs, within the amount that it names."""
    write("m.csv", {key: f"{key} [[failed:no luck]]" for key in ("a", "b", "c")})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    edit = ("--set", "prompt=a fox", "--max-cost", "0.012", "--max-open", "1", *QUIET)
    assert 4 == typed("retry", "m", "b", "c", *edit)
    told = " ".join(capfd.readouterr().err.split())
    assert "1 job not retried. Retry with: kling-async retry m c --max-cost 0.024" in told, told
    before = sandbox.submits
    assert 0 == typed("retry", "m", "c", "--max-cost", "0.024", *QUIET)
    assert (before + 1, {"a": 1, "b": 2, "c": 2}) == (sandbox.submits, attempts(Path("m")))


def test_what_may_be_paid_is_not_retried(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """An unconfirmed submission is resolved first, and one that was abandoned stays so."""
    write("m.csv", {"a": "a cat [[lost]]", "b": "a dog"})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    before = sandbox.submits
    assert 2 == typed("retry", "m", "a", "--set", "prompt=a fox", *QUIET)
    assert "resolve it with kling-async unconfirmed m" in capfd.readouterr().err
    assert 0 == typed("unconfirmed", "m", "abandon", "a")
    assert 2 == typed("retry", "m", "a", *QUIET)
    assert "was abandoned" in capfd.readouterr().err
    assert before == sandbox.submits
