"""Whether everything that a journal was given is still there, when its last owner did not close it.

While a journal is in use, SQLite keeps what is written in a log beside it (`journal.db-wal`). A copy of the file alone,
or a cleaned-up folder, is a whole database that lacks the newest purchases, and SQLite opens it without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...errors import JournalError
from .layout import OPEN, mark_of
from .ownership import Left

__all__ = ["check_commits", "check_log", "log_beside"]

_ADVICE: Final = (
    "Do not submit anything: jobs that were accepted may be missing from it, and would be paid again. Put the log back "
    "beside the journal, under its name, or restore both from one backup. If the log is gone for good, "
    "SqliteJournal(path, accept_lost_log=True), or --accept-lost-log on the command line, goes on without it."
)


def log_beside(path: Path) -> Path:
    """Return where SQLite keeps the log of a database."""
    return path.with_name(f"{path.name}-wal")


def check_log(path: Path, left_by: Left | None) -> None:
    """Look for the log of a journal before SQLite opens it, and makes a new one.

    Args:
        path: the journal.
        left_by: what an owner has left that never let go; None if there is nothing.

    Raises:
        JournalError: the journal was in use when its process ended, and the log is missing.
    """
    if log_beside(path).exists():
        if not path.exists():
            words = f"The journal {path} is missing, and its log {log_beside(path).name} is there"
            raise JournalError(words, advice=f"Put {path.name} back, or move its log away if it belongs to another.")
        return
    mark = mark_of(path) if path.exists() else 0
    if left_by is not None and left_by.commits is not None:
        return  # the count tells more exactly: a tool that only looked may have written the log into the file
    # Version 1 has no such mark, and its owners do not count: their lock that was left behind is what tells.
    if mark & OPEN or (mark == 1 and left_by is not None):
        words = f"The journal {path} was in use when its process ended, and its log {log_beside(path).name} is missing"
        raise JournalError(words, advice=_ADVICE)


def check_commits(path: Path, newest: int, left_by: Left | None) -> None:
    """Hold the newest commit that is in a journal against the count that its last owner has left.

    Raises:
        JournalError: commits are missing.
    """
    missing = ((left_by.commits or 0) if left_by is not None else 0) - newest
    if missing > 0:
        log = log_beside(path).name
        lacks = f"The newest {missing} commits are missing from the journal {path}"
        words = f"{lacks}: its log {log} is missing, cut or damaged"
        raise JournalError(words, advice=_ADVICE)
