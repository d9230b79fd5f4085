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

    Attributes:
        free: workers that could begin at once.
    """

    def __init__(self, size: int, work: Callable[[], Awaitable[bool]], *, on_idle: Callable[[], None]) -> None:
        self.free = size
        self._work = work
        self._on_idle = on_idle
        self._idle: list[anyio.Event] = []

    def wake_one(self, tasks: Tasks) -> None:
        """Let one more worker, which must be free, look for work."""
        self.free -= 1
        if self._idle:
            self._idle.pop().set()
        else:
            tasks.start(self._run)

    @defer_interrupts
    async def _run(self) -> None:
        while True:
            if not await self._work():
                woken = anyio.Event()
                self._idle.append(woken)
                self.free += 1
                self._on_idle()
                await woken.wait()
