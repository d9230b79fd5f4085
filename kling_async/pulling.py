"""Where the jobs of a batch come from: a list, an iterator that may block, or one that waits.

Theory of operation. `next` of a file, a pipe or a socket may block for ever. In the event loop it would keep everything
else from running, Ctrl-C as well. So an iterator is pulled in a daemon thread, one and the same from the first pull to
the closing of a generator, and only when there is room for another job.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Sequence
from enum import Enum
from typing import Final, Generic, TypeAlias, TypeVar

import anyio
import anyio.lowlevel

from .effects.clock import Clock, held
from .effects.signals import interruptible, resend_interrupt
from .effects.threads import DaemonThread
from .errors import InputError, InputFault
from .inputs import Input, Job

__all__ = ["Jobs", "check_keys", "pulled"]

Jobs: TypeAlias = Iterable[Job | Input] | AsyncIterable[Job | Input]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_CLOSING: Final = 1.0
"""Seconds that the closing of a generator is waited for; after that its thread is left alone with it."""


class _End(Enum):
    """What stands for the end of an iterator: a StopIteration may not leave a thread, nor a coroutine."""

    END = 0


async def pulled(jobs: Iterable[T] | AsyncIterable[T], *, clock: Clock) -> AsyncGenerator[T]:
    """Yield jobs one by one, each pulled when it is asked for; whatever the iterator raises is raised."""
    if isinstance(jobs, (list, tuple)):
        # It never waits, and would keep everybody else from running. Nothing is pulled that may not be handed on.
        await anyio.lowlevel.checkpoint()
        for job in jobs:
            yield job
            await anyio.lowlevel.checkpoint()
        return
    source = _Awaited(jobs) if isinstance(jobs, AsyncIterable) else _Threaded(jobs, clock)
    try:
        while not isinstance(job := await source.next(), _End):
            yield job
    finally:
        await source.aclose()


class _Awaited(Generic[T]):
    """An iterator that waits; it runs in the event loop, and Ctrl-C may end it."""

    def __init__(self, jobs: AsyncIterable[T]) -> None:
        self._iterator = aiter(jobs)

    async def next(self) -> T | _End:
        try:
            return await _next(self._iterator)
        except KeyboardInterrupt:
            resend_interrupt()
            return _End.END

    async def aclose(self) -> None:
        """Leave it to the event loop, as `async for` does."""


@interruptible
async def _next(iterator: AsyncIterator[T]) -> T | _End:
    return await anext(iterator, _End.END)


class _Threaded(Generic[T]):
    """An iterator that may block; all that it does it does in one thread."""

    def __init__(self, jobs: Iterable[T], clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._iterator: Iterator[T] | None = None
        self._thread = DaemonThread(name="kling-async jobs")
        self._pulling = False

    async def next(self) -> T | _End:
        await anyio.lowlevel.checkpoint_if_cancelled()  # nothing is pulled that may not be handed on
        self._pulling = True
        with held(self._clock):
            job = await self._thread.run(self._next)
        self._pulling = False
        return job

    def _next(self) -> T | _End:
        if self._iterator is None:
            self._iterator = iter(self._jobs)
        return next(self._iterator, _End.END)

    async def aclose(self) -> None:
        """Close a generator, and let the thread end; what still blocks there is closed when it returns."""
        patience = 0.0 if self._pulling else _CLOSING
        with anyio.move_on_after(patience, shield=True), held(self._clock):
            await self._thread.run(self._close)
        self._thread.stop()

    def _close(self) -> None:
        if isinstance(self._iterator, Generator):
            try:
                self._iterator.close()  # pyright: ignore[reportUnknownMemberType]
            except Exception:  # noqa: BLE001 - the batch is over, and what it was paid for is handed out
                _log.exception("the generator of a batch's jobs failed when it was closed")


def check_keys(jobs: Sequence[object]) -> None:
    """Refuse a list in which two jobs have one key, before anything is sent."""
    seen = dict[str, int]()
    for position, item in enumerate(jobs):
        if isinstance(item, Job) and item.key is not None and seen.setdefault(item.key, position) != position:
            fault = InputFault(f"jobs[{position}].key", item.key, f"is the key of jobs[{seen[item.key]}], too")
            raise InputError.of("Two jobs have one key", [fault])
