"""Read-only access to a journal without its lock."""

from __future__ import annotations

import os
import sqlite3
import tracemalloc
import zlib
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from kling_async import ImageInput, Job, JobStatus, JournalError, Prediction, SqliteJournal, Status, Submission
from kling_async.journal.reader import read_journal
from kling_async.journal.submission import new_submission

from ..journals import submissions_on_disk

pytestmark = pytest.mark.anyio

EMPTY = zlib.crc32(b"a\0001\0planned\0000\0000\0001\0{}")
"""The checksum of a row whose text tells of no submission."""


def submission(key: str) -> Submission:
    """Return a submission of which nothing has left yet."""
    return new_submission(Job(ImageInput("a cat"), key=key), provider="gptproto", price=Decimal("0.03"), at=1.0)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


async def test_what_the_owner_has_written_is_read_while_it_writes(tmp_path: Path) -> None:
    """A reader sees the durable submissions, in order, and the owner, whom it does not hinder."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    await journal.open()
    found = Prediction(provider="gptproto", model="kling-image-o1", id="id-1", key="b", status=Status.RUNNING)
    for number, one in enumerate((submission("a").sent(2.0), submission("b").sent(2.0).accepted(found, 3.0)), 1):
        await journal.write(one)
        with read_journal(path) as reading:
            assert number == len(reading)
            assert one == list(reading.submissions())[-1]
            assert f"process {os.getpid()} on" in (reading.owner or "")
    assert [JobStatus.SUBMITTING, JobStatus.ACCEPTED] == [one.status for one in submissions_on_disk(path)]
    await journal.aclose()
    with read_journal(path) as reading:
        assert None is reading.owner


async def test_submissions_are_found_by_their_jobs(tmp_path: Path) -> None:
    """A job's attempts come oldest first, keys in the order of their first ones, and both stay as they were."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    await journal.open()
    first, second = submission("b").sent(2.0), evolve(submission("b"), attempt=2)
    await journal.write(first, submission("a"), second)
    with read_journal(path) as reading:
        assert ["b", "a"] == list(reading.keys_in_order())
        await journal.write(submission("a").sent(3.0), submission("c"))
        assert [first, second] == reading.attempts("b")
        assert [submission("a")] == reading.attempts("a")  # of the moment when it was opened
        assert ([], 3, True) == (reading.attempts("c"), len(reading), bool(reading))
        reading.check_complete(3)
        with pytest.raises(JournalError, match="index is damaged"):
            reading.check_complete(2)
    with read_journal(path) as reading:
        assert ["b", "a", "c"] == list(reading.keys_in_order())
    await journal.aclose()
    with read_journal(tmp_path / "missing.db") as reading:
        assert ([], [], 0, False) == (list(reading.keys_in_order()), reading.attempts("a"), len(reading), bool(reading))


async def test_a_journal_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """Submissions are read one by one: a reader of thousands holds one."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, durability="normal")
    await journal.open()
    await journal.write(*(submission(f"cat-{number}").sent(2.0) for number in range(4_000)))
    await journal.aclose()
    tracemalloc.start()
    try:
        with read_journal(path) as reading:
            assert 4_000 == sum(one.status is JobStatus.UNCONFIRMED for one in reading.submissions())
        assert tracemalloc.get_traced_memory()[1] < 1 << 19
    finally:
        tracemalloc.stop()


async def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    """A journal without a writer is read without creating or changing a file."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    await journal.open()
    await journal.write(submission("a").sent(2.0))
    await journal.aclose()
    before = contents(tmp_path)
    [left] = submissions_on_disk(path)
    assert before == contents(tmp_path)
    # Its process is gone, so its outcome is unknown.
    assert JobStatus.UNCONFIRMED is left.status


def test_what_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """A run that was just begun has no journal yet."""
    assert [] == submissions_on_disk(tmp_path / "journal.db")


async def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    """Nothing that the owner would refuse is taken for a journal."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    await journal.open()
    await journal.write(submission("a"))
    await journal.aclose()
    whole = path.read_bytes()
    for statement, message in (
        ("PRAGMA user_version = 99", "later kling_async"),
        ("PRAGMA application_id = 1", "no journal"),
        ("UPDATE submissions SET checksum = checksum + 1", "damaged"),
        (f"UPDATE submissions SET checksum = {EMPTY}, body = '{{}}'", "no submission"),  # noqa: S608
    ):
        path.write_bytes(whole)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
            connection.commit()
        with pytest.raises(JournalError, match=message):
            submissions_on_disk(path)
    for contents in (b"not SQLite at all", b"", whole[: len(whole) // 2]):
        path.write_bytes(contents)
        with pytest.raises(JournalError, match="cannot be read"):
            submissions_on_disk(path)
