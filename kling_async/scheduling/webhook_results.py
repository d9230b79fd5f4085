"""What follows from webhooks: a poll that is due at once, or the result that a signature proves."""

from __future__ import annotations

from collections.abc import Iterator

from ..types.prediction import Prediction
from ..types.status import JobStatus
from .deadlines import Deadlines
from .notifications import Delivery
from .polling.arrivals import Arrivals
from .polls import Polls
from .ticket import Ticket

__all__ = ["WebhookResults"]


class WebhookResults:
    """The results of webhooks of one account.

    Args:
        polls: poll the accepted jobs.
        deadlines: know all jobs.
        arrivals: learn how many webhooks arrive.
    """

    def __init__(self, *, polls: Polls, deadlines: Deadlines, arrivals: Arrivals) -> None:
        self._polls = polls
        self._deadlines = deadlines
        self._arrivals = arrivals

    def expect(self, now: float) -> None:
        """Find jobs by the ids of their predictions from now on, those that are polled already included."""
        self._polls.hints.start()
        for ticket in self._deadlines.pending():
            if ticket.status is JobStatus.ACCEPTED and not ticket.single_poll:
                self._polls.hints.add(ticket, now)

    def announced(self, id: str) -> tuple[tuple[Ticket, Prediction], ...]:
        """Return the jobs whose prediction a webhook says is finished, with what is known of it."""
        self._arrivals.arrived_after(id)
        return self._polls.hints.find(id)

    def poll_soon(self, ticket: Ticket, now: float) -> bool:
        """Poll a job at once, since its prediction may be finished; return False if it was often enough."""
        return not ticket.closed and self._polls.hints.announce(ticket, now)

    def told(self, ticket: Ticket, result: Prediction, now: float) -> Iterator[Delivery]:
        """Report the end of a prediction, as a webhook has proved it."""
        return iter(()) if ticket.closed else self._polls.completed(ticket, result, now, told=True)
