"""Who may connect to a host now, and how long it may take: taking turns costs nobody his time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio

__all__ = ["Patience", "Turns"]


class Turns:
    """At most so many holders of one name at once, first come, first served.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[str, anyio.Semaphore] = {}
        self._wanted: dict[str, int] = {}

    @asynccontextmanager
    async def take(self, name: str) -> AsyncGenerator[None]:
        """Wait for a turn and hold it."""
        places = self._places.setdefault(name, anyio.Semaphore(self._most))
        self._wanted[name] = self._wanted.get(name, 0) + 1
        try:
            async with places:
                yield
        finally:
            self._wanted[name] -= 1
            if not self._wanted[name]:  # names are chosen by others, and could become many
                del self._wanted[name], self._places[name]


class Patience:
    """How many seconds something may still take in all; what is not spent under it does not count."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @contextmanager
    def spent(self) -> Generator[None]:
        """Spend it. Raises TimeoutError once it is used up."""
        began = anyio.current_time()
        try:
            with anyio.fail_after(self.left):
                yield
        finally:
            self.left -= anyio.current_time() - began
