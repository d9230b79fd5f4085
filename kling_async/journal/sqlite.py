"""A journal in one file, in SQLite's format.

Theory of operation. `write` returns once its submissions are durable. Writes that arrive during a commit form a group,
which is committed at once: the first of them leads, the others wait for it. So a thousand jobs cost few flushes, and
one job waits for one. One thread at a time uses the file.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from ..types.errors import InputError, InputFault, JournalError
from ..types.status import TO_RESUME, JobStatus
from .file import DURABILITY, JournalFile
from .serialization import states_of
from .submission import Submission

__all__ = ["SqliteJournal"]

T = TypeVar("T")


class _CommitGroup:
    """Writers that share one commit."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.done = anyio.Event()
        self.error: JournalError | None = JournalError("The journal was interrupted while writing")


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
        self._thread = anyio.CapacityLimiter(1)
        self._file_lock = threading.Lock()
        self._lock = anyio.Lock()
        self._next = _CommitGroup()

    @property
    def path(self) -> Path:
        """The file, with links resolved."""
        return self._file.path

    async def open(self) -> None:
        cancelled = opened = False

        def open_file() -> None:
            nonlocal opened
            if not cancelled:
                self._file.open()
                opened = True

        try:
            await self._in_thread("opened", open_file)
        except BaseException:
            # asyncio's own cancellation does not stop the thread: a file that it has opened is closed again.
            cancelled = True
            self._locked(lambda: self._file.close() if opened else None)
            raise

    async def write(self, *submissions: Submission) -> None:
        group = self._next
        leads = not group.submissions
        group.submissions.extend(submissions)
        if leads:
            # A cancelled commit would leave the other writers of its group without an answer.
            with anyio.CancelScope(shield=True):
                await self._commit(group)
        else:
            await group.done.wait()  # the submissions of a writer cancelled here are written nevertheless
        if group.error is not None:
            raise JournalError(group.error.message) from group.error

    async def _commit(self, group: _CommitGroup) -> None:
        try:
            # Writers that are ready now join this group: a turn of the event loop is cheaper than a flush.
            await anyio.lowlevel.checkpoint()
            async with self._lock:
                self._next = _CommitGroup()
                await self._in_thread("written", lambda: self._file.write(group.submissions))
            group.error = None
        except JournalError as error:
            group.error = error
        finally:
            # asyncio's own cancellation ignores the shield: then the other writers must not wait for ever.
            if self._next is group:
                self._next = _CommitGroup()
            group.done.set()

    async def find(self, key: str) -> Submission | None:
        if key not in self._file.keys:  # as most are not: a thread would cost more than all other steps of a job
            await anyio.lowlevel.checkpoint()
            return None
        found = await self._in_thread(
            "read", lambda: self._file.read("WHERE key = ? ORDER BY attempt DESC LIMIT 1", key)
        )
        return found[0] if found else None

    async def submissions(self, *statuses: JobStatus) -> list[Submission]:
        states = states_of(statuses)
        chosen = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        found = await self._in_thread("read", lambda: self._file.read(f"{chosen} ORDER BY number", *states))
        return [one for one in found if one.status in statuses] if statuses else found

    async def unfinished(self, *, saving: bool) -> list[Submission]:
        chosen = f"WHERE state IN (?, ?) {'OR unsaved' if saving else ''} ORDER BY number"
        return await self._in_thread("read", lambda: self._file.read(chosen, *sorted(states_of(TO_RESUME))))

    async def spent(self) -> Decimal:
        return await self._in_thread("read", self._file.spent)

    async def write_emergency(self, submission: Submission) -> str:
        return await self._in_thread("saved", lambda: self._file.write_emergency(submission))

    async def aclose(self) -> None:
        try:
            with anyio.CancelScope(shield=True):
                async with self._lock:
                    await self._in_thread("closed", self._file.close)
        finally:
            # asyncio's own cancellation ignores the shield: the file is closed nevertheless.
            self._locked(self._file.close)

    async def _in_thread(self, done: str, work: Callable[[], T]) -> T:
        def call() -> T:
            try:
                return self._locked(work)
            except (sqlite3.Error, OSError, ValueError) as error:
                raise JournalError(f"The journal {self.path} cannot be {done}: {error}") from error

        return await anyio.to_thread.run_sync(call, limiter=self._thread)

    def _locked(self, work: Callable[[], T]) -> T:
        # A thread whose task was cancelled continues: no other may use the connection until it has ended.
        with self._file_lock:
            return work()
