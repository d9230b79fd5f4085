"""Iterate over the jobs of a batch: a list, an iterator that may block, or an asynchronous one.

Theory of operation. `next` of a file, a pipe or a socket may block for ever. In the event loop it would block
everything else, Ctrl-C as well. So an iterator is pulled in a daemon thread, one and the same from the first pull to
the closing of a generator, and only when there is room for another job.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Sequence
from enum import Enum
from typing import Final, Generic, TypeAlias, TypeVar

import anyio
import anyio.lowlevel

from ..system.clock import Clock, hold_clock
from ..system.interrupts import interruptible, resend_interrupt
from ..system.threads import DaemonThread
from ..types.errors import InputError, InputFault
from ..types.inputs import Input
from ..types.jobs import Job

__all__ = ["Jobs", "check_keys", "iterate_jobs"]

Jobs: TypeAlias = Iterable[Job | Input] | AsyncIterable[Job | Input]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_CLOSING: Final = 1.0
"""Seconds to wait for a generator to close; after that its thread is left to itself."""


class _End(Enum):
    """The end of an iterator: a StopIteration may leave neither a thread nor a coroutine."""

    END = 0


async def iterate_jobs(jobs: Iterable[T] | AsyncIterable[T], *, clock: Clock) -> AsyncGenerator[T]:
    """Yield jobs one by one, each pulled on demand; an exception of the iterator is raised."""
    if isinstance(jobs, (list, tuple)):
        # It never waits, and would block every other task. Nothing is pulled that may not be yielded.
        await anyio.lowlevel.checkpoint()
        for job in jobs:
            yield job
            await anyio.lowlevel.checkpoint()
        return
    source = _AsyncSource(jobs) if isinstance(jobs, AsyncIterable) else _ThreadedSource(jobs, clock)
    try:
        while not isinstance(job := await source.next(), _End):
            yield job
    finally:
        await source.aclose()


class _AsyncSource(Generic[T]):
    """An asynchronous iterator; it runs in the event loop, and Ctrl-C may end it."""

    def __init__(self, jobs: AsyncIterable[T]) -> None:
        self._iterator = aiter(jobs)

    async def next(self) -> T | _End:
        try:
            return await _next(self._iterator)
        except KeyboardInterrupt:
            resend_interrupt()
            return _End.END

    async def aclose(self) -> None:
        """Leave the iterator to the event loop, as `async for` does."""


@interruptible
async def _next(iterator: AsyncIterator[T]) -> T | _End:
    # Not `anext` with a default: with one CPython, at least up to 3.13, crashes where `__anext__` raises at once.
    try:
        return await anext(iterator)
    except StopAsyncIteration:
        return _End.END


class _ThreadedSource(Generic[T]):
    """An iterator that may block; it runs in one thread from beginning to end."""

    def __init__(self, jobs: Iterable[T], clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._iterator: Iterator[T] | None = None
        self._thread = DaemonThread(name="kling-async jobs")
        self._waiting_for_next = False

    async def next(self) -> T | _End:
        await anyio.lowlevel.checkpoint_if_cancelled()  # nothing is pulled that may not be yielded
        self._waiting_for_next = True
        with hold_clock(self._clock):
            job = await self._thread.run(self._next)
        self._waiting_for_next = False
        return job

    def _next(self) -> T | _End:
        if self._iterator is None:
            self._iterator = iter(self._jobs)
        return next(self._iterator, _End.END)

    async def aclose(self) -> None:
        """Close a generator and end the thread; an iterator that still blocks is closed when it returns."""
        patience = 0.0 if self._waiting_for_next else _CLOSING
        with anyio.move_on_after(patience, shield=True), hold_clock(self._clock):
            await self._thread.run(self._close)
        self._thread.stop()

    def _close(self) -> None:
        if isinstance(self._iterator, Generator):
            try:
                self._iterator.close()  # pyright: ignore[reportUnknownMemberType]
            except Exception:  # noqa: BLE001 - the batch has ended, and its outcomes are delivered
                _log.exception("the generator of a batch's jobs failed when it was closed")


def check_keys(jobs: Sequence[object]) -> None:
    """Refuse a list with two jobs of the same key, before anything is sent."""
    seen = dict[str, int]()
    for position, item in enumerate(jobs):
        if isinstance(item, Job) and item.key is not None and seen.setdefault(item.key, position) != position:
            fault = InputFault(f"jobs[{position}].key", item.key, f"is the key of jobs[{seen[item.key]}], too")
            raise InputError.of("Two jobs have one key", [fault])
