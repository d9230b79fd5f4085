"""Jobs that wait to be submitted: first in, first out, held back by slots and by a rate limiter."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count

from ..types.gate import Hold
from ..types.limits import LimitKind, LimitOrigin, Limits, SpeedLimit
from .learning import AccountLimits, LearnedRate, LearnedSlots
from .polling.durations import WorkKind
from .rate_limit import RateLimiter
from .slots import Slots
from .speed_limits import LimitOrigins
from .ticket import Ticket

__all__ = ["SubmitQueue"]


class SubmitQueue:
    """The submit queue of one account.

    A job that does not fit into the free slots blocks the jobs behind it: if they could overtake it, it might wait
    forever.

    Args:
        limits: how fast jobs may leave, and how many slots there are.
        known: what was learned of the account's own limits before, to learn more; None keeps to `limits`.

    Attributes:
        slots: occupied by the jobs that have left the queue and have not finished.
        sharers: clients that share the rate and the slots.
        last_kind: the kind of work of the job that came last, if any has.
    """

    def __init__(self, limits: Limits, *, known: AccountLimits | None = None) -> None:
        learned = known or AccountLimits()
        per_second, slots = learned.per_second or limits.submit_per_second, learned.slots or limits.max_open
        self.slots = Slots(slots)
        self.sharers = 1
        self.last_kind: WorkKind | None = None
        self._limits = limits
        self._rate = self._learned_slots = None
        burst = limits.submit_burst
        if known is not None and per_second is not None:
            self._rate = LearnedRate(per_second, burst=burst, known=known.per_second is not None)
            burst = self._rate.burst
        if known is not None and slots is not None:
            self._learned_slots = LearnedSlots(slots, known=known.slots is not None)
        self._limiter = RateLimiter(per_second=per_second, burst=burst)
        self._ready: deque[Ticket] = deque()
        self._delayed: list[tuple[float, int, Ticket]] = []
        self._sequence = count()
        self._pause_origin = LimitOrigin.BACKOFF
        self._held_until, self._held_slots = -math.inf, 0
        self._held_by: SpeedLimit | None = None
        self._held_at_head = 0
        """Jobs at the head that are held, in their order."""

    def __len__(self) -> int:
        return len(self._ready) + len(self._delayed)

    def add(self, ticket: Ticket) -> None:
        """Append a job."""
        self.last_kind = ticket.work_kind
        self._ready.append(ticket)

    def requeue(self, ticket: Ticket) -> None:
        """Put a job back at the head, and release its slots."""
        self.slots.release(ticket.slots)
        self._ready.appendleft(ticket)
        self._held_at_head = 0

    def requeue_at(self, ticket: Ticket, at: float) -> None:
        """Put a job back at the head from a time on, and release its slots now."""
        self.slots.release(ticket.slots)
        heapq.heappush(self._delayed, (at, next(self._sequence), ticket))

    def hold(self, ticket: Ticket, hold: Hold, now: float) -> None:
        """Put a job back that did not leave, and release its slots; what holds the account holds all other jobs, too.

        Want of money holds this job alone: others may belong to another run, or cost less.
        """
        self.slots.release(ticket.slots)
        self._limiter.give_back()
        if self._rate is not None:
            self._rate.not_sent()
        if hold.limit is None:
            heapq.heappush(self._delayed, (now + hold.seconds, next(self._sequence), ticket))
            return
        self._ready.insert(self._held_at_head, ticket)
        self._held_at_head += 1
        self._held_until, self._held_by, self._held_slots = now + hold.seconds, hold.limit, self.slots.in_use

    def _is_held(self, now: float) -> bool:
        """Return whether a limit that clients share holds jobs back; slots that were freed here are free there, too."""
        frees = self._held_by is not None and self._held_by.kind is LimitKind.SLOTS
        return now < self._held_until and not (frees and self.slots.in_use < self._held_slots)

    def take(self, now: float) -> Ticket | None:
        """Remove and return the next job, and acquire its slots; None if no job may leave yet."""
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._delayed)[2])
        if self.ready_at(now) > now:
            return None
        ticket = self._ready.popleft()
        self._held_at_head = max(0, self._held_at_head - 1)
        self._limiter.consume(now)
        if self._rate is not None:
            self._rate.sent(now)
        self.slots.acquire(ticket.slots)
        return ticket

    def ready_at(self, now: float) -> float:
        """Return the time at which a job may leave; infinity if only a change, such as a free slot, makes that so."""
        while self._ready and not self._ready[0].queued:
            self._drop_first()
        at = self._delayed[0][0] if self._delayed else math.inf
        if self._ready and self.slots.fits(self._ready[0].slots):
            due = self._limiter.ready_at(now)
            if now < self._held_until and self._is_held(now):
                due = max(due, self._held_until)
            at = min(at, due)
        return at

    # What a job that waits may expect.

    def place(
        self, ticket: Ticket | None, *, now: float, typical: Callable[[WorkKind], float]
    ) -> tuple[int, float] | None:
        """Return how many jobs leave before one, and the expected seconds until it leaves; None if it is not queued.

        Of the rate and the slots this client has an equal share.

        Args:
            ticket: the job; None for one of one slot that comes now.
            now: the present time.
            typical: returns for how many seconds a kind of work keeps its slots.
        """
        before = self._before(ticket)
        if before is None:
            return None
        at = self._limiter.ready_after(len(before) * self.sharers, now)
        if self._is_held(now):
            at = max(at, self._held_until)
        slots = sum(one.slots for one in before) + (1 if ticket is None else ticket.slots)
        limit = self.slots.limit
        if limit is None or self.last_kind is None or slots <= limit - self.slots.in_use:
            return len(before), at - now
        seconds = {kind: typical(kind) for kind in {self.last_kind, *(one.work_kind for one in before)}}
        mean = sum(seconds[one.work_kind] for one in before) / len(before) if before else seconds[self.last_kind]
        missing = slots - max(0, limit - self.slots.in_use)
        return len(before), max(at - now, missing * mean * self.sharers / limit)

    def _before(self, ticket: Ticket | None) -> list[Ticket] | None:
        """Return the jobs that leave before one; those that wait for another attempt do, when their time comes."""
        waiting = [one for *_, one in sorted(self._delayed, key=lambda entry: entry[:2])] + list(self._ready)
        queued = [one for one in waiting if one.queued]
        if ticket is None:
            return queued
        return queued[: queued.index(ticket)] if ticket in queued else None

    def _drop_first(self) -> None:
        self._ready.popleft()
        self._held_at_head = max(0, self._held_at_head - 1)

    def pause_until(self, at: float, *, now: float, sent_at: float, origin: LimitOrigin = LimitOrigin.BACKOFF) -> None:
        """Let no job leave before a time, after a 429 to a submission that was sent at `sent_at`."""
        before = self._limiter.paused_until
        self._limiter.pause_until(at, now=now, sent_at=sent_at, slow_down=self._rate is None)
        if self._limiter.paused_until > before:
            self._pause_origin = origin

    # What holds jobs back.

    def speed_limit(self, now: float, origins: LimitOrigins, *, otherwise: SpeedLimit | None) -> SpeedLimit | None:
        """Return the limit that holds the head of the queue back now; None if nothing does, or the queue is empty.

        A job that waits for another attempt of its own is held back by no limit.

        Args:
            now: the present time.
            origins: where the limits of the settings are from.
            otherwise: the limit that holds it back if none of the queue does.
        """
        while self._ready and not self._ready[0].queued:
            self._drop_first()
        if not self._ready:
            return None
        if self.is_paused(now):
            return origins.limit(LimitKind.PAUSE, self._limiter.paused_until - now, self._pause_origin)
        if self.slots.limit is not None and not self.slots.fits(self._ready[0].slots):
            origin = _learned_origin(self._learned_slots, raised=self.slots.limit != self._limits.max_open)
            return origins.limit(LimitKind.SLOTS, self.slots.limit, origin)
        if self._is_held(now):
            return self._held_by
        if self._limiter.ready_at(now) > now:
            return self._rate_limit(now, origins)
        return otherwise

    def _rate_limit(self, now: float, origins: LimitOrigins) -> SpeedLimit:
        speed = self._limiter.speed_at(now)
        origin = LimitOrigin.SLOWED if speed < 1.0 else None
        if self._rate is not None:
            origin = _learned_origin(self._rate, raised=self._rate.per_second != self._limits.submit_per_second)
        return origins.limit(LimitKind.RATE, speed / self._limiter.interval, origin)

    # What is learned of the limits.

    @property
    def learned(self) -> AccountLimits:
        """The limits that refusals have shown."""
        rate, slots = self._rate, self._learned_slots
        return AccountLimits(
            per_second=rate.per_second if rate is not None and rate.is_learned else None,
            slots=slots.slots if slots is not None and slots.is_learned else None,
        )

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
                self._use(self._rate, now)
        if self._learned_slots is not None:
            self._learned_slots.accepted(slots, sent_at=sent_at, held_back=waiting and not fits, now=now)
            self.slots.limit = self._learned_slots.slots

    def over_rate(self, *, sent_at: float, now: float, pause: float) -> float:
        """Learn from a refusal because of the rate, which asks for a pause; return the seconds to wait at least."""
        if self._rate is None:
            return 0.0
        self._rate.refused(sent_at=sent_at, now=now, pause=pause)
        self._use(self._rate, now)
        return self._limiter.interval

    def _use(self, rate: LearnedRate, now: float) -> None:
        self._limiter.set_rate(rate.per_second, burst=rate.burst, now=now)

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


def _learned_origin(limit: LearnedRate | LearnedSlots | None, *, raised: bool) -> LimitOrigin | None:
    """Return where a limit that learns is from; None if it is still that of the settings."""
    if limit is not None and limit.is_learned:
        return LimitOrigin.LEARNED
    return LimitOrigin.RISING if limit is not None and raised else None
