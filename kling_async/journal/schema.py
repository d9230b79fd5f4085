"""The schema of a journal's file: tables, marks, checksums and rows, for its owner and for readers.

A row holds a submission as text, and beside it the columns by which rows are selected and summed without parsing that
text. One checksum covers all of them, so that damage to any column is detected.
"""

from __future__ import annotations

import sqlite3
import zlib
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from .encoding import encode_submission
from .serialization import load_submission, state_of
from .submission import Submission

__all__ = [
    "MARKS",
    "OPEN",
    "SCHEMA",
    "VERSION",
    "WRITE",
    "check_header",
    "check_index",
    "check_rows",
    "count_rows",
    "has_rows",
    "keys_in",
    "keys_in_order",
    "mark_of",
    "newest_commit",
    "numbers_of",
    "row_of",
    "submissions_in",
    "submissions_of_version_1",
]

_MARK: Final = 0x4B4C4E47
"""The application id of every journal: "KLNG"."""
VERSION: Final = 3
OPEN: Final = 0x100
"""Set beside the version in the header while the journal is in use: newer entries may be in its log only."""
SCHEMA: Final = """
    CREATE TABLE submissions (
        number INTEGER PRIMARY KEY, key TEXT NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL,
        paid TEXT NOT NULL, unsaved INTEGER NOT NULL, serial INTEGER NOT NULL, body TEXT NOT NULL,
        checksum INTEGER NOT NULL, UNIQUE (key, attempt)
    );
"""
"""`paid` is US dollars, `unsaved` is 1 while files are to be downloaded, and `serial` numbers the commits."""
MARKS: Final = f"PRAGMA application_id = {_MARK}; PRAGMA user_version = {VERSION};"

WRITE: Final = """
    INSERT INTO submissions (key, attempt, state, paid, unsaved, serial, body, checksum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key, attempt) DO UPDATE SET state = excluded.state, paid = excluded.paid, unsaved = excluded.unsaved,
    serial = excluded.serial, body = excluded.body, checksum = excluded.checksum
"""
_READ: Final = "SELECT checksum, key, attempt, state, paid, unsaved, serial, body FROM submissions"
_CHECK: Final = """
    SELECT CAST(key || char(0) || attempt || char(0) || state || char(0) || paid || char(0) || unsaved || char(0) ||
    serial || char(0) || body AS BLOB), checksum, serial FROM submissions
"""
"""The text that the checksum covers is put together by SQLite."""
_NUMBERS: Final = "SELECT number FROM submissions"
_ROWS_AT_ONCE: Final = 500
_READ_VERSION_1: Final = "SELECT key, attempt, state, body, checksum FROM"

_Row: TypeAlias = tuple[str, int, str, str, int, int, str, int]


def row_of(submission: Submission, serial: int) -> _Row:
    """Return the columns of a submission that is written by the commit `serial`."""
    one, state = submission, state_of(submission)
    body, paid, unsaved = encode_submission(one, state), str(one.max_cost), int(one.is_unsaved)
    columns = f"{one.key}\0{one.attempt}\0{state}\0{paid}\0{unsaved}\0{serial}\0{body}"
    return one.key, one.attempt, state, paid, unsaved, serial, body, zlib.crc32(columns.encode())


def _checksum(columns: Iterable[object]) -> int:
    return zlib.crc32("\0".join(map(str, columns)).encode())


def mark_of(path: Path) -> int:
    """Return the version mark in a file's header, with or without `OPEN`; 0 if it is no journal. Its log may differ."""
    with path.open("rb") as file:
        header = file.read(72)  # https://www.sqlite.org/fileformat.html, 1.3
    return int.from_bytes(header[60:64], "big") if header[68:] == _MARK.to_bytes(4, "big") else 0


def check_header(connection: sqlite3.Connection) -> int:
    """Return a journal's version. Raises ValueError if the file is no journal, or of a later version."""
    [[mark]] = connection.execute("PRAGMA application_id")
    [[marked]] = connection.execute("PRAGMA user_version")
    version: int = marked & ~OPEN
    if mark != _MARK or version < 1:
        raise ValueError("it is no journal")
    if version > VERSION:
        raise ValueError(
            f"it was written by a later kling_async: its version is {version}, the latest known is {VERSION}"
        )
    return version


def check_index(connection: sqlite3.Connection) -> None:
    """Verify a file's B-trees, and its index against its table. Raises ValueError if anything is damaged."""
    [[fault]] = connection.execute("PRAGMA integrity_check(1)")
    if fault != "ok":
        raise ValueError(f"it is damaged: {fault}")


def check_rows(connection: sqlite3.Connection) -> int:
    """Verify the checksum of each row, and return the number of the newest commit; 0 if there is none.

    Raises:
        ValueError: a row is damaged.
    """
    newest = 0
    rows = connection.execute(_CHECK)
    # Some hundred rows at once, so that no step of Python is taken for each.
    while some := rows.fetchmany(_ROWS_AT_ONCE):
        texts, checksums, serials = zip(*some, strict=True)
        if None in texts or tuple(map(zlib.crc32, texts)) != checksums:
            raise ValueError("it is damaged")
        newest = max(newest, *serials)
    return newest


def has_rows(connection: sqlite3.Connection) -> bool:
    """Return whether a journal has any submission."""
    return connection.execute("SELECT 1 FROM submissions LIMIT 1").fetchone() is not None


def keys_in(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield the key of each row, from the index alone."""
    return (key for [key] in connection.execute("SELECT key FROM submissions ORDER BY key, attempt"))


def keys_in_order(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield each key once, in the order of their first rows; SQLite sorts them, on disk where there are many."""
    first = "SELECT key, MIN(number) AS first FROM submissions GROUP BY key ORDER BY first"
    return (key for key, _ in connection.execute(first))


def count_rows(connection: sqlite3.Connection) -> int:
    """Return the number of submissions, by the table and not by its index, which may be damaged."""
    [[count]] = connection.execute("SELECT COUNT(*) FROM submissions NOT INDEXED")
    return int(count)


def newest_commit(connection: sqlite3.Connection) -> int:
    """Return the number of the newest commit; 0 if there is none."""
    [[newest]] = connection.execute("SELECT MAX(serial) FROM submissions")
    return newest or 0


def numbers_of(connection: sqlite3.Connection, rest: str, *values: str) -> array[int]:
    """Return the numbers of the submissions that a query selects: eight bytes for each."""
    return array("q", (number for [number] in connection.execute(f"{_NUMBERS} {rest}", values)))


def submissions_in(
    connection: sqlite3.Connection, rest: str = "ORDER BY number", *values: str | int
) -> Iterator[Submission]:
    """Yield submissions, after verifying their checksums. Raises ValueError at a damaged one."""
    for checksum, *columns in connection.execute(f"{_READ} {rest}", values):
        if _checksum(columns) != checksum:
            raise ValueError("it is damaged")
        yield load_submission(columns[-1])


def submissions_of_version_1(
    connection: sqlite3.Connection, rest: str = "ORDER BY number", *values: str, table: str = "submissions"
) -> Iterator[Submission]:
    """Yield the submissions of a journal of version 1. Raises ValueError at a damaged one.

    Its checksums cover the text only, so the columns are compared with the text.
    """
    for key, attempt, state, body, checksum in connection.execute(f"{_READ_VERSION_1} {table} {rest}", values):
        if zlib.crc32(body.encode()) != checksum:
            raise ValueError("it is damaged")
        one = load_submission(body)
        if (one.key, one.attempt, state_of(one)) != (key, attempt, state):
            raise ValueError("it is damaged")
        yield one
