"""One directory, one run: which job files belong to it, and what happens to rows that are given again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kling_async.runs.directory import RunDirectory
from kling_async.testing import Sandbox

from .conftest import Type

CALMLY = ("--progress", "none", "-p", "apiinone")
CATS = {f"k{n}": f"a cat, number {n}" for n in range(1, 7)}

EDITOR = """
import sys, pathlib
file = pathlib.Path(sys.argv[1])
file.write_text(file.read_text().replace("[[refused]]", "mended"))
"""
"""Edits a job file as a person does."""


def write(name: str, prompts: dict[str, str], folder: Path | None = None) -> None:
    """Write a CSV job file of prompts by key."""
    lines = ["key,prompt", *(f'{key},"{prompt}"' for key, prompt in prompts.items())]
    ((folder or Path()) / name).write_text("\n".join(lines) + "\n")


def rows(folder: Path) -> dict[str, str]:
    """Return the prompts that a folder keeps, by key and in order."""
    lines = (folder / "jobs.jsonl").read_text().splitlines()
    return {row["key"]: row["prompt"] for row in map(json.loads, lines)}


def statuses(folder: Path) -> dict[str, str]:
    """Return the status of each job, in the order of the results."""
    lines = (folder / "results.jsonl").read_text().splitlines()
    return {row["key"]: row["status"] for row in map(json.loads, lines)}


def failures(folder: Path) -> dict[str, str | None]:
    """Return the kind of failure of each job that has failed."""
    lines = (folder / "results.jsonl").read_text().splitlines()
    return {row["key"]: row["failure"] for row in map(json.loads, lines) if row["status"] == "failed"}


def about(folder: Path) -> dict[str, Any]:
    """Return what a folder says of its run."""
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def commands_of(section: str) -> str:
    """Return what a section of the guide has its readers type."""
    guide = (Path(__file__).parents[2] / "docs/howto/command_line.md").read_text(encoding="utf-8")
    block = guide.partition(f"## {section}\n")[2].partition("```console\n")[2].partition("```")[0]
    return "".join(line.removeprefix("$ ") for line in block.splitlines(keepends=True))


def test_what_failed_is_mended_as_the_guide_says(
    typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """Mend failed.jsonl and feed it back: every row, their order and the title stay, and nothing is paid twice."""
    write("jobs.csv", CATS | {"k2": "a cat [[refused]]"})
    first = ("batch", "jobs.csv", "--fail-fast", "--max-open", "2", *CALMLY)
    assert 1 == typed(*first)
    jobs = Path("jobs")
    assert {"k2": "failed", "k6": "planned"}.items() <= statuses(jobs).items()
    assert {"k2": "refused"} == failures(jobs)
    script = commands_of("Correct failed jobs")
    assert script.endswith("kling-async batch fixed.jsonl -o jobs\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    Path("editor.py").write_text(EDITOR)
    env = os.environ | {"PATH": path, "EDITOR": f"{sys.executable} editor.py"}
    capfd.readouterr()
    subprocess.run(["/bin/sh", "-ec", script], env=env, check=True, timeout=60)
    told = capfd.readouterr().err
    assert "the run of jobs.csv, which has 6 jobs" in told
    assert "kling-async resume jobs" in told
    assert 0 == typed("status", "jobs", "--json")
    status = json.loads(capfd.readouterr().out)
    assert ("jobs.csv", 6) == (status["job_file"], status["jobs"])
    assert list(CATS) == list(statuses(jobs))
    assert {"k2": "succeeded", "k6": "planned"}.items() <= statuses(jobs).items()
    assert 0 == typed("resume", "jobs", "--progress", "none")
    assert dict.fromkeys(CATS, "succeeded") == statuses(jobs)
    assert 0 == typed("report", "jobs")
    assert "Run of jobs.csv" in (jobs / "report.html").read_text()
    before = sandbox.submits
    assert (0, before) == (typed(*first), sandbox.submits)
    assert "1 row edited in the directory since" in capfd.readouterr().err
    assert CATS | {"k2": "a cat mended"} == rows(jobs)
    assert all(sandbox.billed(prompt) == 1 for prompt in rows(jobs).values())


def test_a_mended_row_is_not_taken_back_before_it_is_sent(typed: Type, sandbox: Sandbox) -> None:
    """The first sheet leaves a mend alone that was not sent yet; --accept-changed takes the sheet's row."""
    write("m.csv", {"a": "a cat [[refused]]", "b": "a dog"})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    write("fixed.csv", {"a": "a cat"})
    RunDirectory(Path("m")).write_jobs([*_jobs("fixed.csv"), *_jobs("m.csv")[1:]])
    assert 0 == typed("batch", "m.csv", *CALMLY)
    assert ({"a": "a cat", "b": "a dog"}, 1) == (rows(Path("m")), sandbox.billed("a cat"))
    typed("batch", "m.csv", "--accept-changed", *CALMLY)
    assert "a cat [[refused]]" == rows(Path("m"))["a"]


