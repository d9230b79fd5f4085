"""The file of a journal: opened, held against its marks and checksums, brought up to date, written and closed.

Everything here blocks. A file that is not a journal, is of a later version or is damaged is refused, and no new one
takes its place: it may be the only record of what was paid for. So is one that lacks what was written last.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Final

from ...errors import JournalError
from ...planning.submission_text import submission_from_text, text_of_submission
from ...planning.submissions import Submission
from ..disk import flush_directory, real_path
from .layout import (
    MARKS,
    OPEN,
    SCHEMA,
    VERSION,
    WRITE,
    check_header,
    check_index,
    check_rows,
    row_of,
    submissions_in,
)
from .lifeboat import Lifeboat
from .lost_log import check_commits, check_log
from .migration import migrate
from .ownership import Ownership

__all__ = ["DURABILITY", "JournalFile"]

_log = logging.getLogger(__name__)

DURABILITY: Final[Mapping[str, str]] = {"full": "FULL", "normal": "NORMAL"}


class JournalFile:
    """The file of a journal, and what lies beside it. One thread at a time may use it.

    Attributes:
        path: the file, whatever links led to it.
        keys: the keys of all jobs in it, once it is open.
    """

    def __init__(self, path: str | Path, *, durability: str, accept_lost_log: bool) -> None:
        self.path = real_path(path)
        self.keys: set[str] = set()
        self._durability = durability
        self._accept_lost_log = accept_lost_log
        self._ownership = Ownership(self.path)
        self._lifeboat = Lifeboat(self.path)
        self._connection: sqlite3.Connection | None = None
        self._serial = 0

    def open(self) -> None:
        """Become its owner, and make it if it is missing.

        Raises:
            JournalError: it belongs to another owner, or lacks what was written last.
            ValueError, sqlite3.Error, OSError: it cannot be used.
        """
        if not self.path.parent.is_dir():
            raise JournalError(f"The journal {self.path} cannot be opened: its directory is missing")
        self._ownership.take()
        try:
            self._check_place()
            if not self.path.exists():
                self._create()
            self._bring_up_to_date()
            self._check_contents()
            self._connection = _connect(self.path, self._durability)
            _mark(self._connection, OPEN)
            self._ownership.count(self._serial)
            self.write(list(_rescued(self._lifeboat.launch())))
            self._lifeboat.empty()
        except BaseException:
            self._let_go(keep=self._ownership.left_by is not None)
            raise

    def _check_place(self) -> None:
        if self.path.is_symlink():  # links were followed before: what is left of them leads in a circle
            raise JournalError(f"The journal {self.path} cannot be opened: it is a link that leads in a circle")
        if self.path.is_file() and (names := self.path.stat().st_nlink) > 1:
            words = f"The journal {self.path} cannot be opened: the file has {names} names (hard links)"
            advice = "Its log belongs to one name only. Remove the other names, or copy the file and use the copy."
            raise JournalError(words, advice=advice)
        if not self._accept_lost_log:
            check_log(self.path, self._ownership.left_by)

    def _bring_up_to_date(self) -> None:
        with closing(_connection(self.path, "mode=ro")) as connection:
            version = check_header(connection)
        if version < VERSION:
            with closing(_connection(self.path, "mode=rw")) as connection:
                migrate(connection)

    def _check_contents(self) -> None:
        """Read everything once, over a connection that cannot change the file or its log, whatever is found there."""
        self.keys, self._serial = set(), 0
        with closing(_connection(self.path, "mode=ro")) as connection:
            check_index(connection)
            for key, serial in check_rows(connection):
                self.keys.add(key)
                self._serial = max(self._serial, serial)
        if not self._accept_lost_log:
            check_commits(self.path, self._serial, self._ownership.left_by)

    def _create(self) -> None:
        """Make an empty journal; it has its name only once it is whole."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        for left in (fresh, fresh.with_name(f"{fresh.name}-journal")):
            left.unlink(missing_ok=True)
        connection = sqlite3.connect(fresh, isolation_level=None)
        try:
            fresh.chmod(0o600)  # prompts are private
            connection.executescript(f"BEGIN; {SCHEMA} {MARKS} COMMIT;")
        finally:
            connection.close()
        fresh.replace(self.path)
        flush_directory(self.path.parent)

    def write(self, submissions: Sequence[Submission]) -> None:
        """Write submissions, all or none; they are durable when it returns."""
        if not submissions:
            return
        serial = self._serial + 1
        self._opened.execute("BEGIN IMMEDIATE")
        try:
            self._opened.executemany(WRITE, (row_of(one, serial) for one in submissions))
            self._opened.execute("COMMIT")
        except BaseException:
            if self._opened.in_transaction:
                self._opened.execute("ROLLBACK")
            raise
        self._serial = serial
        self.keys.update(one.key for one in submissions)
        with suppress(OSError):  # the count is a second witness; what it counts is durable without it
            self._ownership.count(serial)

    def rescue(self, submission: Submission) -> str:
        """Save elsewhere what could not be written, and return where. Raises JournalError if it is nowhere."""
        return self._lifeboat.board(text_of_submission(submission))

    def read(self, rest: str, *values: str) -> list[Submission]:
        """Return the submissions that the rest of a query selects."""
        return list(submissions_in(self._opened, rest, *values))

    def spent(self) -> Decimal:
        """Return what all submissions have cost at most, in US dollars."""
        paid = self._opened.execute("SELECT paid, COUNT(*) FROM submissions GROUP BY paid")
        return sum((Decimal(amount) * count for amount, count in paid), Decimal(0))

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("it is not open")
        return self._connection

    def close(self) -> None:
        """Write the log into the file, say there that it is closed, and let others have it; closed twice is closed."""
        with ExitStack() as kept:
            if self._connection is not None:
                try:
                    _mark(self._connection, 0)
                except sqlite3.Error:
                    # On a full disk the file cannot be called closed. Then its log must stay: a connection that only
                    # reads keeps SQLite from removing it, and the next owner goes on with both.
                    reader = kept.enter_context(closing(_connection(self.path, "mode=ro")))
                    check_header(reader)
            self._let_go()

    def _let_go(self, *, keep: bool = False) -> None:
        if not self._ownership.held:
            return
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        finally:
            self._lifeboat.stow()
            self._ownership.release(keep=keep)


def _rescued(lines: Iterable[str]) -> Iterator[Submission]:
    for line in lines:
        try:
            yield submission_from_text(line)
        except ValueError:
            # It was being written when the machine stopped, so nothing relied on it.
            _log.warning("half a line of an emergency was found, and left out: %s", line)


def _connection(path: Path, how: str) -> sqlite3.Connection:
    # SQLite would take an empty file for a new one.
    if path.stat().st_size == 0:
        raise ValueError("it is empty, so it is no journal")
    address = f"{path.as_uri()}?{how}"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)


def _connect(path: Path, durability: str) -> sqlite3.Connection:
    connection = _connection(path, "mode=rw")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {DURABILITY[durability]}")
        connection.execute("PRAGMA fullfsync = ON")  # on macOS a flush does not reach the disk without it
    except BaseException:
        connection.close()
        raise
    return connection


def _mark(connection: sqlite3.Connection, mark: int) -> None:
    """Write the log into the file, and say in the file itself whether there is more in the log from here on.

    A file that cannot be written is opened all the same by SQLite; here that shows before money is spent.
    """
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # makes room for the mark where the disk is full
    connection.execute(f"PRAGMA user_version = {VERSION | mark}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
