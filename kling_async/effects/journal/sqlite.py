"""A journal in one file, in SQLite's format.

Theory of operation. `write` returns once what it was given is durable. Writes that come while another is being flushed
are gathered, and flushed together: the first of them leads, the others wait for it. So a thousand jobs cost few
flushes, and one job waits for one. One thread at a time touches the file.
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

from ...errors import InputError, InputFault, JournalError
from ...planning.moves import State
from ...planning.submissions import Submission
from .file import DURABILITY, JournalFile

__all__ = ["SqliteJournal"]

T = TypeVar("T")


class _Flush:
    """Writes that are flushed together."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.done = anyio.Event()
        self.error: JournalError | None = JournalError("The journal was cut off while it wrote")


class SqliteJournal:
    """A journal in one file, in SQLite's format.

    Args:
        path: the file; made if missing, in a directory that is there. Links are followed once, here: every path to a
            file is the same journal.
        durability: "full" survives power loss; "normal" only the end of the process, and is faster.
        accept_lost_log: open it although the log of its last run is missing or cut. What was only in there is not known
            any more, and may be paid again.

    Raises:
        InputError: there is no such durability.
    """

    def __init__(self, path: str | Path, *, durability: str = "full", accept_lost_log: bool = False) -> None:
        if durability not in DURABILITY:
            allowed = f"must be one of {', '.join(DURABILITY)}"
            raise InputError.of("Wrong setting", [InputFault("durability", durability, allowed)])
        self._file = JournalFile(path, durability=durability, accept_lost_log=accept_lost_log)
        self._thread = anyio.CapacityLimiter(1)
        self._in_use = threading.Lock()
        self._turn = anyio.Lock()
        self._next = _Flush()

    @property
    def path(self) -> Path:
        """The file, whatever links led to it."""
        return self._file.path

    async def open(self) -> None:
        given_up = opened = False

        def opening() -> None:
            nonlocal opened
            if not given_up:
                self._file.open()
                opened = True

        try:
            await self._in_thread("opened", opening)
        except BaseException:
            # asyncio's own cancellation leaves the thread to itself: what that has opened is let go of.
            given_up = True
            self._locked(lambda: self._file.close() if opened else None)
            raise

    async def write(self, *submissions: Submission) -> None:
        flush = self._next
        leads = not flush.submissions
        flush.submissions.extend(submissions)
        if leads:
            # A commit that is given up half way would leave the others that wait for it without an answer.
            with anyio.CancelScope(shield=True):
                await self._lead(flush)
        else:
            await flush.done.wait()  # a writer that is cancelled here is written all the same
        if flush.error is not None:
            raise JournalError(flush.error.message) from flush.error

    async def _lead(self, flush: _Flush) -> None:
        try:
            # Writers that are ready now join this flush: a turn of the loop is cheaper than a turn of the disk.
            await anyio.lowlevel.checkpoint()
            async with self._turn:
                self._next = _Flush()
                await self._in_thread("written", lambda: self._file.write(flush.submissions))
            flush.error = None
        except JournalError as error:
            flush.error = error
        finally:
            # asyncio's own cancellation goes through the shield: then the others must not wait for ever.
            if self._next is flush:
                self._next = _Flush()
            flush.done.set()

    async def find(self, key: str) -> Submission | None:
        if key not in self._file.keys:  # as most are not: a thread would cost more than all else that is done for a job
            await anyio.lowlevel.checkpoint()
            return None
        found = await self._in_thread(
            "read", lambda: self._file.read("WHERE key = ? ORDER BY attempt DESC LIMIT 1", key)
        )
        return found[0] if found else None

    async def submissions(self, *states: State) -> list[Submission]:
        chosen = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        return await self._in_thread("read", lambda: self._file.read(f"{chosen} ORDER BY number", *states))

    async def unfinished(self, *, saving: bool) -> list[Submission]:
        chosen = f"WHERE state = ? {'OR unsaved' if saving else ''} ORDER BY number"
        return await self._in_thread("read", lambda: self._file.read(chosen, State.ACCEPTED))

    async def spent(self) -> Decimal:
        return await self._in_thread("read", self._file.spent)

    async def rescue(self, submission: Submission) -> str:
        return await self._in_thread("rescued", lambda: self._file.rescue(submission))

    async def aclose(self) -> None:
        try:
            with anyio.CancelScope(shield=True):
                async with self._turn:
                    await self._in_thread("closed", self._file.close)
        finally:
            # asyncio's own cancellation goes through the shield: closed it is, all the same.
            self._locked(self._file.close)

    async def _in_thread(self, done: str, work: Callable[[], T]) -> T:
        def told() -> T:
            try:
                return self._locked(work)
            except (sqlite3.Error, OSError, ValueError) as error:
                raise JournalError(f"The journal {self.path} cannot be {done}: {error}") from error

        return await anyio.to_thread.run_sync(told, limiter=self._thread)

    def _locked(self, work: Callable[[], T]) -> T:
        # A thread whose task was cancelled goes on: nothing else may touch the connection until it has ended.
        with self._in_use:
            return work()
