"""Journals on disk, as tests look into them."""

from __future__ import annotations

from pathlib import Path

from kling_async import Submission
from kling_async.journal.reader import read_journal


def submissions_on_disk(path: Path) -> list[Submission]:
    """Read all submissions of a journal, without its lock."""
    with read_journal(path) as journal:
        return list(journal.submissions())
