"""A journal over a store that blocks: one thread uses the store, as long as it is open.

Theory of operation. `write` returns once its submissions are durable. Writes that arrive during a commit form a group,
which is committed at once, so a thousand jobs cost few flushes, and one job waits for one.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from decimal import Decimal
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

import anyio
import anyio.lowlevel

from ..system.threads import DaemonThread
from ..types.errors import JournalError
from ..types.status import JobStatus
from .commits import CommitQueue, Refusals, Write
from .serialization import states_of
from .submission import Submission

__all__ = ["JournalStore", "ThreadedJournal"]

T = TypeVar("T")
W = TypeVar("W", bound=Write)
W_contra = TypeVar("W_contra", bound=Write, contravariant=True)

_AT_ONCE: Final = 500
"""Submissions that are read at once."""


class JournalStore(Protocol[W_contra]):
    """A store of submissions whose methods block. One thread at a time uses it."""

    @property
    def name(self) -> str:
        """What messages call it; without a password."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """The errors of its library, besides OSError and ValueError, that mean that it cannot be used."""
        ...

    def open(self) -> None:
        """Open it."""
        ...

    def write(self, submissions: Sequence[W_contra], /) -> Refusals:
        """Write submissions durably, and return the errors of those that another owner keeps from being written."""
        ...

    def may_have(self, key: str) -> bool:
        """Return whether it may have a job, without reading; False is certain."""
        ...

    def find(self, key: str) -> Submission | None:
        """Return the newest submission of a job."""
        ...

    def with_states(self, states: Collection[str]) -> list[Submission]:
        """Return the submissions with these states on disk, or all, in the order of their first writing."""
        ...

    def take_over(self) -> list[Submission]:
        """Return the submissions that are being sent, accepted or looked up, and that no living owner has."""
        ...

    def unfinished(self, *, saving: bool) -> array[int]:
        """Return the numbers of the accepted and looked up submissions and, if `saving`, of the unsaved ones."""
        ...

    def numbered(self, numbers: Sequence[int]) -> list[Submission]:
        """Return the submissions with these numbers, at most some hundred, in their order."""
        ...

    def spent(self) -> Decimal:
        """Return the maximum cost of all submissions, in US dollars."""
        ...

    def write_emergency(self, submission: Submission) -> str:
        """Save a submission elsewhere, and return the place."""
        ...

    def close(self) -> None:
        """Close it; closing twice has no effect."""
        ...


class ThreadedJournal(Generic[W]):
    """A journal over a store, which writes submissions, or more."""

    def __init__(self, store: JournalStore[W]) -> None:
        self._store = store
        self._errors: tuple[type[Exception], ...] = (*store.errors, OSError, ValueError)
        self._store_lock = threading.Lock()
        self._thread: DaemonThread | None = None
        self._commits: CommitQueue[W] | None = None

    async def open(self) -> None:
        thread, cancelled, opened = DaemonThread(name="kling-async journal"), False, False

        def open_store() -> None:
            nonlocal opened
            if not cancelled:
                self._store.open()
                opened = True

        try:
            await self._run(thread, "opened", open_store)
        except BaseException:
            # asyncio's own cancellation does not stop the thread: a store that it has opened is closed again.
            cancelled = True
            thread.stop()
            self._locked(lambda: self._store.close() if opened else None)
            raise
        self._thread, self._commits = thread, CommitQueue(thread, self._commit)

    async def write(self, *submissions: W) -> None:
        if self._commits is None:
            raise self._not_open("written")
        if submissions:
            await self._commits.write(submissions)
        else:
            await anyio.lowlevel.checkpoint()

    def _commit(self, submissions: Sequence[W]) -> Refusals:
        return self._attempt("written", lambda: self._store.write(submissions))

    async def find(self, key: str) -> Submission | None:
        if not self._store.may_have(key):  # as most are not: a thread would cost more than all other steps of a job
            await anyio.lowlevel.checkpoint()
            return None
        return await self._read(lambda: self._store.find(key))

    async def submissions(self, *statuses: JobStatus) -> list[Submission]:
        states = sorted(states_of(statuses))
        found = await self._read(lambda: self._store.with_states(states))
        return [one for one in found if one.status in statuses] if statuses else found

    async def take_over(self) -> list[Submission]:
        return await self._read(self._store.take_over)

    async def unfinished(self, *, saving: bool) -> AsyncGenerator[Submission]:
        numbers = await self._read(lambda: self._store.unfinished(saving=saving))
        for at in range(0, len(numbers), _AT_ONCE):
            for one in await self._read(partial(self._store.numbered, numbers[at : at + _AT_ONCE])):
                yield one

    async def spent(self) -> Decimal:
        return await self._read(self._store.spent)

    async def write_emergency(self, submission: Submission) -> str:
        if self._thread is None:
            raise self._not_open("saved")
        return await self._run(self._thread, "saved", lambda: self._store.write_emergency(submission))

    async def aclose(self) -> None:
        thread, commits, self._thread, self._commits = self._thread, self._commits, None, None
        try:
            if thread is not None and commits is not None:
                commits.flush()
                await self._run(thread, "closed", self._store.close)
        finally:
            # asyncio's own cancellation ignores the shield: the store is closed nevertheless.
            self._locked(self._store.close)
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
        except self._errors as error:
            raise JournalError(f"The journal {self._store.name} cannot be {done}: {error}") from error

    def _not_open(self, done: str) -> JournalError:
        return JournalError(f"The journal {self._store.name} cannot be {done}: it is not open")

    def _locked(self, work: Callable[[], T]) -> T:
        # A thread whose task was cancelled continues: no other may use the store until it has ended.
        with self._store_lock:
            return work()
