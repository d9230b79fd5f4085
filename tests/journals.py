"""Journals on disk, as tests look into them."""

from __future__ import annotations

from pathlib import Path

from kling_async import SqliteJournal, Submission
from kling_async.journal.reader import read_journal


def submissions_on_disk(path: Path) -> list[Submission]:
    """Read all submissions of a journal, without its lock."""
    with read_journal(path) as journal:
        return list(journal.submissions())


async def listed(path: Path) -> list[Submission]:
    """Open a journal, and read all of it."""
    journal = SqliteJournal(path)
    await journal.open()
    try:
        return await journal.submissions()
    finally:
        await journal.aclose()
