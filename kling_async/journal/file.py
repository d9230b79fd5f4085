"""The file of a journal: opened, verified against its marks and checksums, migrated, written, sealed and closed.

Everything here blocks. A journal that was closed is as it was left if its seal says so; all others are read row by row.
A file that is not a journal, is of a later version, is damaged or lacks its newest entries is refused, and never
replaced by a new one: it may be the only record of paid jobs.
"""

from __future__ import annotations

import logging
import sqlite3
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from decimal import Decimal
from pathlib import Path

from ..system.files import fsync_directory, real_path
from ..types.errors import JournalError
from ..types.status import TO_RESUME, JobStatus
from .commits import NO_REFUSALS, Refusals
from .emergency import EmergencyFile
from .lock import FileLock
from .migration import migrate
from .schema import (
    MARKS,
    SCHEMA,
    VERSION,
    WRITE,
    check_header,
    check_index,
    check_rows,
    has_rows,
    keys_in,
    mark_of,
    numbers_of,
    row_of,
    submissions_in,
)
from .seal import SEAL_TABLE, Seal, digest_of, read_seal, write_seal
from .serialization import dump_submission, load_submission, states_of
from .sqlite_connection import connection_to, mark_open, open_connection
from .submission import Submission
from .wal_check import check_commits, check_log, log_beside

__all__ = ["JournalFile"]

_log = logging.getLogger(__name__)


