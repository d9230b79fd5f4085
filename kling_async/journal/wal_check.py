"""Detection of a lost write-ahead log, after an owner that did not close its journal.

While a journal is in use, SQLite writes to a log beside it (`journal.db-wal`). A copy of the file alone, or a
cleaned-up folder, is a valid database that lacks the newest submissions, and SQLite opens it without an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..types.errors import JournalError
from .lock import LockRecord
from .schema import OPEN, mark_of

__all__ = ["check_commits", "check_log", "log_beside"]

_ADVICE: Final = (
    "Do not submit anything: jobs that were accepted may be missing from it, and would be paid again. Put the log back "
    "beside the journal, under its name, or restore both from one backup. If the log is gone for good, "
    "SqliteJournal(path, accept_lost_log=True), or --accept-lost-log on the command line, opens it without it."
)


def log_beside(path: Path) -> Path:
    """Return the path of a database's write-ahead log."""
    return path.with_name(f"{path.name}-wal")


def check_log(path: Path, left_by: LockRecord | None) -> None:
    """Check that the log of a journal exists, before SQLite opens the journal and creates a new one.

    Args:
        path: the journal.
        left_by: the record of an owner that never released the lock, or None.

    Raises:
        JournalError: the journal was in use when its process ended, and the log is missing.
    """
    if log_beside(path).exists():
        if not path.exists():
            message = f"The journal {path} is missing, and its log {log_beside(path).name} exists"
            raise JournalError(message, advice=f"Put {path.name} back, or move its log away if it belongs to another.")
        return
    mark = mark_of(path) if path.exists() else 0
    if left_by is not None and left_by.commits is not None:
        return  # the count is more exact: a read-only tool may have written the log into the file
    # Version 1 has no such mark, and its owners keep no count: a lock left behind is the evidence.
    if mark & OPEN or (mark == 1 and left_by is not None):
        message = (
            f"The journal {path} was in use when its process ended, and its log {log_beside(path).name} is missing"
        )
        raise JournalError(message, advice=_ADVICE)


def check_commits(path: Path, newest: int, left_by: LockRecord | None) -> None:
    """Compare the newest commit in a journal with the count that its last owner left.

    Raises:
        JournalError: commits are missing.
    """
    missing = ((left_by.commits or 0) if left_by is not None else 0) - newest
    if missing > 0:
        log = log_beside(path).name
        lacks = f"The newest {missing} commits are missing from the journal {path}"
        message = f"{lacks}: its log {log} is missing, truncated or damaged"
        raise JournalError(message, advice=_ADVICE)
