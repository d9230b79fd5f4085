"""A journal read by whoever does not own it, also while its owner writes.

Nothing is written and nothing is locked: SQLite shows a reader what was committed when it began to read. What is no
journal, is of a later version or is damaged is refused, as it is by its owner.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from attrs import frozen

from ...errors import JournalError
from ...planning.moves import State
from ...planning.submissions import Submission
from ..disk import real_path
from .layout import VERSION, check_header, newest_commit, submissions_in, submissions_of_version_1
from .lost_log import check_commits, check_log, log_beside
from .ownership import Left, left_by_owner, owner_of

__all__ = ["Reading", "read_journal"]


@frozen
class Reading:
    """What a journal holds at one moment.

    Attributes:
        submissions: each attempt at each job, in the order in which they were first written.
        owner: the process that is writing, in words; None if there is none.
    """

    submissions: tuple[Submission, ...] = ()
    owner: str | None = None


def read_journal(path: Path, *, accept_lost_log: bool = False) -> Reading:
    """Read a journal; one that is not there yet holds nothing. What a dead process was sending is unconfirmed.

    Args:
        path: the journal.
        accept_lost_log: read what is left of one that lacks its newest entries.

    Raises:
        JournalError: it cannot be read, is no journal, is of a later version, is damaged, or lacks its newest entries.
    """
    path = real_path(path)
    owner, left_by = owner_of(path), None if accept_lost_log else left_by_owner(path)
    if owner is None and not accept_lost_log:
        check_log(path, left_by)
    if not path.exists():
        return Reading(owner=owner)
    try:
        # Without a write-ahead log nobody writes. Then not even the files are made that would hold a reader's place.
        alone = owner is None and not log_beside(path).exists()
        address = f"{path.as_uri()}?{'immutable=1' if alone else 'mode=ro'}"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=5.0)) as connection:
            submissions = tuple(_all_in(connection, path, left_by))
    except (sqlite3.Error, OSError, ValueError) as error:
        raise JournalError(f"The journal {path} cannot be read: {error}") from error
    if owner is None:
        submissions = tuple(one.interrupted() if one.state is State.SENDING else one for one in submissions)
    return Reading(submissions, owner)


def _all_in(connection: sqlite3.Connection, path: Path, left_by: Left | None) -> Iterator[Submission]:
    if check_header(connection) < VERSION:
        return submissions_of_version_1(connection)
    check_commits(path, newest_commit(connection), left_by)
    return submissions_in(connection)
