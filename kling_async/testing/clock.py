"""An auto-jumping clock: minutes of waiting pass in milliseconds, in the same order.

Time stops while any task can run. When all tasks are blocked, the clock jumps to the earliest sleeper. It cannot see
work in threads and on sockets, so use it with transports that live in the process; `anyio` deadlines keep the machine's
own time.

The idea is `trio.testing.MockClock` with its `autojump_threshold`.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import anyio
from anyio.lowlevel import checkpoint

from ..system.background import Background, Tasks
from ..system.interrupts import defer_interrupts

__all__ = ["VirtualClock"]

_TURNS = 10_000
"""Maximum turns of asyncio's loop until all tasks are blocked, before falling back on anyio's own, coarser wait."""


class VirtualClock:
    """An auto-jumping clock for tests; enter it with ``async with``.

    Args:
        seed: of `random`; the same seed gives the same numbers.
        start: the time of `utc` when `now` is 0; aware.
    """

    def __init__(self, *, seed: int = 0, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        if start.tzinfo is None:
            raise ValueError("start must be aware: give it a time zone")
        self._seed = seed
        self._start = start
        self._now = 0.0
        self._draws = 0
        self._last_number = 0
        # The heap may hold cancelled sleepers; `_sleepers` is authoritative.
        self._heap: list[tuple[float, int]] = []
        self._sleepers: dict[int, anyio.Event] = {}
        self._arrival: anyio.Event | None = None
        self._background: Background | None = None
        self._holds = 0
        self._released: anyio.Event | None = None

    @defer_interrupts
    async def __aenter__(self) -> Self:
        if self._background is not None:
            raise RuntimeError("this VirtualClock is running already")
        self._arrival = anyio.Event()
        self._background = Background(self._driving)
        await self._background.open()
        return self

    @defer_interrupts
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        background, self._background, self._arrival = self._background, None, None
        if background is not None:
            await background.aclose()

    @asynccontextmanager
    async def _driving(self) -> AsyncGenerator[None]:
        async with Tasks() as tasks:
            tasks.start(self._drive)
            yield

    @contextmanager
    def hold(self) -> Generator[None]:
        """Stop the clock while this is entered, as long as a thread is busy."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if self._released is not None and not self._holds:
                self._released.set()

    @property
    def sleepers(self) -> int:
        """The number of tasks that sleep on this clock."""
        return len(self._sleepers)

    def now(self) -> float:
        """Return seconds since the clock was made."""
        return self._now

    def utc(self) -> datetime:
        """Return the date and time, aware, in UTC."""
        return self._start + timedelta(seconds=self._now)

    def random(self) -> float:
        """Return a random number, uniform in [0, 1)."""
        self._draws += 1
        digest = hashlib.blake2b(f"{self._seed}:{self._draws}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) / (1 << 53)

    async def sleep(self, seconds: float) -> None:
        """Sleep that many seconds of this clock; at least one turn of the event loop."""
        if not seconds > 0:
            await checkpoint()
            return
        if self._arrival is None:
            raise RuntimeError("nothing moves this VirtualClock: enter it first, with `async with`")
        self._last_number += 1
        number, event = self._last_number, anyio.Event()
        self._sleepers[number] = event
        heapq.heappush(self._heap, (self._now + seconds, number))
        self._arrival.set()
        try:
            await event.wait()
        finally:
            self._sleepers.pop(number, None)
            if not self._sleepers:
                self._heap.clear()

    @defer_interrupts
    async def _drive(self) -> None:
        while True:
            await _all_blocked()
            if self._holds:
                self._released = anyio.Event()
                await self._released.wait()
            elif not self._jump():
                self._arrival = anyio.Event()
                await self._arrival.wait()

    def _jump(self) -> bool:
        """Jump to the earliest sleeper and wake all that are due then. Returns False without sleepers."""
        while self._heap and self._heap[0][1] not in self._sleepers:
            heapq.heappop(self._heap)
        if not self._heap:
            return False
        self._now = max(self._now, self._heap[0][0])
        while self._heap and self._heap[0][0] <= self._now:
            _, number = heapq.heappop(self._heap)
            if event := self._sleepers.pop(number, None):
                event.set()
        return True


async def _all_blocked() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        await anyio.wait_all_tasks_blocked()
        return
    # On asyncio anyio's wait sleeps 0.1 real seconds whenever it finds a task that can run: far too long here.
    quiet = False
    for _ in range(_TURNS):
        await checkpoint()
        # Twice in a row: a requested cancellation reaches its task one turn later.
        was_quiet, quiet = quiet, _asyncio_is_quiet()
        if was_quiet and quiet:
            return
    await anyio.wait_all_tasks_blocked()


def _asyncio_is_quiet() -> bool:
    this = asyncio.current_task()
    for task in asyncio.all_tasks():
        if task is not this:
            # Private, and read by anyio as well: asyncio has no public way to tell.
            waiter: asyncio.Future[object] | None = getattr(task, "_fut_waiter", None)
            if waiter is None or waiter.done():
                return False
    return True