class JournalFile:
    """The file of a journal, and the files beside it. One thread at a time may use it.

    Attributes:
        path: the file, with links resolved.
    """

    def __init__(self, path: str | Path, *, durability: str, accept_lost_log: bool) -> None:
        self.path = real_path(path)
        self._durability = durability
        self._accept_lost_log = accept_lost_log
        self._lock = FileLock(self.path)
        self._emergency = EmergencyFile(self.path)
        self._connection: sqlite3.Connection | None = None
        self._serial = 0
        self._seal: Seal | None = None
        self._hashes: set[int] | None = None

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Those of SQLite."""
        return (sqlite3.Error,)

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
            self._check_contents()
            self._connection = open_connection(self.path, self._durability)
            self._hashes = None if has_rows(self._connection) else set()
            mark_open(self._connection)
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
        self._roll_back()

    def _roll_back(self) -> None:
        """Let SQLite undo a transaction that a kill has cut off, since a connection that cannot write would fail.

        Versions 1 and 2 switched a new journal to a write-ahead log under its final name, by such a transaction.
        """
        if self.path.with_name(f"{self.path.name}-journal").exists() and self.path.exists():
            with closing(connection_to(self.path, "mode=rw")) as connection:
                check_header(connection)

    def _migrate(self) -> None:
        with closing(connection_to(self.path, "mode=ro")) as connection:
            version = check_header(connection)
        if version < VERSION:
            with closing(connection_to(self.path, "mode=rw")) as connection:
                migrate(connection, version=version)

    def _check_contents(self) -> None:
        """Read everything once, over a connection that can change neither the file nor its log."""
        self._seal = self._valid_seal()
        if self._seal is not None:
            self._serial = self._seal.commits
        else:
            self._migrate()
            with closing(connection_to(self.path, "mode=ro")) as connection:
                check_index(connection)
                self._serial = check_rows(connection)
        if not self._accept_lost_log:
            check_commits(self.path, self._serial, self._lock.left_by)

    def _valid_seal(self) -> Seal | None:
        """Return the seal of a journal that was closed and not changed since, or None."""
        if mark_of(self.path) != VERSION or log_beside(self.path).exists():
            return None
        try:
            with closing(connection_to(self.path, "immutable=1")) as connection, self.path.open("rb") as file:
                seal = read_seal(connection)
                return seal if seal is not None and seal.is_of(file, connection) else None
        except sqlite3.Error:
            return None  # damage, which is found and told when the rows are read

    def _create(self) -> None:
        """Create an empty journal atomically."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        for left in ("", "-journal", "-wal", "-shm"):
            fresh.with_name(f"{fresh.name}{left}").unlink(missing_ok=True)
        connection = sqlite3.connect(fresh, isolation_level=None)
        try:
            fresh.chmod(0o600)  # prompts are private
            connection.executescript(f"BEGIN; {SCHEMA} {SEAL_TABLE} {MARKS} COMMIT;")
            # Under its final name, this change would leave a rollback journal if the process is killed meanwhile, and
            # a connection that cannot write could not read the file.
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        fresh.replace(self.path)
        fsync_directory(self.path.parent)

    def write(self, submissions: Sequence[Submission]) -> Refusals:
        """Write submissions in one transaction; they are durable when it returns. Its only owner may write them all."""
        if not submissions:
            return NO_REFUSALS
        serial = self._serial + 1
        self._opened.execute("BEGIN IMMEDIATE")
        try:
            self._opened.executemany(WRITE, [row_of(one, serial) for one in submissions])
            self._opened.execute("COMMIT")
        except BaseException:
            if self._opened.in_transaction:
                self._opened.execute("ROLLBACK")
            raise
        self._serial = serial
        if self._hashes is not None:
            self._hashes.update([hash(one.key) for one in submissions])
        with suppress(OSError):  # the count only detects a lost log; the commit is durable without it
            self._lock.count(serial)
        return NO_REFUSALS

    def write_emergency(self, submission: Submission) -> str:
        """Write a submission to the emergency file, and return its path. Raises JournalError if that fails."""
        return self._emergency.append(dump_submission(submission))

    def may_have(self, key: str) -> bool:
        """Return whether it may have a job, without reading; False is certain."""
        return self._hashes is None or hash(key) in self._hashes

    def find(self, key: str) -> Submission | None:
        """Return the newest submission of a job. The first call notes a hash of each key, for `may_have`."""
        if self._hashes is None:
            self._hashes = set(map(hash, keys_in(self._opened)))
        return next(submissions_in(self._opened, "WHERE key = ? ORDER BY attempt DESC LIMIT 1", key), None)

    def with_states(self, states: Collection[str]) -> list[Submission]:
        """Return the submissions with these states, or all, in the order of their first writing."""
        chosen = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        return list(submissions_in(self._opened, f"{chosen} ORDER BY number", *states))

    def take_over(self) -> list[Submission]:
        """Return the submissions that are being sent, accepted or looked up: it has one owner at a time."""
        return self.with_states(states_of((JobStatus.SUBMITTING, *TO_RESUME)))

    def unfinished(self, *, saving: bool) -> array[int]:
        """Return the numbers of the accepted and looked up submissions and, if `saving`, of the unsaved ones."""
        chosen = f"WHERE state IN (?, ?) {'OR unsaved' if saving else ''} ORDER BY number"
        return numbers_of(self._opened, chosen, *sorted(states_of(TO_RESUME)))

    def numbered(self, numbers: Sequence[int]) -> list[Submission]:
        """Return the submissions with these numbers, at most some hundred, in their order."""
        marks = ", ".join("?" * len(numbers))
        return list(submissions_in(self._opened, f"WHERE number IN ({marks}) ORDER BY number", *numbers))

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
                    self._close_sealed(self._connection, stack)
                except (sqlite3.Error, OSError):
                    # On a full disk the file cannot be marked as closed. Then its log must stay: a read-only
                    # connection keeps SQLite from removing it, and the next owner continues with both.
                    reader = stack.enter_context(closing(connection_to(self.path, "mode=ro")))
                    check_header(reader)
            self._release()

    def _close_sealed(self, connection: sqlite3.Connection, stack: ExitStack) -> None:
        """Write the log into the file, and mark it as closed, with a seal over all of it."""
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # On POSIX, closing a file drops SQLite's own locks on it: it stays open until the connection is closed.
        file = stack.enter_context(self.path.open("rb"))
        if self._seal is None or self._seal.commits != self._serial:
            self._seal = Seal(digest_of(file, connection, commits=self._serial), self._serial)
        connection.execute("BEGIN IMMEDIATE")
        write_seal(connection, self._seal)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

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
