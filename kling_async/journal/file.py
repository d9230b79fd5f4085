"""The file of a journal: opened, verified against its marks and checksums, migrated, written and closed.

Everything here blocks. A file that is not a journal, is of a later version, is damaged or lacks its newest entries is
refused, and never replaced by a new one: it may be the only record of paid jobs.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Final

from ..system.files import fsync_directory, real_path
from ..types.errors import JournalError
from .emergency import EmergencyFile
from .lock import FileLock
from .migration import migrate
from .schema import MARKS, OPEN, SCHEMA, VERSION, WRITE, check_header, check_index, check_rows, row_of, submissions_in
from .serialization import dump_submission, load_submission
from .submission import Submission
from .wal_check import check_commits, check_log

__all__ = ["DURABILITY", "JournalFile"]

_log = logging.getLogger(__name__)

DURABILITY: Final[Mapping[str, str]] = {"full": "FULL", "normal": "NORMAL"}


class JournalFile:
    """The file of a journal, and the files beside it. One thread at a time may use it.

    Attributes:
        path: the file, with links resolved.
        keys: the keys of all jobs in it, once it is open.
    """

    def __init__(self, path: str | Path, *, durability: str, accept_lost_log: bool) -> None:
        self.path = real_path(path)
        self.keys: set[str] = set()
        self._durability = durability
        self._accept_lost_log = accept_lost_log
        self._lock = FileLock(self.path)
        self._emergency = EmergencyFile(self.path)
        self._connection: sqlite3.Connection | None = None
        self._serial = 0

    def open(self) -> None:
        """Acquire its lock, and create it if it is missing.

        Raises:
            JournalError: it has another owner, or lacks its newest entries.
            ValueError, sqlite3.Error, OSError: it cannot be used.
        """
        if not self.path.parent.is_dir():
            raise JournalError(f"The journal {self.path} cannot be opened: its directory is missing")
        self._lock.acquire()
        try:
            self._check_path()
            if not self.path.exists():
                self._create()
            self._migrate()
            self._check_contents()
            self._connection = _connect(self.path, self._durability)
            _mark(self._connection, OPEN)
            self._lock.count(self._serial)
            self.write(list(_from_emergency(self._emergency.read())))
            self._emergency.reset()
        except BaseException:
            self._release(keep=self._lock.left_by is not None)
            raise

    def _check_path(self) -> None:
        if self.path.is_symlink():  # links were resolved before: one that remains leads in a circle
            raise JournalError(f"The journal {self.path} cannot be opened: it is a link that leads in a circle")
        if self.path.is_file() and (names := self.path.stat().st_nlink) > 1:
            message = f"The journal {self.path} cannot be opened: the file has {names} names (hard links)"
            advice = "Its log belongs to one name only. Remove the other names, or copy the file and use the copy."
            raise JournalError(message, advice=advice)
        if not self._accept_lost_log:
            check_log(self.path, self._lock.left_by)

    def _migrate(self) -> None:
        with closing(_connection(self.path, "mode=ro")) as connection:
            version = check_header(connection)
        if version < VERSION:
            with closing(_connection(self.path, "mode=rw")) as connection:
                migrate(connection)

    def _check_contents(self) -> None:
        """Read everything once, over a connection that can change neither the file nor its log."""
        self.keys, self._serial = set(), 0
        with closing(_connection(self.path, "mode=ro")) as connection:
            check_index(connection)
            for key, serial in check_rows(connection):
                self.keys.add(key)
                self._serial = max(self._serial, serial)
        if not self._accept_lost_log:
            check_commits(self.path, self._serial, self._lock.left_by)

    def _create(self) -> None:
        """Create an empty journal atomically."""
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
        fsync_directory(self.path.parent)

    def write(self, submissions: Sequence[Submission]) -> None:
        """Write submissions in one transaction; they are durable when it returns."""
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
        with suppress(OSError):  # the count only detects a lost log; the commit is durable without it
            self._lock.count(serial)

    def write_emergency(self, submission: Submission) -> str:
        """Write a submission to the emergency file, and return its path. Raises JournalError if that fails."""
        return self._emergency.append(dump_submission(submission))

    def read(self, rest: str, *values: str) -> list[Submission]:
        """Return the submissions that a query selects, given from its WHERE clause on."""
        return list(submissions_in(self._opened, rest, *values))

    def spent(self) -> Decimal:
        """Return the maximum cost of all submissions, in US dollars."""
        paid = self._opened.execute("SELECT paid, COUNT(*) FROM submissions GROUP BY paid")
        return sum((Decimal(amount) * count for amount, count in paid), Decimal(0))

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("it is not open")
        return self._connection

    def close(self) -> None:
        """Write the log into the file, mark it as closed, and release it; closing twice has no effect."""
        with ExitStack() as stack:
            if self._connection is not None:
                try:
                    _mark(self._connection, 0)
                except sqlite3.Error:
                    # On a full disk the file cannot be marked as closed. Then its log must stay: a read-only
                    # connection keeps SQLite from removing it, and the next owner continues with both.
                    reader = stack.enter_context(closing(_connection(self.path, "mode=ro")))
                    check_header(reader)
            self._release()

    def _release(self, *, keep: bool = False) -> None:
        if not self._lock.is_held:
            return
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        finally:
            self._emergency.close()
            self._lock.release(keep=keep)


def _from_emergency(lines: Iterable[str]) -> Iterator[Submission]:
    for line in lines:
        try:
            yield load_submission(line)
        except ValueError:
            # It was being written when the machine stopped, so nothing relied on it.
            _log.warning("skipped an incomplete line of the emergency file: %s", line)


def _connection(path: Path, options: str) -> sqlite3.Connection:
    # SQLite would treat an empty file as a new database.
    if path.stat().st_size == 0:
        raise ValueError("it is empty, so it is no journal")
    uri = f"{path.as_uri()}?{options}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)


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
    """Write the log into the file, and mark in its header whether newer entries may be in the log from now on.

    SQLite also opens a file that cannot be written; this detects it before money is spent.
    """
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # frees space for the mark on a full disk
    connection.execute(f"PRAGMA user_version = {VERSION | mark}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