def _jobs(sheet: str) -> list[Any]:
    from kling_async.runs.jobfile import read_jobfile  # noqa: PLC0415

    with Path(sheet).open("rb") as lines:
        return [job for row in read_jobfile(lines, name=sheet) for job in row.jobs]


def test_only_the_rows_of_a_correction_are_run(typed: Type, sandbox: Sandbox) -> None:
    """A sheet of some rows sends these alone, with the settings of the run; the others stay as they were."""
    write("m.csv", CATS)
    assert 4 == typed("batch", "m.csv", "--max-cost", "0.012", *CALMLY)
    write("some.csv", {"k5": "a dog", "k3": CATS["k3"]})
    assert 4 == typed("batch", "some.csv", "-o", "m", "--progress", "none")
    assert 1 == sandbox.submits
    assert 0 == typed("batch", "some.csv", "-o", "m", "--progress", "none", "--max-cost", "0.036")
    assert CATS | {"k5": "a dog"} == rows(Path("m"))
    assert [*"spspsp"] == [status[0] for status in statuses(Path("m")).values()]
    assert ("m.csv", ["apiinone"], 6) == (about(Path("m"))["sheet"], about(Path("m"))["settings"]["provider"], 6)


def test_another_job_file_is_rejected_without_merge(
    typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """Any key that the run does not know makes it another sheet: nothing is sent or changed, and three are named."""
    write("m.csv", {"a": "a cat", "b": "a dog"})
    assert 0 == typed("batch", "m.csv", *CALMLY)
    kept = {path: path.read_bytes() for path in Path("m").iterdir() if path.is_file()}
    other = {"a": "another cat", "z1": "a fox", "z2": "an owl", "z3": "an elk", "z4": "a bee"}
    write("other.csv", other)
    capfd.readouterr()
    assert 2 == typed("batch", "other.csv", "-o", "m", *CALMLY)
    told = capfd.readouterr().err
    for word in ('"m" has the run of m.csv', "4 of the 4 jobs", "z1", "z2", "z3", "--merge", "-o", "Nothing was sent"):
        assert word in told, told
    assert "z4" not in told
    assert kept == {path: path.read_bytes() for path in Path("m").iterdir() if path.is_file()}
    assert 2 == sandbox.submits
    write("other.csv", other | {"a": "a cat"})
    assert 0 == typed("batch", "other.csv", "-o", "m", "--merge", *CALMLY)
    assert ["a", "b", "z1", "z2", "z3", "z4"] == list(rows(Path("m"))) == list(statuses(Path("m")))
    assert ("m.csv", 6, 6) == (about(Path("m"))["sheet"], about(Path("m"))["jobs"], sandbox.submits)


def test_a_row_without_a_key_is_mended_where_it_has_one(
    typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the sheet itself such a row becomes a new one, and the refusal says where to mend it instead."""
    Path("m.csv").write_text("prompt\na cat\na dog [[refused]]\n")
    assert 1 == typed("batch", "m.csv", *CALMLY)
    Path("m.csv").write_text("prompt\na cat\na dog\n")
    assert 2 == typed("batch", "m.csv", *CALMLY)
    assert "Edit it in m/failed.jsonl" in " ".join(capfd.readouterr().err.split())
    failed = Path("m/failed.jsonl")
    failed.write_text(failed.read_text().replace(" [[refused]]", ""))
    assert 0 == typed("batch", str(failed), *CALMLY)
    assert ["a cat", "a dog"] == list(rows(Path("m")).values())
    assert (1, 1) == (sandbox.billed("a cat"), sandbox.billed("a dog"))


def test_a_directory_is_named_after_its_job_file(typed: Type, sandbox: Sandbox) -> None:
    """Without -o each sheet has a folder of its own; one without a suffix has `out`, as stdin has."""
    Path("sheets").mkdir()
    for name in ("a.csv", "sheets/b.2.csv", "c"):
        write(name, {"x": f"a cat of {name}"})
        assert 0 == typed("batch", name, *CALMLY)
    assert all(RunDirectory(Path(name)).holds_run for name in ("a", "b.2", "out"))
    assert 3 == sandbox.submits


@pytest.mark.parametrize("sheet", ["m.csv", "elsewhere/m.csv", "copy.csv"])
def test_a_run_in_the_former_folder_is_not_paid_again(
    typed: Type, sandbox: Sandbox, sheet: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """If `out` holds a run of the sheet, by its name or by a key, nothing is sent, and `-o out` is named."""
    Path("elsewhere").mkdir()
    write("m.csv", {"a": "a cat"})
    assert 0 == typed("batch", "m.csv", "-o", "out", *CALMLY)
    write(sheet, {"z" if sheet.startswith("else") else "a": "a cat"})
    assert 2 == typed("batch", sheet, *CALMLY)
    assert "-o out" in " ".join(capfd.readouterr().err.split())
    assert (1, False, False) == (sandbox.submits, Path("m").exists(), Path("copy").exists())
    assert 0 == typed("batch", "m.csv", "-o", "out", *CALMLY)
    assert 1 == sandbox.submits
    write("other.csv", {"b": "a dog"})
    assert 0 == typed("batch", "other.csv", *CALMLY)
    assert 0 == typed("batch", sheet, "-o", "own", *CALMLY)
    assert 3 == sandbox.submits


def test_what_a_limit_left_out_belongs_to_the_run(typed: Type, sandbox: Sandbox) -> None:
    """After `--limit` the whole sheet is no other sheet, and a row that was added to it is."""
    write("m.csv", CATS)
    assert 0 == typed("batch", "m.csv", "--limit", "2", *CALMLY)
    assert 0 == typed("resume", "m", "--progress", "none")
    assert (2, ["k1", "k2"]) == (sandbox.submits, list(rows(Path("m"))))
    assert 0 == typed("batch", "m.csv", "--limit", "3", *CALMLY)
    write("m.csv", CATS | {"k7": "one more"})
    assert 2 == typed("batch", "m.csv", *CALMLY)
    write("m.csv", CATS)
    assert 0 == typed("batch", "m.csv", *CALMLY)
    assert (6, CATS, []) == (sandbox.submits, rows(Path("m")), about(Path("m"))["left_out"])


def test_a_key_that_comes_twice_is_a_fault(typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """A key that was given and one that was made of an input may be the same, and then nothing is sent."""
    Path("m.csv").write_text("prompt\na cat\n")
    assert 0 == typed("batch", "m.csv", *CALMLY)
    [key] = rows(Path("m"))
    Path("two.jsonl").write_text(f'{{"key": "{key}", "prompt": "a cat"}}\n{{"prompt": "a cat"}}\n')
    assert 2 == typed("batch", "two.jsonl", "-o", "m", *CALMLY)
    assert f'two.jsonl:2: duplicate key "{key}" (first used in an earlier row)' in capfd.readouterr().err
    assert 1 == sandbox.submits


@pytest.mark.parametrize("sheet", ["m.csv", "some.csv"])
def test_the_budget_that_would_finish_is_named(
    typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str], sheet: str
) -> None:
    """What a run that its budget ended tells to type next finishes it, to the cent, whichever rows were being run."""
    write("m.csv", CATS | {"k2": "a cat [[refused]]"})
    write("some.csv", {"k2": "a cat, mended", "k4": CATS["k4"]})
    assert 4 == typed("batch", "m.csv", "--max-cost", "0.024", *CALMLY)
    told = " ".join(capfd.readouterr().err.split())
    assert "--max-cost 0.06 would finish it: at most $0.024 spent, up to $0.036 for 3 remaining jobs." in told
    assert "Nothing was sent" not in told
    if sheet == "some.csv":
        assert 4 == typed("batch", sheet, "-o", "m", "--max-cost", "0.025", "--progress", "none")
        assert "planned" == statuses(Path("m"))["k2"]
        told = " ".join(capfd.readouterr().err.split())
    _, _, next_command = told.rpartition("Resume with: kling-async ")
    assert next_command.startswith("resume m --max-cost 0.0")
    typed(*next_command.split()[:4], "--progress", "none")
    wanted = {"k2": "refused"} if sheet == "m.csv" else {}
    assert dict.fromkeys(CATS, "succeeded") | dict.fromkeys(wanted, "failed") == statuses(Path("m"))
    assert wanted == failures(Path("m"))
    assert float(next_command.split()[3]) == pytest.approx(float(sandbox.spent))


def test_a_retry_that_its_budget_ended_says_so_too(
    typed: Type, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """Jobs that were to be retried and were not are part of what is left, with the flag that retries them."""
    write("m.csv", {key: f"{prompt} [[refused]]" for key, prompt in CATS.items()})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    assert 4 == typed("resume", "m", "--retry-failed", "--max-cost", "0.011", "--progress", "none")
    told = " ".join(capfd.readouterr().err.split())
    assert "up to $0.072 for 6 remaining jobs" in told
    assert "resume m --max-cost 0.072 --retry-failed" in told


def test_a_directory_without_metadata_keeps_its_rows(typed: Type, sandbox: Sandbox) -> None:
    """Without run.json, or with one of an earlier version, the rows and the journal say what the run is."""
    write("m.csv", {"a": "a cat", "b": "a dog"})
    assert 0 == typed("batch", "m.csv", *CALMLY)
    described = about(Path("m"))
    for text in ("{", json.dumps({name: value for name, value in described.items() if name != "left_out"})):
        Path("m/run.json").write_text(text)
        write("some.csv", {"b": "a dog"})
        assert 0 == typed("batch", "some.csv", "-o", "m", *CALMLY)
        assert ["a", "b"] == list(rows(Path("m")))
        write("some.csv", {"c": "a fox"})
        assert 2 == typed("batch", "some.csv", "-o", "m", *CALMLY)
    assert 2 == sandbox.submits
