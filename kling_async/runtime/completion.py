"""Wait for the end of one job."""

from __future__ import annotations

import anyio

from ..types.events import Event, EventKind
from ..types.prediction import Prediction
from .account import AccountTicket
from .journaled import log_detached

__all__ = ["Completion", "prediction_of"]


class Completion:
    """A listener that waits for the last event of a job."""

    def __init__(self) -> None:
        self._done = anyio.Event()
        self._last: Event | None = None

    def __call__(self, event: Event) -> None:
        if event.kind is EventKind.FINISHED:
            self._last = event
            self._done.set()

    async def wait(self, ticket: AccountTicket | None) -> Event:
        """Wait for the last event of a job; a caller that is cancelled meanwhile only stops listening.

        Args:
            ticket: the job's; None if nothing is done for it, since it has finished before.
        """
        if self._last is not None:
            return self._last
        try:
            await self._done.wait()
        except BaseException:
            if ticket is not None:
                self._detach(ticket)
            raise
        return self._event()

    def _event(self) -> Event:
        if self._last is None:
            raise RuntimeError("a job has ended without an event")
        return self._last

    def _detach(self, ticket: AccountTicket) -> None:
        ticket.account.detach(ticket, self)
        # A caller that only waited for a prediction knows its id already.
        if not ticket.subscriptions and ticket.job is not None and ticket.prediction is not None:
            log_detached(ticket.prediction, is_stored=ticket.entry is not None)


def prediction_of(event: Event) -> Prediction:
    """Return the prediction of a job's last event. Raises KlingError if the job has none, or went wrong."""
    if event.error is not None:
        raise event.error
    if event.prediction is None:
        raise RuntimeError("a job has ended without a prediction and without an error")
    return event.prediction
