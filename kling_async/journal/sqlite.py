"""A journal in one file, in SQLite's format."""

from __future__ import annotations

from pathlib import Path

from ..types.errors import InputError, InputFault
from .file import JournalFile
from .sqlite_connection import DURABILITY
from .submission import Submission
from .threaded import ThreadedJournal

__all__ = ["SqliteJournal"]


class SqliteJournal(ThreadedJournal[Submission]):
    """A journal in one file, in SQLite's format.

    Args:
        path: the file; created if missing, in an existing directory. Links are resolved once, here: every path to a
            file is the same journal.
        durability: "full" survives power loss; "normal" only the end of the process, and is faster.
        accept_lost_log: open it although the log of its last run is missing or truncated. Entries that were only in
            the log are lost, and their jobs may be paid again.

    Raises:
        InputError: unknown durability.
    """

    def __init__(self, path: str | Path, *, durability: str = "full", accept_lost_log: bool = False) -> None:
        if durability not in DURABILITY:
            allowed = f"must be one of {', '.join(DURABILITY)}"
            raise InputError.of("Invalid setting", [InputFault("durability", durability, allowed)])
        file = JournalFile(path, durability=durability, accept_lost_log=accept_lost_log)
        super().__init__(file)
        self.path = file.path
        """The file, with links resolved."""
