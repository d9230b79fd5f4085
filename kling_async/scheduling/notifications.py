"""The events of one account and their delivery: every listener receives every event, and the final one once."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TypeAlias

from ..types.errors import KlingError, NotSent, WaitTimeout
from ..types.events import Event, EventKind, Listener, UploadProgress
from ..types.status import JobStatus
from .ticket import Subscription, Ticket

__all__ = ["Delivery", "Notifier", "copy_error"]

Delivery: TypeAlias = tuple[Event, Listener | None]
"""An event and the listener that receives it; None for a job without a listener."""


class Notifier:
    """Makes the events of one account, one by one: a listener's reaction to one may decide whether the next follows.

    Args:
        provider: the name of the account's provider.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def to_all(
        self,
        kind: EventKind,
        ticket: Ticket,
        now: float,
        *,
        error: KlingError | None = None,
        retry_in: float | None = None,
        upload: UploadProgress | None = None,
    ) -> Iterator[Delivery]:
        """Yield an event for each listener of a job."""
        event = self._event(kind, ticket, now, error=error, retry_in=retry_in, upload=upload)
        if not isinstance(ticket.listener, tuple):
            yield event, ticket.listener
            return
        for subscription in ticket.subscriptions:
            if subscription in ticket.subscriptions:  # else it was detached while another one was called
                yield event, subscription.listener

    def to_one(
        self,
        kind: EventKind,
        ticket: Ticket,
        subscription: Subscription,
        now: float,
        *,
        error: KlingError | None = None,
    ) -> Delivery:
        """Return an event for one listener only."""
        return self._event(kind, ticket, now, error=error), subscription.listener

    def finish(self, ticket: Ticket, now: float, *, error: KlingError | None = None) -> Iterator[Delivery]:
        """Yield the final event for each listener, with a copy of the error for each, and detach it before."""
        if not isinstance(ticket.listener, tuple):
            listener, ticket.listener = ticket.listener, None
            yield self._event(EventKind.FINISHED, ticket, now, error=error), listener
        while ticket.subscriptions:
            subscription, *others = ticket.subscriptions
            ticket.subscriptions = tuple(others)
            yield self.to_one(EventKind.FINISHED, ticket, subscription, now, error=error)
            error = error and copy_error(error)

    def stopped_error(self) -> KlingError:
        """Return the error for a listener that withdraws from a queued job."""
        return NotSent("Not submitted: the run was stopped", reason="stopped", provider=self._provider)

    def timeout_error(self, ticket: Ticket, now: float) -> KlingError:
        """Return the error for a listener whose deadline has passed."""
        return self._unfinished_error(
            ticket, now, "Timed out in the local queue before being submitted", reason="timeout"
        )

    def closed_error(self, ticket: Ticket, now: float) -> KlingError:
        """Return the error for a listener that is still waiting when the client is closed."""
        return self._unfinished_error(ticket, now, "Not submitted: the client was closed", reason="closed")

    def _unfinished_error(self, ticket: Ticket, now: float, message: str, *, reason: str) -> KlingError:
        if ticket.last_error is not None and ticket.single_poll:
            return ticket.last_error
        if ticket.last_error is not None and ticket.status is JobStatus.RESOLVING:
            return copy_error(ticket.last_error)  # it is looked up on, and may end with this very error
        error: KlingError
        if ticket.prediction is not None:
            error = WaitTimeout(ticket.prediction, waited_for=now - ticket.accepted_at)
        else:
            error = NotSent(message, reason=reason, provider=self._provider)
        error.__cause__ = ticket.last_error
        return error

    def _event(
        self,
        kind: EventKind,
        ticket: Ticket,
        now: float,
        *,
        error: KlingError | None = None,
        retry_in: float | None = None,
        upload: UploadProgress | None = None,
    ) -> Event:
        if error is not None and error.key is None:
            error.key = ticket.key
        return Event(
            kind=kind,
            at=now,
            provider=self._provider,
            key=ticket.key,
            status=ticket.status,
            previous=_previous(kind, ticket),
            prediction=ticket.prediction,
            error=error,
            retry_in=retry_in,
            prompt="" if ticket.job is None else ticket.job.input.prompt,
            upload=upload,
            queued_seconds=now - ticket.accepted_at if kind is EventKind.SUBMITTED else None,
            unseen_seconds=_unseen_seconds(ticket, now) if kind is EventKind.FINISHED else None,
        )


def _unseen_seconds(ticket: Ticket, now: float) -> float | None:
    known = ticket.prediction if ticket.closed else None
    if known is None or not known.status.is_terminal:
        return None
    return max(0.0, now - ticket.accepted_at - ticket.last_poll_age)


def _previous(kind: EventKind, ticket: Ticket) -> JobStatus:
    """Return the status before an event, as far as listeners were notified."""
    if kind is EventKind.SUBMITTED:
        return JobStatus.PLANNED
    leaving = kind is EventKind.FINISHED and not ticket.closed  # one listener is detached, and the job continues
    return ticket.status if leaving else ticket.previous


def copy_error(error: KlingError) -> KlingError:
    """Return a copy of an error for another listener: one object raised in several tasks would collect all traces."""
    other = copy.copy(error)
    other.__cause__ = error.__cause__
    return other.with_traceback(error.__traceback__)
