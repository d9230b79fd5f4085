"""Time and randomness, as the rest of the package may use them."""

from __future__ import annotations

import random
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import anyio

__all__ = ["Clock", "JumpingClock", "SystemClock", "elapsed_seconds", "hold_clock"]


class Clock(Protocol):
    """A source of time and randomness; `kling_async.testing.VirtualClock` is the one for tests."""

    def now(self) -> float:
        """Return monotonic seconds; only differences are meaningful."""
        ...

    def utc(self) -> datetime:
        """Return the date and time, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep that many seconds; at least one turn of the event loop."""
        ...

    def random(self) -> float:
        """Return a random number, uniform in [0, 1)."""
        ...


@runtime_checkable
class JumpingClock(Protocol):
    """An auto-jumping clock, which cannot see that a thread is busy."""

    def hold(self) -> AbstractContextManager[None]:
        """Stop the clock while this is entered."""
        ...


def hold_clock(clock: Clock) -> AbstractContextManager[None]:
    """Keep an auto-jumping clock from jumping while a thread is busy; any other clock is unaffected."""
    return clock.hold() if isinstance(clock, JumpingClock) else nullcontext()


class SystemClock:
    """The machine's own monotonic clock, calendar and random numbers."""

    def now(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))

    def random(self) -> float:
        return random.random()


def elapsed_seconds() -> float:
    """Return monotonic seconds that also pass while the machine sleeps, where it has such a clock."""
    # On Linux the monotonic clock stands still meanwhile, and a lease does not; elsewhere it goes on.
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
