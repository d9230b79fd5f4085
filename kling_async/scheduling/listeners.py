"""The listeners of the jobs of one account: they join, wait until a deadline of their own, pay, and leave.

A job may have several. One that leaves, for whatever reason, changes nothing for the others; only when the last one has
left is a queued job dropped, and an accepted one polled at low priority, for an hour at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..types.errors import BudgetExceeded, KlingError
from ..types.events import EventKind, Listener
from ..types.status import JobStatus
from .deadlines import Deadlines
from .notifications import Delivery, Notifier
from .polling.policy import PollPolicy
from .priority import DETACHED, DETACHED_SECONDS
from .ticket import Subscription, Ticket
from .transitions import Trigger, transition

__all__ = ["Listeners"]

_NOT_PAID: Final = (
    "Not submitted: the call that pays for it has left, and no other that joined it has room in its budget"
)
_NOT_PAID_ADVICE: Final = "Nothing was sent. Raise max_cost, or run it again."


class Listeners:
    """Attaches and detaches the listeners of jobs.

    Args:
        provider: the name of the account's provider.
        notifier: makes the events.
        deadlines: receives the earliest deadline of each job.
        polling: is rekeyed when a priority rises.
    """

    def __init__(self, *, provider: str, notifier: Notifier, deadlines: Deadlines, polling: PollPolicy) -> None:
        self._provider = provider
        self._notifier = notifier
        self._deadlines = deadlines
        self._polling = polling

    def join(self, ticket: Ticket, subscription: Subscription, *, now: float) -> Iterator[Delivery]:
        """Attach one more listener to a job that is not closed, and notify it at once of the job's progress."""
        to_one, accepted, priority = self._notifier.to_one, ticket.status is JobStatus.ACCEPTED, ticket.priority
        if accepted and subscription.only_submit:
            yield to_one(EventKind.FINISHED, ticket, subscription, now)
            return
        ticket.subscriptions = (*ticket.subscriptions, subscription)
        self._combine(ticket)
        if accepted and ticket.priority > priority:
            self._polling.reprioritize()
        resolving = ticket.status is JobStatus.RESOLVING
        if accepted or resolving or ticket.posted:
            yield to_one(EventKind.RESUMED if accepted else EventKind.SUBMITTED, ticket, subscription, now)
        if resolving:
            yield to_one(EventKind.RESOLVING, ticket, subscription, now, error=ticket.last_error)

    def detach(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        """Detach a listener; it receives nothing more."""
        for subscription in ticket.subscriptions:
            if subscription.listener == listener:
                yield from self._remove(ticket, subscription, now)

    def withdraw(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        """Detach a listener from a job that is still queued, with a final event."""
        for subscription in ticket.subscriptions:
            if subscription.listener == listener and ticket.queued:
                yield from self._release(ticket, subscription, now, error=self._notifier.stopped_error())

    def release_accepted(self, ticket: Ticket, now: float) -> Iterator[Delivery]:
        """Detach the listeners for which a job is finished once it is accepted, each with a final event."""
        for subscription in ticket.subscriptions:
            if subscription.only_submit:
                yield from self._release(ticket, subscription, now)

    def release_expired(self, ticket: Ticket, now: float) -> Iterator[Delivery]:
        """Detach the listeners of a job whose deadline has passed, each with a final event."""
        for subscription in ticket.subscriptions:
            if subscription.deadline <= now:
                error = self._notifier.timeout_error(ticket, now)
                yield from self._release(ticket, subscription, now, error=error)

    def require_payer(self, ticket: Ticket, now: float) -> Iterator[Delivery]:
        """Drop a queued job if no listener pays: those that joined it are asked after the one that paid has left."""
        if ticket.queued and not any(subscription.accepts_cost() for subscription in ticket.subscriptions):
            transition(ticket, Trigger.DROPPED)
            error = BudgetExceeded(_NOT_PAID, provider=self._provider, advice=_NOT_PAID_ADVICE)
            yield from self._notifier.finish(ticket, now, error=error)

    def _release(
        self, ticket: Ticket, subscription: Subscription, now: float, *, error: KlingError | None = None
    ) -> Iterator[Delivery]:
        """Detach one listener, then send it the final event."""
        if subscription in ticket.subscriptions:
            others = list(self._remove(ticket, subscription, now))
            yield self._notifier.to_one(EventKind.FINISHED, ticket, subscription, now, error=error)
            yield from others

    def _remove(self, ticket: Ticket, subscription: Subscription, now: float) -> Iterator[Delivery]:
        """Detach a listener. After the last, drop a queued job; poll an accepted one for an hour at low priority."""
        ticket.subscriptions = tuple(other for other in ticket.subscriptions if other != subscription)
        if ticket.listener:
            self._combine(ticket)
            yield from self.require_payer(ticket, now)
        elif ticket.closed:
            return
        elif ticket.status is JobStatus.PLANNED:
            transition(ticket, Trigger.DROPPED)
        else:
            ticket.priority = DETACHED
            self._deadlines.add(ticket, now + DETACHED_SECONDS)

    def _combine(self, ticket: Ticket) -> None:
        """Give a job the highest priority and the earliest deadline of its listeners."""
        subscriptions = ticket.subscriptions
        ticket.priority = max(subscription.priority for subscription in subscriptions)
        ticket.only_submit = all(subscription.only_submit for subscription in subscriptions)
        deadline = min(subscription.deadline for subscription in subscriptions)
        if deadline != ticket.deadline:
            self._deadlines.add(ticket, deadline)
