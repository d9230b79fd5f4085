"""A journal in one file, in SQLite's format.

Theory of operation. `write` returns once its submissions are durable. Writes that arrive during a commit form a group,
which is committed at once, so a thousand jobs cost few flushes, and one job waits for one. One thread uses the file, as
long as it is open.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.lowlevel

from ..system.threads import DaemonThread
from ..types.errors import InputError, InputFault, JournalError
from ..types.status import TO_RESUME, JobStatus
from .commits import CommitQueue
from .file import DURABILITY, JournalFile
from .serialization import states_of
from .submission import Submission

__all__ = ["SqliteJournal"]

T = TypeVar("T")

_AT_ONCE: Final = 500
"""Submissions that are read at once."""


class SqliteJournal:
    """A journal in one file, in SQLite's format.

    Args:
        path: the file; created if missing, in an existing directory. Links are resolved once, here: every path to a
            file is the same journal.
        durability: "full" survives power loss; "normal" only the end of the process, and is faster.
        accept_lost_log: open it although the log of its last run is missing or truncated. Entries that were only in
            the log are lost, and their jobs may be paid again.

    Raises:
        InputError: unknown durability.
    """

    def __init__(self, path: str | Path, *, durability: str = "full", accept_lost_log: bool = False) -> None:
        if durability not in DURABILITY:
            allowed = f"must be one of {', '.join(DURABILITY)}"
            raise InputError.of("Invalid setting", [InputFault("durability", durability, allowed)])
        self._file = JournalFile(path, durability=durability, accept_lost_log=accept_lost_log)
        self._file_lock = threading.Lock()
        self._thread: DaemonThread | None = None
        self._commits: CommitQueue | None = None

    @property
    def path(self) -> Path:
        """The file, with links resolved."""
        return self._file.path

    async def open(self) -> None:
        thread, cancelled, opened = DaemonThread(name="kling-async journal"), False, False

        def open_file() -> None:
            nonlocal opened
            if not cancelled:
                self._file.open()
                opened = True

        try:
            await self._run(thread, "opened", open_file)
        except BaseException:
            # asyncio's own cancellation does not stop the thread: a file that it has opened is closed again.
            cancelled = True
            thread.stop()
            self._locked(lambda: self._file.close() if opened else None)
            raise
        self._thread, self._commits = thread, CommitQueue(thread, self._commit)

    async def write(self, *submissions: Submission) -> None:
        if self._commits is None:
            raise self._not_open("written")
        if submissions:
            await self._commits.write(submissions)
        else:
            await anyio.lowlevel.checkpoint()

    def _commit(self, submissions: Sequence[Submission]) -> None:
        self._attempt("written", lambda: self._file.write(submissions))

    async def find(self, key: str) -> Submission | None:
        if not self._file.may_have(key):  # as most are not: a thread would cost more than all other steps of a job
            await anyio.lowlevel.checkpoint()
            return None
        return await self._read(lambda: self._file.find(key))

    async def submissions(self, *statuses: JobStatus) -> list[Submission]:
        states = states_of(statuses)
        chosen = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        found = await self._read(lambda: self._file.read(f"{chosen} ORDER BY number", *states))
        return [one for one in found if one.status in statuses] if statuses else found

    async def unfinished(self, *, saving: bool) -> AsyncGenerator[Submission]:
        states = sorted(states_of(TO_RESUME))
        chosen = f"WHERE state IN (?, ?) {'OR unsaved' if saving else ''} ORDER BY number"
        numbers = await self._read(lambda: self._file.numbers(chosen, *states))
        for at in range(0, len(numbers), _AT_ONCE):
            for one in await self._read(partial(self._file.read_numbers, numbers[at : at + _AT_ONCE])):
                yield one

    async def spent(self) -> Decimal:
        return await self._read(self._file.spent)

    async def write_emergency(self, submission: Submission) -> str:
        if self._thread is None:
            raise self._not_open("saved")
        return await self._run(self._thread, "saved", lambda: self._file.write_emergency(submission))

    async def aclose(self) -> None:
        thread, commits, self._thread, self._commits = self._thread, self._commits, None, None
        try:
            if thread is not None and commits is not None:
                commits.flush()
                await self._run(thread, "closed", self._file.close)
        finally:
            # asyncio's own cancellation ignores the shield: the file is closed nevertheless.
            self._locked(self._file.close)
            if thread is not None:
                thread.stop()

    async def _read(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise self._not_open("read")
        return await self._run(self._thread, "read", work)

    async def _run(self, thread: DaemonThread, done: str, work: Callable[[], T]) -> T:
        return await thread.run(lambda: self._attempt(done, work), shield=True)

    def _attempt(self, done: str, work: Callable[[], T]) -> T:
        try:
            return self._locked(work)
        except (sqlite3.Error, OSError, ValueError) as error:
            raise JournalError(f"The journal {self.path} cannot be {done}: {error}") from error

    def _not_open(self, done: str) -> JournalError:
        return JournalError(f"The journal {self.path} cannot be {done}: it is not open")

    def _locked(self, work: Callable[[], T]) -> T:
        # A thread whose task was cancelled continues: no other may use the connection until it has ended.
        with self._file_lock:
            return work()
