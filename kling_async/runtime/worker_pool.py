"""A pool of worker tasks, started on demand and idle without work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from ..system.background import Tasks
from ..system.interrupts import defer_interrupts

__all__ = ["WorkerPool"]


class WorkerPool:
    """Workers of one kind.

    Args:
        size: the maximum number of workers.
        work: does one piece of work, and returns False if there is none.
        on_idle: is called when a worker has found no work.
    """

    def __init__(self, size: int, work: Callable[[], Awaitable[bool]], *, on_idle: Callable[[], None]) -> None:
        self._size = size
        self._work = work
        self._on_idle = on_idle
        self._started = 0
        self._idle: list[anyio.Event] = []

    @property
    def has_capacity(self) -> bool:
        """Whether a worker could begin at once."""
        return bool(self._idle) or self._started < self._size

    def wake_one(self, tasks: Tasks) -> None:
        """Let one more worker look for work."""
        if self._idle:
            self._idle.pop().set()
        elif self._started < self._size:
            self._started += 1
            tasks.start(self._run)

    @defer_interrupts
    async def _run(self) -> None:
        while True:
            if not await self._work():
                woken = anyio.Event()
                self._idle.append(woken)
                self._on_idle()
                await woken.wait()
