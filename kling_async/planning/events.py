"""The events of one account, and which listener hears each: all hear what happens, and each hears the end once."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TypeAlias

from ..errors import KlingError, NotSent, WaitTimeout
from .moves import Event, EventKind, Listener, Subscription, Ticket

__all__ = ["Delivery", "Events", "copied"]

Delivery: TypeAlias = tuple[Event, Listener | None]
"""An event, and the listener that hears it; None if a job has no listener."""


class Events:
    """Makes events, one after the other: what follows from an event may depend on what its listener did.

    Args:
        provider: the account's provider, by name.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def tell(
        self,
        kind: EventKind,
        ticket: Ticket,
        now: float,
        *,
        error: KlingError | None = None,
        wait_for: float | None = None,
    ) -> Iterator[Delivery]:
        """Tell all listeners of a job what happened to it."""
        event = self._event(kind, ticket, now, error=error, wait_for=wait_for)
        if not isinstance(ticket.listener, tuple):
            yield event, ticket.listener
            return
        for one in ticket.subscriptions:
            if one in ticket.subscriptions:  # else it has left while another one was told
                yield event, one.hear

    def tell_one(
        self, kind: EventKind, ticket: Ticket, one: Subscription, now: float, *, error: KlingError | None = None
    ) -> Delivery:
        """Tell one listener alone."""
        return self._event(kind, ticket, now, error=error), one.hear

    def finish(self, ticket: Ticket, now: float, *, error: KlingError | None = None) -> Iterator[Delivery]:
        """Tell each listener that a job is over, with an error of its own; it has left when it hears so."""
        if not isinstance(ticket.listener, tuple):
            listener, ticket.listener = ticket.listener, None
            yield self._event(EventKind.FINISHED, ticket, now, error=error), listener
        while ticket.subscriptions:
            one, *others = ticket.subscriptions
            ticket.subscriptions = tuple(others)
            yield self.tell_one(EventKind.FINISHED, ticket, one, now, error=error)
            error = error and copied(error)

    def too_late(self, ticket: Ticket, now: float) -> KlingError:
        """Return the error for a listener that has waited long enough."""
        return self._not_over(ticket, now, "It waited for its turn until its time was up", reason="timeout")

    def closed(self, ticket: Ticket, now: float) -> KlingError:
        """Return the error for a listener that still waits when the client is closed."""
        return self._not_over(ticket, now, "The client was closed before its turn came", reason="closed")

    def _not_over(self, ticket: Ticket, now: float, why: str, *, reason: str) -> KlingError:
        if ticket.once and ticket.trouble is not None:
            return ticket.trouble
        error: KlingError
        if ticket.prediction is not None:
            error = WaitTimeout(ticket.prediction, waited_for=now - ticket.accepted_at)
        else:
            error = NotSent(why, reason=reason, provider=self._provider)
        error.__cause__ = ticket.trouble
        return error

    def _event(
        self,
        kind: EventKind,
        ticket: Ticket,
        now: float,
        *,
        error: KlingError | None = None,
        wait_for: float | None = None,
    ) -> Event:
        if error is not None and error.key is None:
            error.key = ticket.key
        return Event(kind, now, self._provider, ticket, ticket.prediction, error, wait_for)


def copied(error: KlingError) -> KlingError:
    """Return an error for one more listener: raised in several tasks, one object would gather the traces of all."""
    other = copy.copy(error)
    other.__cause__ = error.__cause__
    return other.with_traceback(error.__traceback__)
