"""A journal in one file, in SQLite's format.

Theory of operation. `write` returns once what it was given is durable. Writes that come while another is being flushed
are gathered, and flushed together: the first of them leads, the others wait for its word. So a thousand jobs cost few
flushes, and one job waits for one. One thread at a time touches the file, and one process at a time owns it.

A file that is not a journal, is of a later version or is damaged is refused, never begun anew: it may be the only
record of what was paid for.
"""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from ...errors import InputError, InputFault, JournalError
from ...planning.moves import State
from ...planning.submission_text import submission_from_text, text_of_submission
from ...planning.submissions import Submission
from ..disk import flush_directory
from .layout import SCHEMA, VERSION, check_header, submissions_in
from .lifeboat import Lifeboat
from .ownership import Ownership

__all__ = ["SqliteJournal"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_WRITE: Final = """
    INSERT INTO submissions (key, attempt, state, body, checksum) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (key, attempt) DO UPDATE SET state = excluded.state, body = excluded.body, checksum = excluded.checksum
"""
_DURABILITY: Final = {"full": "FULL", "normal": "NORMAL"}


class _Flush:
    """Writes that are flushed together."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.done = anyio.Event()
        self.error: JournalError | None = None


class SqliteJournal:
    """A journal in one file, in SQLite's format.

    Args:
        path: the file; made if missing, in a directory that is there.
        durability: "full" survives power loss; "normal" only the end of the process, and is faster.

    Raises:
        InputError: there is no such durability.
    """

    def __init__(self, path: str | Path, *, durability: str = "full") -> None:
        if durability not in _DURABILITY:
            allowed = f"must be one of {', '.join(_DURABILITY)}"
            raise InputError.of("Wrong setting", [InputFault("durability", durability, allowed)])
        self.path = Path(path)
        self._durability = durability
        self._ownership = Ownership(self.path)
        self._lifeboat = Lifeboat(self.path)
        self._connection: sqlite3.Connection | None = None
        self._thread = anyio.CapacityLimiter(1)
        self._turn = anyio.Lock()
        self._keys: set[str] = set()
        self._next = _Flush()

    async def open(self) -> None:
        await self._in_thread("opened", self._open)

    async def write(self, *submissions: Submission) -> None:
        flush = self._next
        leads = not flush.submissions
        flush.submissions.extend(submissions)
        if leads:
            # A commit that is given up half way would leave the others who wait for it without a word.
            with anyio.CancelScope(shield=True):
                # Whoever is ready to write now comes along: a turn of the loop is cheaper than a turn of the disk.
                await anyio.lowlevel.checkpoint()
                await self._lead(flush)
        else:
            await flush.done.wait()  # who is cancelled here is written all the same
        if flush.error is not None:
            raise JournalError(flush.error.message) from flush.error

    async def _lead(self, flush: _Flush) -> None:
        async with self._turn:
            self._next = _Flush()
            try:
                await self._in_thread("written", lambda: self._write(flush.submissions))
            except JournalError as error:
                flush.error = error
            finally:
                flush.done.set()

    async def find(self, key: str) -> Submission | None:
        if key not in self._keys:  # as most are not: a thread would cost more than all else that is done for a job
            await anyio.lowlevel.checkpoint()
            return None
        found = await self._in_thread("read", lambda: self._read("WHERE key = ? ORDER BY attempt DESC LIMIT 1", key))
        return found[0] if found else None

    async def submissions(self, *states: State) -> list[Submission]:
        chosen = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        return await self._in_thread("read", lambda: self._read(f"{chosen} ORDER BY number", *states))

    async def rescue(self, submission: Submission) -> str:
        return await self._in_thread("rescued", lambda: self._lifeboat.board(text_of_submission(submission)))

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            async with self._turn:
                await self._in_thread("closed", self._close)

    async def _in_thread(self, done: str, work: Callable[[], T]) -> T:
        def told() -> T:
            try:
                return work()
            except (sqlite3.Error, OSError, ValueError) as error:
                raise JournalError(f"The journal {self.path} cannot be {done}: {error}") from error

        return await anyio.to_thread.run_sync(told, limiter=self._thread)

    # In the thread.

    def _open(self) -> None:
        if not self.path.parent.is_dir():
            raise JournalError(f"The journal {self.path} cannot be opened: its directory is missing")
        self._ownership.take()
        try:
            if not self.path.exists():
                self._create()
            self._connection = _connect(self.path, self._durability)
            self._keys = {key for [key] in self._connection.execute("SELECT DISTINCT key FROM submissions")}
            self._write(list(_rescued(self._lifeboat.launch())))
            self._lifeboat.empty()
        except BaseException:
            self._close()
            raise

    def _create(self) -> None:
        """Make an empty journal; it has its name only once it is whole."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        for left in (fresh, fresh.with_name(f"{fresh.name}-journal")):
            left.unlink(missing_ok=True)
        connection = sqlite3.connect(fresh, isolation_level=None)
        try:
            fresh.chmod(0o600)  # prompts are nobody else's business
            connection.executescript(SCHEMA)
        finally:
            connection.close()
        fresh.replace(self.path)
        flush_directory(self.path.parent)

    def _write(self, submissions: Sequence[Submission]) -> None:
        self._opened.execute("BEGIN IMMEDIATE")
        try:
            self._opened.executemany(_WRITE, map(_row, submissions))
            self._opened.execute("COMMIT")
            self._keys.update(one.key for one in submissions)
        except BaseException:
            if self._opened.in_transaction:
                self._opened.execute("ROLLBACK")
            raise

    def _read(self, rest: str, *values: str) -> list[Submission]:
        return list(submissions_in(self._opened, rest, *values))

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("it is not open")
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        finally:
            self._lifeboat.stow()
            self._ownership.release()


def _row(submission: Submission) -> tuple[str, int, str, str, int]:
    body = text_of_submission(submission)
    return submission.key, submission.attempt, submission.state.value, body, zlib.crc32(body.encode())


def _rescued(lines: Iterable[str]) -> Iterator[Submission]:
    for line in lines:
        try:
            yield submission_from_text(line)
        except ValueError:
            # It was being written when the machine stopped, so nobody was told of it.
            _log.warning("half a line of an emergency was found, and left out: %s", line)


def _connect(path: Path, durability: str) -> sqlite3.Connection:
    # SQLite would take an empty file for a new one.
    if path.stat().st_size == 0:
        raise ValueError("it is empty, so it is no journal")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        _check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {_DURABILITY[durability]}")
        connection.execute("PRAGMA fullfsync = ON")  # on macOS a flush does not reach the disk without it
        # A file that cannot be written is opened all the same; better to know before money is spent.
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    check_header(connection)
    faults = [row[0] for row in connection.execute("PRAGMA quick_check")]
    if faults != ["ok"]:
        raise ValueError(f"it is damaged: {faults[0]}")
    for _ in submissions_in(connection):
        pass
