"""Time and dice, the way the rest of the package is allowed to see them."""

from __future__ import annotations

import random
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import anyio

__all__ = ["Clock", "LeapingClock", "SystemClock", "held"]


class Clock(Protocol):
    """What tells the time, waits, and throws dice. `kling_async.testing` has one that leaps."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean something."""
        ...

    def utc(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds; at least one turn of the event loop."""
        ...

    def dice(self) -> float:
        """Return a number drawn evenly from 0 up to, not including, 1."""
        ...


@runtime_checkable
class LeapingClock(Protocol):
    """A clock that leaps over waiting, and cannot see that a thread is at work."""

    def hold(self) -> AbstractContextManager[None]:
        """Stand still while this is entered."""
        ...


def held(clock: Clock) -> AbstractContextManager[None]:
    """Keep a clock from leaping over what a thread does meanwhile; one that never leaps goes on."""
    return clock.hold() if isinstance(clock, LeapingClock) else nullcontext()


class SystemClock:
    """The machine's own monotonic clock, calendar and dice."""

    def now(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))

    def dice(self) -> float:
        return random.random()
