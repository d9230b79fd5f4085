"""The submissions of one provider account: which job is submitted next, and what follows if one fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from ..types.errors import AnswerLost, BadRequest, InputError, KlingError, RateLimited, Refused
from ..types.events import EventKind
from ..types.gate import Hold
from ..types.limits import LimitKind, LimitOrigin, Limits, SpeedLimit
from ..types.status import ACCOUNT_ERRORS, is_accepted, is_deferred
from .breaker import AccountBlock, CircuitBreaker
from .learning import AccountLimits
from .listeners import Listeners
from .notifications import Delivery, Notifier, copy_error
from .retry import backoff_delay, max_submit_attempts
from .speed_limits import LimitOrigins
from .submit_queue import SubmitQueue
from .ticket import Ticket
from .transitions import Trigger, transition

__all__ = ["Submissions"]

_UNREACHABLE_SECONDS: Final = 30.0
"""Seconds for which a provider that could not be reached gets no job that another one takes."""


class Submissions:
    """Submits the queued jobs of one account, and retries those that certainly did not start.

    Args:
        limits: how fast submissions may leave, and how many slots there are.
        known: what was learned of the account's own limits before, to learn more; None keeps to `limits`.
        notifier: makes the events.
        listeners: the listeners of the jobs, one of which must pay.
        random: returns numbers drawn evenly from 0 up to 1.

    Attributes:
        queue: the jobs that wait.
        slots: occupied by the jobs that are being submitted or running.
        moved: jobs that another provider is to take.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        notifier: Notifier,
        listeners: Listeners,
        random: Callable[[], float],
        known: AccountLimits | None = None,
    ) -> None:
        self.queue = SubmitQueue(limits, known=known)
        self.slots = self.queue.slots
        self.moved: list[Ticket] = []
        self._notifier = notifier
        self._listeners = listeners
        self._random = random
        self._max_submitting = limits.max_submitting
        self._breaker = CircuitBreaker(random=random)
        self._block = AccountBlock()
        self._unreachable_until = -math.inf
        self._submitting = 0
        """Slots of the submissions in flight."""
        self._rate_limited = 0
        """Submissions answered with 429 since the last acceptance."""

    def __len__(self) -> int:
        """Return the number of queued jobs."""
        return len(self.queue)

    def add(self, ticket: Ticket) -> None:
        """Queue a job."""
        self.queue.add(ticket)

    def take(self, now: float) -> Ticket | None:
        """Return a job to submit now, or None."""
        ticket = self.queue.take(now) if self._breaker.permits else None
        if ticket is not None:
            self._breaker.submission_started()
            self._submitting += ticket.slots
            transition(ticket, Trigger.TAKEN)
        return ticket

    def ready_at(self, now: float) -> float:
        """Return the time at which to `take` again; infinity if only a result or a new job changes that."""
        return self.queue.ready_at(now) if self._breaker.permits else math.inf

    def pause_until(self, at: float, error: KlingError, *, now: float, sent_at: float) -> None:
        """Submit no job before a time, after a 429 to a request that was sent at `sent_at`."""
        self.queue.pause_until(at, now=now, sent_at=sent_at, origin=_pause_origin(error))

    def speed_limit(self, now: float, origins: LimitOrigins) -> SpeedLimit | None:
        """Return the limit that holds the next job back now; None if nothing does, or no job is queued."""
        full = None
        if self._breaker.is_open:
            full = origins.limit(LimitKind.SUBMITTING, 1, LimitOrigin.LOST_ANSWERS)
        elif self._breaker.in_flight >= self._max_submitting:
            full = origins.limit(LimitKind.SUBMITTING, self._max_submitting)
        return self.queue.speed_limit(now, origins, otherwise=full)

    def accepted(self, ticket: Ticket, *, sent_at: float, now: float) -> None:
        """Record that a submission, sent at `sent_at`, was accepted."""
        self._returned(ticket)
        self.queue.accepted(ticket.slots, sent_at=sent_at, now=now)
        self.found(ticket)

    def found(self, ticket: Ticket) -> None:
        """Record that a submission was accepted, as a look-up says."""
        transition(ticket, Trigger.ACCEPTED)
        self._breaker.record_acceptance()
        self._rate_limited = 0

    def lost(self, error: AnswerLost, *, sent_at: float, now: float) -> None:
        """Record that the answer to a submission was lost."""
        resume_at = self._breaker.record_lost_answer(error, now=now)
        if resume_at is not None:
            self.pause_until(resume_at, error, now=now, sent_at=sent_at)

    def looked_up(self, ticket: Ticket, error: AnswerLost, *, sent_at: float, now: float) -> None:
        """Record that a submission whose answer was lost is looked up from now on; it keeps its slots."""
        self._returned(ticket)
        self.lost(error, sent_at=sent_at, now=now)
        transition(ticket, Trigger.LOOKED_UP)

    def failed(self, ticket: Ticket, error: KlingError, *, sent_at: float, now: float) -> Iterator[Delivery]:
        """Requeue a job whose submission failed, move it on to another provider, or close it."""
        self._returned(ticket)
        if isinstance(error, RateLimited):
            self._learn(error, ticket, sent_at=sent_at, now=now)
        if ticket.listener is not None and ticket.moves_on(error, sent_at=sent_at, now=now):
            self.slots.release(ticket.slots)
            yield from self._move(ticket, error, now)
            yield from self._avoid(ticket, error, sent_at=sent_at, now=now)
            return
        retry_at = self._retry_at(ticket, error, now)
        if retry_at is not None:
            transition(ticket, Trigger.REQUEUED)
            yield from self._requeue(ticket, error, retry_at, sent_at=sent_at, now=now)
            yield from self._listeners.require_payer(ticket, now)
            yield from self.reject_queued(now)
            return
        self.slots.release(ticket.slots)
        transition(ticket, _final_trigger(error))
        if isinstance(error, AnswerLost):
            self.lost(error, sent_at=sent_at, now=now)
        yield from self._notifier.finish(ticket, now, error=error)
        if isinstance(error, ACCOUNT_ERRORS):
            self._block.block(error, now=now)
            yield from self.reject_queued(now)

    def held(self, ticket: Ticket, hold: Hold, *, now: float) -> Iterator[Delivery]:
        """Queue a job again that a gate lets leave later: nothing was sent, and nothing failed."""
        self._returned(ticket)
        self.queue.hold(ticket, hold, now)
        transition(ticket, Trigger.REQUEUED)
        if ticket.listener is None:
            transition(ticket, Trigger.DROPPED)
            return
        yield from self._notifier.to_all(EventKind.HELD, ticket, now, retry_in=hold.seconds)
        yield from self._listeners.require_payer(ticket, now)
        yield from self.reject_queued(now)

    def _returned(self, ticket: Ticket) -> None:
        """Count a submission out, whatever its result."""
        self._breaker.submission_ended()
        self._submitting -= ticket.slots

    def _learn(self, error: RateLimited, ticket: Ticket, *, sent_at: float, now: float) -> None:
        if error.is_about_slots:
            running = self.slots.in_use - self._submitting - ticket.slots
            self.queue.over_slots(running, sent_at=sent_at, now=now)
        else:
            wait = self.queue.over_rate(sent_at=sent_at, now=now, pause=error.retry_after or 0.0)
            if wait > 0.0:
                self.queue.pause_until(now + wait, now=now, sent_at=sent_at)

    @property
    def learned(self) -> AccountLimits:
        """The limits that refusals have shown."""
        return self.queue.learned

    def saw_waiting(self, now: float) -> None:
        """Learn that the provider lets an accepted job wait."""
        self.queue.saw_waiting(now)

    def not_uploaded(self, ticket: Ticket, error: KlingError, *, now: float) -> Iterator[Delivery]:
        """Close a job whose media cannot be brought to the provider, or move it on; nothing was submitted."""
        if not ticket.queued:
            return
        if ticket.can_move and not isinstance(error, (InputError, BadRequest)):
            yield from self._move(ticket, error, now)
            return
        transition(ticket, Trigger.DROPPED)
        yield from self._notifier.finish(ticket, now, error=error)

    def _move(self, ticket: Ticket, error: KlingError, now: float) -> Iterator[Delivery]:
        transition(ticket, Trigger.MOVED)
        ticket.last_error = error
        self.moved.append(ticket)
        yield from self._notifier.to_all(EventKind.MOVED, ticket, now, error=error)

    def _avoid(self, ticket: Ticket, error: KlingError, *, sent_at: float, now: float) -> Iterator[Delivery]:
        """Send the account no more jobs for a while, and let those that are queued move on, too."""
        if isinstance(error, RateLimited):
            self._rate_limited += 1
            delay = backoff_delay(error, failures=self._rate_limited, random=self._random())
            self.pause_until(now + delay, error, now=now, sent_at=sent_at)
        elif isinstance(error, ACCOUNT_ERRORS):
            self._block.block(error, now=now)
            yield from self.reject_queued(now)
        else:
            self._unreachable_until = now + _UNREACHABLE_SECONDS
            for other in self.queue.drain_movable():
                yield from self._move(other, _error_of(other, error), now)

    def is_available(self, now: float) -> bool:
        """Return whether a new job would probably be submitted soon: no refusal, outage or 429 is in its way."""
        reachable = now >= self._unreachable_until and not self.queue.is_paused(now)
        return reachable and self._block.error_at(now) is None

    def _retry_at(self, ticket: Ticket, error: KlingError, now: float) -> float | None:
        """Count a failed attempt; return the time of the next one, or None if there is none."""
        # While our own predictions are running they may be what the provider has too many of: that passes.
        if not isinstance(error, RateLimited) or self.slots.in_use <= ticket.slots:
            ticket.failures += 1
        if ticket.failures >= max_submit_attempts(error) or ticket.listener is None:
            return None
        ticket.last_error = error
        self._rate_limited += isinstance(error, RateLimited)
        failures = max(ticket.failures, self._rate_limited, 1)
        retry_at = now + backoff_delay(error, failures=failures, random=self._random())
        latest = max(subscription.deadline for subscription in ticket.subscriptions)
        return retry_at if retry_at <= latest else None

    def _requeue(
        self, ticket: Ticket, error: KlingError, retry_at: float, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        if isinstance(error, RateLimited):
            self.queue.requeue(ticket)
            self.pause_until(retry_at, error, now=now, sent_at=sent_at)
            kind = EventKind.THROTTLED
        else:
            self.queue.requeue_at(ticket, retry_at)
            kind = EventKind.NOT_SENT
        yield from self._notifier.to_all(kind, ticket, now, error=error, retry_in=retry_at - now)

    def reject_queued(self, now: float) -> Iterator[Delivery]:
        """Drop the queued jobs while the account is blocked, each with the provider's refusal."""
        refusal = self._block.error_at(now)
        if refusal is None:
            return
        for ticket in self.queue.drain():
            error = _error_of(ticket, refusal)
            if ticket.can_move:
                yield from self._move(ticket, error, now)
                continue
            transition(ticket, Trigger.DROPPED)
            yield from self._notifier.finish(ticket, now, error=error)


def _pause_origin(error: KlingError) -> LimitOrigin:
    """Return why submissions pause after an error."""
    if isinstance(error, AnswerLost):
        return LimitOrigin.LOST_ANSWERS
    asks = isinstance(error, Refused) and error.retry_after is not None
    return LimitOrigin.REQUESTED if asks else LimitOrigin.BACKOFF


def _error_of(ticket: Ticket, error: KlingError) -> KlingError:
    """Return an error that another job met, for a job that was not submitted because of it."""
    other = copy_error(error)
    other.key = ticket.key
    return other


def _final_trigger(error: KlingError) -> Trigger:
    """Return the trigger of a submission that ends with this error; its type says whether it may have started."""
    if isinstance(error, AnswerLost):
        return Trigger.ANSWER_LOST
    if is_accepted(error):
        return Trigger.UNRECORDED
    return Trigger.DEFERRED if is_deferred(error) else Trigger.REFUSED
