"""A journal read by whoever does not own it, also while its owner writes.

Nothing is written and nothing is locked: SQLite shows a reader what was committed when it began to read. What is no
journal, is of a later version or is damaged is refused, as it is by its owner.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from attrs import frozen

from ...errors import JournalError
from ...planning.moves import State
from ...planning.submission_text import submission_from_text
from ...planning.submissions import Submission
from .ownership import owner_of

__all__ = ["Reading", "read_journal"]

_MARK: Final = 0x4B4C4E47
_VERSION: Final = 1
"""As its owner writes them."""


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
            found = tuple(_submissions(connection))
    except (sqlite3.Error, OSError, ValueError) as error:
        raise JournalError(f"The journal {path} cannot be read: {error}") from error
    if owner is None:
        found = tuple(one.interrupted() if one.state is State.SENDING else one for one in found)
    return Reading(found, owner)


def _submissions(connection: sqlite3.Connection) -> Iterator[Submission]:
    [[mark]] = connection.execute("PRAGMA application_id")
    [[version]] = connection.execute("PRAGMA user_version")
    if mark != _MARK:
        raise ValueError("it is no journal")
    if version > _VERSION:
        raise ValueError(f"it was written by a later kling_async: its version is {version}, known is {_VERSION}")
    for body, checksum in connection.execute("SELECT body, checksum FROM submissions ORDER BY number"):
        if zlib.crc32(body.encode()) != checksum:
            raise ValueError("it is damaged")
        yield submission_from_text(body)
