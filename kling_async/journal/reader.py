"""Read-only access to a journal without its lock, also while its owner writes.

Nothing is written and nothing is locked: SQLite shows a reader what was committed when it began to read. Submissions
are read as they are asked for, one by one or by key, so that a journal of any length takes no memory. A file that is
not a journal, is of a later version or is damaged is refused, as by its owner.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..system.files import real_path
from ..types.errors import JournalError
from ..types.status import JobStatus
from .lock import LockRecord, left_by_owner, lock_holder
from .schema import (
    VERSION,
    check_header,
    count_rows,
    has_rows,
    keys_in_order,
    newest_commit,
    submissions_in,
    submissions_of_version_1,
)
from .submission import Submission
from .wal_check import check_commits, check_log, log_beside

__all__ = ["JournalReader", "read_journal"]


class JournalReader:
    """The contents of a journal at one moment, read as they are asked for; without a connection, it is empty.

    Submissions that a dead process was sending are unconfirmed. Each method raises JournalError if the journal cannot
    be read or if what it returns is damaged.

    Attributes:
        owner: the process that holds its lock, for messages; None without one.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection | None = None,
        *,
        owner: str | None = None,
        version: int = VERSION,
    ) -> None:
        self.owner = owner
        self._path = path
        self._connection = connection
        self._read = submissions_of_version_1 if version == 1 else submissions_in

    def __bool__(self) -> bool:
        """Whether it has any submission."""
        with _reported(self._path):
            return self._connection is not None and has_rows(self._connection)

    def __len__(self) -> int:
        """The number of submissions."""
        with _reported(self._path):
            return 0 if self._connection is None else count_rows(self._connection)

    def submissions(self) -> Iterator[Submission]:
        """Yield each attempt at each job, in the order of their first writing."""
        return self._select("ORDER BY number")

    def attempts(self, key: str) -> list[Submission]:
        """Return the submissions of a job, the oldest first."""
        if self._connection is None:
            return []
        found = list(self._select("WHERE key = ? ORDER BY number", key))
        with _reported(self._path):
            if any(one.key != key for one in found):
                raise ValueError("its index is damaged")
        return found

    def check_complete(self, count: int) -> None:
        """Check that all submissions were found by their keys. Raises JournalError: the index of the keys is damaged.

        Args:
            count: number of submissions that were found.
        """
        with _reported(self._path):
            if count != len(self):
                raise ValueError("its index is damaged")

    def keys_in_order(self) -> Iterator[str]:
        """Yield the key of each job, in the order of their first submissions."""
        if self._connection is not None:
            with _reported(self._path):
                yield from keys_in_order(self._connection)

    def _select(self, rest: str, *values: str) -> Iterator[Submission]:
        if self._connection is None:
            return
        with _reported(self._path):
            for one in self._read(self._connection, rest, *values):
                left = self.owner is None and one.status is JobStatus.SUBMITTING
                yield one.interrupted() if left else one


@contextmanager
def read_journal(path: Path, *, accept_lost_log: bool = False) -> Generator[JournalReader]:
    """Open a journal for reading; a missing one is empty.

    Args:
        path: the journal.
        accept_lost_log: read one that lacks its newest entries, too.

    Raises:
        JournalError: it cannot be read, is no journal, is of a later version, or lacks its newest entries.
    """
    path = real_path(path)
    owner, left_by = lock_holder(path), None if accept_lost_log else left_by_owner(path)
    if owner is None and not accept_lost_log:
        check_log(path, left_by)
    if not path.exists():
        yield JournalReader(path, owner=owner)
        return
    with _reported(path):
        # Without a write-ahead log there is no writer. Then SQLite need not create the files that register a reader.
        unshared = owner is None and not log_beside(path).exists()
        uri = f"{path.as_uri()}?{'immutable=1' if unshared else 'mode=ro'}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)
    with closing(connection):
        with _reported(path):
            version = _begin(connection, path, left_by)
        yield JournalReader(path, connection, owner=owner, version=version)


def _begin(connection: sqlite3.Connection, path: Path, left_by: LockRecord | None) -> int:
    """Begin to read, so that everything that is read later is of this moment; return the journal's version."""
    connection.execute("BEGIN")
    version = check_header(connection)
    if version > 1:
        check_commits(path, newest_commit(connection), left_by)
    return version


@contextmanager
def _reported(path: Path) -> Generator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise JournalError(f"The journal {path} cannot be read: {error}") from error
