"""A journal read by whoever does not own it, also while its owner writes.

Nothing is written and nothing is locked: SQLite shows a reader what was committed when it began to read. What is no
journal, is of a later version or is damaged is refused, as it is by its owner.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from attrs import frozen

from ...errors import JournalError
from ...planning.moves import State
from ...planning.submissions import Submission
from ..disk import real_path
from .layout import VERSION, check_header, submissions_in, submissions_of_version_1
from .lost_log import check_log, log_beside
from .ownership import owner_of

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


def read_journal(path: Path) -> Reading:
    """Read a journal; one that is not there yet holds nothing. What a dead process was sending is unconfirmed.

    Raises:
        JournalError: it cannot be read, is no journal, is of a later version, or is damaged.
    """
    path = real_path(path)
    owner = owner_of(path)
    check_log(path)
    if not path.exists():
        return Reading(owner=owner)
    try:
        # Without a write-ahead log nobody writes. Then not even the files are made that would hold a reader's place.
        alone = owner is None and not log_beside(path).exists()
        address = f"{path.as_uri()}?{'immutable=1' if alone else 'mode=ro'}"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=5.0)) as connection:
            of_its_version = submissions_in if check_header(connection) == VERSION else submissions_of_version_1
            found = tuple(of_its_version(connection))
    except (sqlite3.Error, OSError, ValueError) as error:
        raise JournalError(f"The journal {path} cannot be read: {error}") from error
    if owner is None:
        found = tuple(one.interrupted() if one.state is State.SENDING else one for one in found)
    return Reading(found, owner)
