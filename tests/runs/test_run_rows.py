"""The rows of a run, read from its jobs and its journal, and the errors that only the run knows."""

from __future__ import annotations

import re
import tracemalloc
from decimal import Decimal
from pathlib import Path

import anyio

from kling_async import (
    ContentRejected,
    ImageInput,
    InputError,
    InputFault,
    Job,
    JournalError,
    NotSent,
    SqliteJournal,
    Submission,
)
from kling_async.journal.submission import new_submission
from kling_async.runs.directory import RunDirectory
from kling_async.runs.job_errors import JobErrors
from kling_async.runs.results import JobError
from kling_async.runs.run_rows import RunRows


def job(key: str) -> Job:
    """Return a job."""
    return Job(ImageInput(f"a cat, {key}"), key=key)


def sent(key: str, attempt: int = 1) -> Submission:
    """Return a submission whose process has ended since."""
    return new_submission(job(key), provider="gptproto", price=Decimal("0.03"), at=1.0, attempt=attempt).sent(2.0)


def written(path: Path, jobs: str, *submissions: Submission) -> RunDirectory:
    """Write the directory of a run."""

    async def write() -> None:
        journal = SqliteJournal(path / "journal.db")
        await journal.open()
        await journal.write(*submissions)
        await journal.aclose()

    anyio.run(write)
    directory = RunDirectory(path)
    directory.write_jobs(map(job, jobs))
    return directory


def test_jobs_that_only_the_journal_has_follow_the_stored_ones(tmp_path: Path) -> None:
    """Stored jobs come in their order, then the others in that of their first submissions, each with all attempts."""
    refused = [sent(key).failed(ContentRejected("no"), at=3.0) for key in "yx"]
    others = [*refused, sent("b"), sent("x", 2), sent("y", 2), sent("w")]
    rows = list(RunRows(written(tmp_path, "abc", *others)))
    assert [*"abcyxw"] == [row.key for row in rows]
    assert [*range(6)] == [row.position for row in rows]
    assert [0, 1, 0, 2, 2, 1] == [row.attempts for row in rows]
    assert ["planned", "unconfirmed", "planned", *["unconfirmed"] * 3] == [row.status for row in rows]


def test_damaged_keys_change_no_row(tmp_path: Path) -> None:
    """Wherever a key in the journal's file is damaged, in its table or its index, it is refused, or no row differs."""
    refused = sent("needle").failed(ContentRejected("no"), at=3.0)
    directory = written(tmp_path, "a", refused, sent("a"), sent("needle", 2))
    directory.write_jobs(map(job, ["a", "needle", "other"]))
    rows, whole = list(RunRows(directory)), directory.journal.read_bytes()
    places = [found.start() for found in re.finditer(b"needle", whole)]
    assert len(places) >= 8  # two rows: the key, its text in the body twice, and the index
    refusals: list[str] = []
    for at in places:
        directory.journal.write_bytes(whole[:at] + b"other " + whole[at + 6 :])
        try:
            assert rows == list(RunRows(directory))
        except JournalError as error:
            refusals.append(error.message)
    assert len(refusals) >= 6
    assert all("damaged" in message for message in refusals)
    directory.journal.write_bytes(whole)
    assert rows == list(RunRows(directory))


def test_each_iteration_reads_the_run_again(tmp_path: Path) -> None:
    """Rows can be read as often as they are needed, and show what was written in between."""
    directory = written(tmp_path, "ab", sent("a"))
    rows = RunRows(directory)
    assert list(rows) == list(rows)
    directory.write_jobs([job("b")])
    assert ["b", "a"] == [row.key for row in rows]


def test_the_latest_error_of_a_job_is_told(tmp_path: Path) -> None:
    """An error that the journal does not have is that of its job's row: the newest one, with its faults and advice."""
    errors = JobErrors(tmp_path)
    assert None is errors.get("a")
    wrong = InputError.of("Invalid input", [InputFault("n", 9, "must be from 1 to 4")])
    errors.add("b", NotSent("Stopped", reason="stopped"))
    errors.add("a", NotSent("Stopped", reason="stopped"))
    errors.add("a", wrong)
    first, second, third = RunRows(written(tmp_path, "abc"), errors)
    assert JobError.of(wrong) == errors.get("a")
    assert ("failed", "refused", "Invalid input: n=9: must be from 1 to 4") == (
        first.status,
        first.failure,
        first.cause,
    )
    assert ("planned", "Stopped", None) == (second.status, second.cause, third.cause)
    errors.close()


def test_errors_are_kept_on_disk(tmp_path: Path) -> None:
    """A run in which each job fails keeps none of the errors, and tells each of them."""
    errors, count = JobErrors(tmp_path), 5_000
    errors.add("warm", NotSent("Stopped", reason="stopped"))
    tracemalloc.start()
    try:
        for number in range(count):
            errors.add(f"cat-{number}", NotSent(f"Stopped at {number}, {'purring ' * 30}", reason="stopped"))
        assert tracemalloc.get_traced_memory()[1] < 1 << 19
    finally:
        tracemalloc.stop()
    for number in (0, count - 1):
        found = errors.get(f"cat-{number}")
        assert found is not None
        assert found.cause.startswith(f"Stopped at {number}, purring")
    errors.close()
