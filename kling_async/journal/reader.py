"""Read-only access to a journal without its lock, also while its owner writes.

Nothing is written and nothing is locked: SQLite shows a reader what was committed when it began to read. A file that is
not a journal, is of a later version or is damaged is refused, as by its owner.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from attrs import frozen

from ..system.files import real_path
from ..types.errors import JournalError
from ..types.status import JobStatus
from .lock import LockRecord, left_by_owner, lock_holder
from .schema import check_header, newest_commit, submissions_in, submissions_of_version_1
from .submission import Submission
from .wal_check import check_commits, check_log, log_beside

__all__ = ["JournalSnapshot", "read_journal"]


@frozen
class JournalSnapshot:
    """The contents of a journal at one moment.

    Attributes:
        submissions: each attempt at each job, in the order of their first writing.
        owner: the process that holds its lock, for messages; None without one.
    """

    submissions: tuple[Submission, ...] = ()
    owner: str | None = None


def read_journal(path: Path, *, accept_lost_log: bool = False) -> JournalSnapshot:
    """Read a journal; a missing one is empty. Submissions that a dead process was sending are unconfirmed.

    Args:
        path: the journal.
        accept_lost_log: read one that lacks its newest entries, too.

    Raises:
        JournalError: it cannot be read, is no journal, is of a later version, is damaged, or lacks its newest entries.
    """
    path = real_path(path)
    owner, left_by = lock_holder(path), None if accept_lost_log else left_by_owner(path)
    if owner is None and not accept_lost_log:
        check_log(path, left_by)
    if not path.exists():
        return JournalSnapshot(owner=owner)
    try:
        # Without a write-ahead log there is no writer. Then SQLite need not create the files that register a reader.
        unshared = owner is None and not log_beside(path).exists()
        uri = f"{path.as_uri()}?{'immutable=1' if unshared else 'mode=ro'}"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)) as connection:
            submissions = tuple(_read_all(connection, path, left_by))
    except (sqlite3.Error, OSError, ValueError) as error:
        raise JournalError(f"The journal {path} cannot be read: {error}") from error
    if owner is None:
        submissions = tuple(one.interrupted() if one.status is JobStatus.SUBMITTING else one for one in submissions)
    return JournalSnapshot(submissions, owner)


def _read_all(connection: sqlite3.Connection, path: Path, left_by: LockRecord | None) -> Iterator[Submission]:
    if check_header(connection) == 1:
        return submissions_of_version_1(connection)
    check_commits(path, newest_commit(connection), left_by)
    return submissions_in(connection)
