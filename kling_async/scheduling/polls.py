"""The polls of one provider account: which accepted job is polled next, and what follows from each result.

Theory of operation. `PollPolicy` says when each prediction is to be polled, and `PollTokens` how many polls may leave.
Where the provider reports on several predictions at once, one request serves the one that is due and those that would
be due soon. An error in a shared poll ends no job: it may be the fault of another prediction in the same request, so
unless it says that polls have to wait, the next poll of each is its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from attrs import evolve, frozen

from ..types.errors import KlingError, ProviderUnavailable, RateLimited
from ..types.events import EventKind
from ..types.limits import LimitKind, Limits, SpeedLimit
from ..types.prediction import Prediction, Status
from .hints import Hints
from .notifications import Delivery, Notifier
from .poll_tokens import PollTokens
from .polling.policy import PollPolicy
from .retry import backoff_delay, may_retry_poll
from .speed_limits import LimitOrigins
from .submissions import Submissions
from .ticket import Ticket
from .transitions import Trigger, transition

__all__ = ["NOT_SHARED", "PollSharing", "Polls", "without_raw"]


@frozen(kw_only=True)
class PollSharing:
    """Which polls may share a request.

    Attributes:
        max_predictions: the maximum number of predictions in one request.
        admits: says whether a prediction may share a request with others that may.
    """

    max_predictions: int
    admits: Callable[[Prediction], bool]


NOT_SHARED: Final = PollSharing(max_predictions=1, admits=lambda _: False)


class Polls:
    """Polls the accepted jobs of one account.

    Args:
        limits: how fast polls may leave.
        policy: says when to poll which prediction.
        sharing: which polls may share a request.
        notifier: makes the events.
        submissions: pause with the polls after a 429, and hold the slots.
        random: returns numbers drawn evenly from 0 up to 1.

    Attributes:
        hints: what webhooks say about the jobs.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        policy: PollPolicy,
        sharing: PollSharing,
        notifier: Notifier,
        submissions: Submissions,
        random: Callable[[], float],
    ) -> None:
        self._per_second = limits.poll_per_second
        self._tokens = PollTokens(self._per_second)
        self._policy = policy
        policy.set_token_seconds(self._tokens.token_seconds)
        self._max_shared = sharing.max_predictions
        self._may_share = partial(_may_share, sharing.admits)
        self._notifier = notifier
        self._submissions = submissions
        self._random = random
        self.hints = Hints()

    def add(self, ticket: Ticket, now: float) -> None:
        """Poll a job that was accepted."""
        self._policy.add(ticket)
        self.hints.add(ticket, now)

    def add_at(self, ticket: Ticket, at: float) -> None:
        """Poll a job, or look it up, at a time."""
        ticket.poll_at = at
        self._policy.requeue(ticket)

    def share(self, workers: int, now: float) -> None:
        """Divide the rate by a number of clients, at least 1, which poll at the same account."""
        if self._per_second is not None:
            self._tokens.set_rate(self._per_second / workers, now=now)
            self._policy.set_token_seconds(self._tokens.token_seconds)

    # The next action.

    def take(self, now: float) -> Ticket | None:
        """Return a job to poll now, or None."""
        if self._tokens.ready_at(now) > now:
            return None
        ticket = self.hints.take(now) or self._policy.take(now)
        if ticket is not None:
            self._tokens.consume(now)
        return ticket

    def take_others(self, ticket: Ticket, now: float) -> list[Ticket]:
        """Return the jobs that are polled by the same request as one that was just taken."""
        if self._max_shared == 1 or not self._may_share(ticket):
            return []
        return self._policy.take_near(
            ticket, now, lambda one: one is not ticket and self._may_share(one), max_items=self._max_shared - 1
        )

    def ready_at(self, now: float) -> float:
        """Return the time at which to `take` again; infinity if only a result or a new job changes that."""
        planned = self._policy.wake_at(now)
        at = min(self.hints.ready_at(), math.inf if planned is None else planned)
        return at if at == math.inf else max(at, self._tokens.ready_at(now))

    def speed_limit(self, origins: LimitOrigins) -> SpeedLimit | None:
        """Return the budget of polls if it is what delays results now, else None."""
        interval = self._tokens.interval
        return origins.limit(LimitKind.POLLS, 1.0 / interval) if interval and self._policy.is_short else None

    # Results.

    def polled(
        self, ticket: Ticket, result: Prediction | KlingError, *, asked_at: float, now: float, shared: bool = False
    ) -> Iterator[Delivery]:
        """Report the result of a poll, and whether it shared its request with others."""
        extra = self.hints.settle(ticket)
        if ticket.closed:
            return  # it was dropped while the poll was in flight
        if isinstance(result, KlingError):
            yield from self._failed(ticket, result, sent_at=asked_at, now=now, shared=shared, extra=extra)
            return
        ticket.poll_at = None
        ticket.failures, ticket.last_error = 0, None
        if result.status.is_terminal or ticket.single_poll:
            announced = self.hints.is_announced(ticket)
            yield from self.completed(ticket, result, now, told=extra if extra or not announced else None)
            return
        transition(ticket, Trigger.STILL_RUNNING)
        changed = result.native_status != ticket.native_status
        self._policy.still_running(ticket, asked_at=asked_at, requeue=not extra)
        if extra:
            self.hints.again(ticket, now)
        if result.status is Status.QUEUED:
            self._submissions.saw_waiting(now)
        if changed:
            ticket.prediction = without_raw(result)
            yield from self._notifier.to_all(EventKind.STATUS, ticket, now)

    def completed(self, ticket: Ticket, prediction: Prediction, now: float, *, told: bool | None) -> Iterator[Delivery]:
        """Report the end of a prediction, and whether a webhook has told it, or a poll; None if both have."""
        if not ticket.single_poll:
            self._policy.completed(ticket, prediction, now=now, told=told)
        yield from self.end(ticket, prediction, now)

    def _failed(
        self, ticket: Ticket, error: KlingError, *, sent_at: float, now: float, shared: bool, extra: bool
    ) -> Iterator[Delivery]:
        if not shared and not may_retry_poll(error, age=now - ticket.accepted_at):
            self.drop(ticket)
            yield from self._notifier.finish(ticket, now, error=error)
            return
        ticket.failures, ticket.last_error = ticket.failures + 1, error
        delay = backoff_delay(error, failures=ticket.failures, random=self._random())
        if isinstance(error, RateLimited):
            # A 429 to a poll means too many requests of any kind, so submissions pause, too. After a 429 to a
            # submission polls continue, since they free slots.
            self._tokens.pause_until(now + delay, now=now, sent_at=sent_at)
            self._submissions.pause_until(now + delay, error, now=now, sent_at=sent_at)
            at = now + delay if ticket.single_poll else None
            yield from self._notifier.to_all(EventKind.THROTTLED, ticket, now, error=error, retry_in=delay)
        else:
            at = now + delay
            yield from self._notifier.to_all(EventKind.POLL_ERROR, ticket, now, error=error)
        if extra:
            self.hints.again(ticket, now, delay=delay)
        else:
            ticket.poll_at = at
            self._policy.requeue(ticket)

    # The end of a job.

    def end(self, ticket: Ticket, prediction: Prediction, now: float) -> Iterator[Delivery]:
        """Close a job with the provider's record: finished, or running if it is polled once or only submitted."""
        finished = prediction.status.is_terminal
        transition(ticket, Trigger(prediction.status.value) if finished else Trigger.DROPPED)
        self._submissions.slots.release(ticket.slots)
        self.hints.discard(ticket)
        ticket.prediction = prediction
        yield from self._notifier.finish(ticket, now)

    def drop(self, ticket: Ticket) -> None:
        """Stop polling an accepted job, and give its slots back."""
        transition(ticket, Trigger.DROPPED)
        self._submissions.slots.release(ticket.slots)
        self.hints.discard(ticket)
        if not ticket.single_poll:
            self._policy.discard(ticket)


def without_raw(prediction: Prediction) -> Prediction:
    """Drop the raw reply of a running prediction: a hundred thousand of them would fill the memory."""
    return prediction if prediction.status.is_terminal else evolve(prediction, raw=None)


def _may_share(admits: Callable[[Prediction], bool], ticket: Ticket) -> bool:
    """Return whether a job's next poll may be shared: it is no look-up, and its last poll said nothing against it."""
    if ticket.prediction is None or ticket.closed:
        return False
    return isinstance(ticket.last_error, _PASSING) and admits(ticket.prediction)


_PASSING: Final = (type(None), RateLimited, ProviderUnavailable)
"""No error, and those that are about no prediction of a shared poll."""
