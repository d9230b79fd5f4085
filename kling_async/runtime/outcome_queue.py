"""Deliver the outcomes of a batch to its consumer, and hold the feeder back while too many jobs are open."""

from __future__ import annotations

import anyio

from ..types.jobs import Outcome

__all__ = ["OutcomeQueue"]


class OutcomeQueue:
    """The outcomes of a batch, as they finish or in the order of the jobs.

    Args:
        max_open: the maximum number of positions that are taken and not yet delivered.
        ordered: deliver in the order of the positions.
    """

    def __init__(self, *, max_open: int, ordered: bool) -> None:
        self._max_open = max_open
        self._ordered = ordered
        self._ready: dict[int, Outcome] = {}
        self._taken = self._delivered = 0
        self._changed = anyio.Event()
        self._capacity = anyio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether every position that was taken is delivered."""
        return self._delivered == self._taken

    @property
    def taken(self) -> int:
        """How many positions were taken."""
        return self._taken

    def take_position(self) -> int:
        """Take the next position."""
        self._taken += 1
        return self._taken - 1

    def put(self, position: int, outcome: Outcome) -> None:
        """Make the outcome of a position ready for delivery."""
        self._ready[position] = outcome
        self.notify()

    def get(self) -> Outcome | None:
        """Return the next outcome; None if none is ready."""
        position = self._delivered if self._ordered else next(iter(self._ready), -1)
        outcome = self._ready.pop(position, None)
        if outcome is not None:
            self._delivered += 1
            self.release_capacity()
        return outcome

    def notify(self) -> None:
        """Wake the consumer."""
        self._changed.set()

    async def changed(self) -> None:
        """Wait until the consumer is woken."""
        self._changed = anyio.Event()
        await self._changed.wait()

    def release_capacity(self) -> None:
        """Wake the feeder: a job was delivered, or has freed budget."""
        self._capacity.set()

    async def capacity(self) -> None:
        """Wait until a job is delivered, or has freed budget; several may wait at once."""
        if self._capacity.is_set():
            self._capacity = anyio.Event()
        await self._capacity.wait()

    async def slot(self) -> None:
        """Wait until a further position may be taken."""
        while self._taken - self._delivered >= self._max_open:
            await self.capacity()
