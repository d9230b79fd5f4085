"""Jobs that wait to be submitted: first in, first out, held back by slots and by a rate limiter."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from itertools import count

from ..types.limits import Limits
from .learning import LearnedRate, LearnedSlots
from .rate_limit import RateLimiter
from .slots import Slots
from .ticket import Ticket

__all__ = ["SubmitQueue"]


class SubmitQueue:
    """The submit queue of one account.

    A job that does not fit into the free slots blocks the jobs behind it: if they could overtake it, it might wait
    forever.

    Args:
        limits: how fast jobs may leave, and how many slots there are.
        learns: whether these are only where to start from, and the account's own limits are found out.

    Attributes:
        slots: occupied by the jobs that have left the queue and have not finished.
    """

    def __init__(self, limits: Limits, *, learns: bool = False) -> None:
        self.slots = Slots(limits.max_open)
        per_second, slots = limits.submit_per_second, limits.max_open
        self._rate = None if per_second is None or not learns else LearnedRate(per_second)
        self._learned_slots = None if slots is None or not learns else LearnedSlots(slots)
        self._limiter = RateLimiter(per_second=limits.submit_per_second, burst=limits.submit_burst)
        self._ready: deque[Ticket] = deque()
        self._delayed: list[tuple[float, int, Ticket]] = []
        self._sequence = count()

    def __len__(self) -> int:
        return len(self._ready) + len(self._delayed)

    def add(self, ticket: Ticket) -> None:
        """Append a job."""
        self._ready.append(ticket)

    def requeue(self, ticket: Ticket) -> None:
        """Put a job back at the head, and release its slots."""
        self.slots.release(ticket.slots)
        self._ready.appendleft(ticket)

    def requeue_at(self, ticket: Ticket, at: float) -> None:
        """Put a job back at the head from a time on, and release its slots now."""
        self.slots.release(ticket.slots)
        heapq.heappush(self._delayed, (at, next(self._sequence), ticket))

    def take(self, now: float) -> Ticket | None:
        """Remove and return the next job, and acquire its slots; None if no job may leave yet."""
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._delayed)[2])
        if self.ready_at(now) > now:
            return None
        ticket = self._ready.popleft()
        self._limiter.consume(now)
        self.slots.acquire(ticket.slots)
        return ticket

    def ready_at(self, now: float) -> float:
        """Return the time at which a job may leave; infinity if only a change, such as a free slot, makes that so."""
        while self._ready and not self._ready[0].queued:
            self._ready.popleft()
        at = self._delayed[0][0] if self._delayed else math.inf
        if self._ready and self.slots.fits(self._ready[0].slots):
            at = min(at, self._limiter.ready_at(now))
        return at

    def pause_until(self, at: float, *, now: float, sent_at: float) -> None:
        """Let no job leave before a time, after a 429 to a submission that was sent at `sent_at`."""
        self._limiter.pause_until(at, now=now, sent_at=sent_at, slow_down=self._rate is None)

    # What is learned of the limits.

    def accepted(self, slots: int, *, sent_at: float, now: float) -> None:
        """Learn from the acceptance of a job of so many slots."""
        if self._rate is None and self._learned_slots is None:
            return
        waiting = bool(self._ready)
        fits = waiting and self.slots.fits(self._ready[0].slots)
        if self._rate is not None:
            before = self._rate.per_second
            self._rate.accepted(sent_at=sent_at, held_back=fits and self._limiter.ready_at(now) > now, now=now)
            if self._rate.per_second != before:
                self._limiter.set_rate(self._rate.per_second, now=now)
        if self._learned_slots is not None:
            self._learned_slots.accepted(slots, sent_at=sent_at, held_back=waiting and not fits, now=now)
            self.slots.limit = self._learned_slots.slots

    def over_rate(self, *, sent_at: float, now: float) -> float:
        """Learn from a refusal because of the rate; return the seconds to wait at least."""
        if self._rate is None:
            return 0.0
        self._rate.refused(sent_at=sent_at, now=now)
        self._limiter.set_rate(self._rate.per_second, now=now)
        return self._limiter.interval

    def over_slots(self, running: int, *, sent_at: float, now: float) -> None:
        """Learn from a refusal for want of slots, while accepted jobs occupied so many of them."""
        if self._learned_slots is not None:
            self._learned_slots.refused(running, sent_at=sent_at, now=now)
            self.slots.limit = self._learned_slots.slots

    def saw_waiting(self, now: float) -> None:
        """Learn that the provider lets an accepted job wait, so that more slots would speed nothing up."""
        if self._learned_slots is not None:
            self._learned_slots.hold(now)

    def is_paused(self, now: float) -> bool:
        """Return whether no job may leave because of a 429."""
        return self._limiter.is_paused(now)

    def drain_movable(self) -> list[Ticket]:
        """Remove and return the queued jobs that another provider takes."""
        movable = [ticket for ticket in self._ready if ticket.can_move and ticket.queued]
        movable += [ticket for _, _, ticket in self._delayed if ticket.can_move and ticket.queued]
        gone = set(movable)
        self._ready = deque(ticket for ticket in self._ready if ticket not in gone)
        self._delayed = [entry for entry in self._delayed if entry[2] not in gone]
        heapq.heapify(self._delayed)
        return movable

    def drain(self) -> Iterator[Ticket]:
        """Remove and yield all queued jobs."""
        while self._ready or self._delayed:
            ticket = self._ready.popleft() if self._ready else heapq.heappop(self._delayed)[2]
            if ticket.queued:
                yield ticket
