"""Runs of any length are shown, written and resumed in bounded memory: of a row some bytes are kept, not its values."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
from attrs import evolve

from kling_async import ImageInput, Job, Output, OutputKind, Prediction, SqliteJournal, Status, Submission
from kling_async.cli.batch import batch, resume
from kling_async.cli.budget import needed
from kling_async.cli.compare import compare
from kling_async.cli.contact_sheet import contact_sheet
from kling_async.cli.options import Options
from kling_async.cli.status import report, status, unconfirmed
from kling_async.journal.submission import new_submission
from kling_async.runs.directory import RunDirectory

MIB = 1 << 20
ROWS = 6_000
BOUND = 2 * MIB
"""The submissions of these rows, or their jobs, take more than five times as much."""


def finished(job: Job) -> Submission:
    """Return the submission of a job that succeeded."""
    begun = new_submission(job, provider="gptproto", price=None, at=1.0).sent(2.0)
    output = Output(url=f"https://files.example/{job.key}.png", kind=OutputKind.IMAGE)
    found = Prediction(provider="gptproto", model="kling-image-o1", id=f"id-{job.key}", key=job.key)
    found = evolve(found, status=Status.SUCCEEDED, outputs=(output,))
    return begun.accepted(found, 3.0).saved((f"{job.key}-0.png",), 4.0)


def written(path: Path, count: int, *, submitted: Callable[[Job], Submission] = finished) -> Path:
    """Write the directory of a run, and a job file with its jobs in another order."""
    jobs = [Job(ImageInput(f"a cat, {'purring ' * 12}"), key=f"cat-{number}") for number in range(count)]
    path.mkdir()

    async def write() -> None:
        journal = SqliteJournal(path / "journal.db", durability="normal")
        await journal.open()
        await journal.write(*map(submitted, jobs))
        await journal.aclose()

    anyio.run(write)
    directory = RunDirectory(path)
    directory.write_jobs(jobs)
    directory.write_metadata({"sheet": "jobs.jsonl", "jobs": count, "settings": {"provider": ["gptproto"]}})
    lines = [json.dumps({"key": job.key, "prompt": job.input.prompt}) for job in reversed(jobs)]
    path.with_suffix(".jsonl").write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run of many jobs that succeeded."""
    return written(tmp_path_factory.mktemp("large") / "run", ROWS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run of one job, with which everything is imported before memory is counted."""
    return written(tmp_path_factory.mktemp("small") / "run", 1)


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no API key, so that a run ends when all its jobs are planned, and nothing is sent."""
    for name in ("GPTPROTO_API_KEY", "APIINONE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def peak(command: Callable[[], object]) -> int:
    """Return the most memory that a command took, in bytes."""
    tracemalloc.start()
    try:
        command()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "command", [status, unconfirmed, lambda path: unconfirmed(path, json=True)], ids=["status", "list", "list --json"]
)
def test_a_run_is_shown_in_bounded_memory(
    large: Path, small: Path, capfd: pytest.CaptureFixture[str], command: Callable[[Path], int]
) -> None:
    """Commands that read a run count its rows, and keep none."""
    assert 0 == command(small)
    capfd.readouterr()
    assert peak(lambda: command(large)) < BOUND
    out, err = capfd.readouterr()
    assert "6,000  succeeded" in out or "Nothing is unconfirmed" in err


def test_a_resume_is_planned_in_bounded_memory(
    large: Path, small: Path, no_key: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each stored job is compared with its own submissions only."""
    options = Options(provider=("gptproto",))
    resume(small, options=options)
    capfd.readouterr()
    assert peak(lambda: resume(large, options=options)) < BOUND
    assert "No API key" in capfd.readouterr().err


@pytest.mark.parametrize("merge", [False, True], ids=["again", "--merge"])
def test_a_second_batch_is_planned_in_bounded_memory(
    large: Path, small: Path, no_key: None, capfd: pytest.CaptureFixture[str], merge: bool
) -> None:
    """The jobs of the file and those of the run meet on disk, and neither are kept."""
    options = Options(provider=("gptproto",))

    def again(path: Path) -> int:
        return batch(str(path.with_suffix(".jsonl")), output=str(path), merge=merge, options=options)

    again(small)
    capfd.readouterr()
    assert peak(lambda: again(large)) < BOUND
    assert "No API key" in capfd.readouterr().err


def test_a_second_comparison_is_planned_in_bounded_memory(
    large: Path, small: Path, no_key: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """The rows that the run does not have are counted, and three are named."""

    def again(path: Path) -> int:
        return compare(str(path.with_suffix(".jsonl")), on=("gptproto", "apiinone"), output=str(path))

    again(small)
    capfd.readouterr()
    assert peak(lambda: again(large)) < 2 * BOUND
    assert "does not have 12,000 of the 12,000 jobs" in " ".join(capfd.readouterr().err.split())


def test_the_budget_of_the_rest_is_computed_in_bounded_memory(large: Path, small: Path) -> None:
    """What was spent is added up, and what is left is looked up, submission by submission."""
    options = Options(provider=("gptproto",))
    needed(RunDirectory(small), options, done=())
    found: list[int] = []
    assert peak(lambda: found.append(needed(RunDirectory(large), options, done=()).jobs)) < BOUND
    assert [0] == found


def test_a_sheet_of_the_newest_pictures_keeps_no_others(
    large: Path, small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of the pictures of a run only those that are shown are kept, also where all are compared by their times."""
    for path, count in ((small, 1), (large, ROWS)):
        (path / "media").mkdir()
        for number in range(count):
            (path / "media" / f"cat-{number}-0.png").touch()

    def draw(path: Path) -> int:
        return contact_sheet(path, output=tmp_path / "sheet.png", most=1, newest=True)

    draw(small)
    assert peak(lambda: draw(large)) < BOUND
    assert "5,999 pictures left out" in capfd.readouterr().err


def test_a_report_grows_with_its_cards_only(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Above ten thousand jobs, which have a card each, a row more takes some bytes for the figures."""

    def unsaved(job: Job) -> Submission:
        return evolve(finished(job), files=None)  # no image, so no thread looks for thumbnails, whose peaks vary

    runs = [written(tmp_path / f"run-{count}", count, submitted=unsaved) for count in (1, 10_000, 13_000)]
    _, less, more = (peak(partial(report, run)) for run in runs)
    assert more - less < BOUND
