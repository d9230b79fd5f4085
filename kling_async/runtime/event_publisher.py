"""Delivery of an account's events, in order, also where a listener calls the account."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..scheduling.engine import Engine
from ..scheduling.notifications import Delivery
from ..scheduling.ticket import Ticket
from ..types.events import Event, EventKind, Listener
from .event_listeners import EventListeners
from .journaled import log_detached

__all__ = ["EventPublisher"]


class EventPublisher:
    """Delivers the events of one account.

    Args:
        engine: makes the events, and has the jobs that move.
        listeners: the client's, which get each event of each job.
        now: returns the time.
        move: queues a job at another account.
    """

    def __init__(
        self, engine: Engine, *, listeners: EventListeners, now: Callable[[], float], move: Callable[[Ticket], None]
    ) -> None:
        self._engine = engine
        self._listeners = listeners
        self._now = now
        self._move = move
        self._publishing = False
        self._withdrawn: list[tuple[Ticket, Listener]] = []

    def publish(self, deliveries: Iterable[Delivery]) -> None:
        """Deliver events, and do what their listeners have asked for meanwhile."""
        if self._publishing:  # a listener has called the account
            self._deliver(deliveries)
            return
        self._publishing = True
        try:
            self._deliver(deliveries)
            while self._withdrawn:
                self._deliver(self._engine.withdraw(*self._withdrawn.pop(0), now=self._now()))
            while (ticket := self._engine.take_moved()) is not None:
                if not ticket.closed:
                    self._move(ticket)
        finally:
            self._publishing = False

    def withdraw(self, ticket: Ticket, listener: Listener) -> None:
        """Detach a listener from a job that is still queued, and notify it, after the events in progress."""
        self._withdrawn.append((ticket, listener))
        if not self._publishing:
            self.publish(())

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        notified: Event | None = None
        for event, listener in deliveries:
            if listener is not None:
                listener(event)
            elif event.kind is EventKind.ACCEPTED and event.prediction is not None:
                log_detached(event.prediction)
            if event is not notified:  # each listener of a job gets the same event
                notified = event
                self._listeners.notify(event)
