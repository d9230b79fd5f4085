"""The deadlines of jobs, earliest first.

Theory of operation. Most jobs wait equally long, so that nearly each deadline is the latest yet. Two lists, one of
deadlines in ascending order and one of their tickets, take 16 bytes for each, and a deadline that is earlier than
others is inserted where it belongs. Jobs mostly finish long before their deadline; their entries are removed by a few
with each new one, wherever they stand, so that no call has to look through all.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Final

from .ticket import Ticket

__all__ = ["Deadlines"]

_SLICE: Final = 256
"""Entries that are looked through at once for those of finished jobs."""
_EVERY: Final = 64
"""Deadlines added between two slices: four entries for each, so that at most a third of all are of finished jobs."""


class Deadlines:
    """Deadlines in ascending order. An entry counts while it is the present `deadline` of its ticket, which is open."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._tickets: list[Ticket] = []
        self._first = 0
        """The entries before it are gone, and removed later."""
        self._added = 0
        self._cleaned = 0

    def add(self, ticket: Ticket, deadline: float) -> None:
        """Set the deadline of a job, in place of any earlier one; infinity is none."""
        ticket.deadline = deadline
        if deadline == math.inf:
            return
        self._added += 1
        if not self._added % _EVERY:
            self._clean()
        if not self._times or deadline >= self._times[-1]:
            self._times.append(deadline)
            self._tickets.append(ticket)
        else:
            at = bisect_right(self._times, deadline, lo=self._first)
            self._times.insert(at, deadline)
            self._tickets.insert(at, ticket)

    def discard(self, ticket: Ticket) -> None:
        """Forget the deadline of a job that has moved to another engine."""
        at = bisect_left(self._times, ticket.deadline, lo=self._first)
        while at < len(self._times) and self._times[at] == ticket.deadline:
            if self._tickets[at] is ticket:
                del self._times[at], self._tickets[at]
            else:
                at += 1

    def next_at(self) -> float:
        """Return the earliest deadline; infinity if there is none."""
        while self._first < len(self._times) and not self._is_current(self._first):
            self._first += 1
        if self._first >= _SLICE or self._first == len(self._times):
            del self._times[: self._first], self._tickets[: self._first]
            self._first = 0
        return self._times[self._first] if self._times else math.inf

    def take(self, now: float) -> Ticket | None:
        """Remove and return a job whose deadline has passed, or None."""
        if self.next_at() > now:
            return None
        self._first += 1
        return self._tickets[self._first - 1]

    def pending(self) -> list[Ticket]:
        """Return the jobs that have a deadline and are not closed."""
        return [self._tickets[at] for at in range(self._first, len(self._times)) if self._is_current(at)]

    def _is_current(self, at: int) -> bool:
        ticket = self._tickets[at]
        return not ticket.closed and ticket.deadline == self._times[at]

    def _clean(self) -> None:
        """Remove the entries of finished jobs from the next slice."""
        start = max(self._first, self._cleaned)
        stop = min(start + _SLICE, len(self._times))
        is_last = stop == len(self._times)
        kept = [at for at in range(start, stop) if self._is_current(at)]
        if len(kept) < stop - start:
            times, tickets = [self._times[at] for at in kept], [self._tickets[at] for at in kept]
            self._times[start:stop], self._tickets[start:stop] = times, tickets
        self._cleaned = 0 if is_last else start + len(kept)
