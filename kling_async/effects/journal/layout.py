"""What the file of a journal looks like, to its owner and to whoever only reads it."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from typing import Final

from ...planning.submission_text import submission_from_text
from ...planning.submissions import Submission

__all__ = ["SCHEMA", "VERSION", "check_header", "submissions_in"]

_MARK: Final = 0x4B4C4E47
"""What the header of every journal says: "KLNG"."""
VERSION: Final = 1
SCHEMA: Final = f"""
    BEGIN;
    CREATE TABLE submissions (
        number INTEGER PRIMARY KEY, key TEXT NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL,
        body TEXT NOT NULL, checksum INTEGER NOT NULL, UNIQUE (key, attempt)
    );
    PRAGMA application_id = {_MARK};
    PRAGMA user_version = {VERSION};
    COMMIT;
"""

_READ: Final = "SELECT body, checksum FROM submissions"


def check_header(connection: sqlite3.Connection) -> None:
    """Raise ValueError if a file is no journal, or of a later version."""
    [[mark]] = connection.execute("PRAGMA application_id")
    [[version]] = connection.execute("PRAGMA user_version")
    if mark != _MARK:
        raise ValueError("it is no journal")
    if version > VERSION:
        raise ValueError(f"it was written by a later kling_async: its version is {version}, known is {VERSION}")


def submissions_in(connection: sqlite3.Connection, rest: str = "ORDER BY number", *values: str) -> Iterator[Submission]:
    """Yield submissions, each held against its checksum. Raises ValueError at one that is damaged."""
    for body, checksum in connection.execute(f"{_READ} {rest}", values):
        if zlib.crc32(body.encode()) != checksum:
            raise ValueError("it is damaged")
        yield submission_from_text(body)
