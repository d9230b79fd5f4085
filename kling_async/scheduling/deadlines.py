"""The deadlines of jobs, earliest first."""

from __future__ import annotations

import heapq
import math
from typing import Final

from .ticket import Ticket

__all__ = ["Deadlines"]

_MIN_COMPACT: Final = 64
"""A heap with fewer entries is not worth compacting."""


class Deadlines:
    """A heap of deadlines. An entry counts while it is the present `deadline` of its ticket, which is still here."""

    def __init__(self) -> None:
        self._gone: set[Ticket] = set()
        self._heap: list[tuple[float, Ticket]] = []
        self._compact_at = _MIN_COMPACT

    def add(self, ticket: Ticket, deadline: float) -> None:
        """Set the deadline of a job, in place of any earlier one; infinity is none."""
        ticket.deadline = deadline
        if deadline == math.inf:
            return
        if len(self._heap) >= self._compact_at:
            # Jobs that finish long before their deadline would otherwise be kept in memory until then.
            self._heap = [entry for entry in self._heap if self._is_current(entry)]
            heapq.heapify(self._heap)
            self._gone.clear()
            self._compact_at = 2 * len(self._heap) + _MIN_COMPACT
        heapq.heappush(self._heap, (deadline, ticket))

    def discard(self, ticket: Ticket) -> None:
        """Forget the deadline of a job that has moved to another engine."""
        self._gone.add(ticket)

    def next_at(self) -> float:
        """Return the earliest deadline; infinity if there is none."""
        while self._heap:
            if self._is_current(self._heap[0]):
                return self._heap[0][0]
            heapq.heappop(self._heap)
        return math.inf

    def take(self, now: float) -> Ticket | None:
        """Remove and return a job whose deadline has passed, or None."""
        return heapq.heappop(self._heap)[1] if self.next_at() <= now else None

    def pending(self) -> list[Ticket]:
        """Return the jobs that have a deadline and are not closed."""
        return [entry[1] for entry in self._heap if self._is_current(entry)]

    def _is_current(self, entry: tuple[float, Ticket]) -> bool:
        deadline, ticket = entry
        return not ticket.closed and ticket.deadline == deadline and ticket not in self._gone
