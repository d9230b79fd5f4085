"""When somebody has waited long enough for a job."""

from __future__ import annotations

import heapq
import math
from typing import Final

from .moves import Ticket

__all__ = ["Deadlines"]

_FEW: Final = 64
"""So many entries are never worth tidying."""


class Deadlines:
    """The times by which jobs are to be over. An entry counts while it is its job's present `until`."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, Ticket]] = []
        self._tidy_at = _FEW

    def add(self, ticket: Ticket, until: float) -> None:
        """Give a job a time, in place of any that it had."""
        ticket.until = until
        if until == math.inf:
            return
        if len(self._heap) >= self._tidy_at:
            # Jobs that are over long before their time would else be kept in memory until then.
            self._heap = [entry for entry in self._heap if self._counts(entry)]
            heapq.heapify(self._heap)
            self._tidy_at = 2 * len(self._heap) + _FEW
        heapq.heappush(self._heap, (until, ticket))

    def next_at(self) -> float:
        """Return the next time; infinity if there is none."""
        while self._heap and not self._counts(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def take(self, now: float) -> Ticket | None:
        """Return a job whose time has come, or None."""
        return heapq.heappop(self._heap)[1] if self.next_at() <= now else None

    def everybody(self) -> list[Ticket]:
        """Return the jobs that have a time and are not over."""
        return [entry[1] for entry in self._heap if self._counts(entry)]

    @staticmethod
    def _counts(entry: tuple[float, Ticket]) -> bool:
        until, ticket = entry
        return not ticket.state.over and ticket.until == until
