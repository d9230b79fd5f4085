"""Per-host connection limits, and a time budget that excludes the wait for a slot."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio

__all__ = ["HostLimiter", "TimeBudget"]


class HostLimiter:
    """A limit of concurrent holders per host name, first come, first served.

    Args:
        limit: maximum number of holders of one name.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._slots: dict[str, anyio.Semaphore] = {}
        self._users: dict[str, int] = {}

    @asynccontextmanager
    async def acquire(self, name: str) -> AsyncGenerator[None]:
        """Wait for a slot of a name, and hold it."""
        slots = self._slots.setdefault(name, anyio.Semaphore(self._limit))
        self._users[name] = self._users.get(name, 0) + 1
        try:
            async with slots:
                yield
        finally:
            self._users[name] -= 1
            if not self._users[name]:  # providers choose the names, so their number is unbounded
                del self._users[name], self._slots[name]


class TimeBudget:
    """Remaining seconds of an operation; only time under `running` counts."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @contextmanager
    def running(self) -> Generator[None]:
        """Count time against the budget. Raises TimeoutError once it is used up."""
        started = anyio.current_time()
        try:
            with anyio.fail_after(self.left):
                yield
        finally:
            self.left -= anyio.current_time() - started
