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
from .layout import check_header, submissions_in
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
    owner = owner_of(path)
    if not path.exists():
        return Reading(owner=owner)
    try:
        # Without a write-ahead log nobody writes. Then not even the files are made that would hold a reader's place.
        alone = owner is None and not path.with_name(f"{path.name}-wal").exists()
        address = f"{path.absolute().as_uri()}?{'immutable=1' if alone else 'mode=ro'}"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=5.0)) as connection:
            check_header(connection)
            found = tuple(submissions_in(connection))
    except (sqlite3.Error, OSError, ValueError) as error:
        raise JournalError(f"The journal {path} cannot be read: {error}") from error
    if owner is None:
        found = tuple(one.interrupted() if one.state is State.SENDING else one for one in found)
    return Reading(found, owner)
