"""The time of a job between its admission and the queue: its media are brought to the provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from ..scheduling.engine import Engine
from ..scheduling.notifications import Delivery
from ..scheduling.ticket import Ticket
from ..types.errors import KlingError
from ..types.events import UploadProgress
from .uploads import Uploads

__all__ = ["Preparation"]


class Preparation:
    """Prepares the jobs of one account.

    Args:
        uploads: bring media to the provider.
        engine: keeps the jobs meanwhile.
        publish: delivers the events that follow.
        now: tells the time.
    """

    def __init__(
        self,
        uploads: Uploads,
        *,
        engine: Engine,
        publish: Callable[[Iterable[Delivery]], None],
        now: Callable[[], float],
    ) -> None:
        self.uploads = uploads
        self._engine = engine
        self._publish = publish
        self._now = now

    def is_needed(self, ticket: Ticket) -> bool:
        """Return whether a job has media that are not at the provider."""
        return ticket.job is not None and not self.uploads.is_ready(ticket.job.input)

    async def run(self, ticket: Ticket) -> bool:
        """Bring a job's media to the provider, and return whether it is to be queued now.

        An upload that no caller waits for any more is given up.
        """
        if ticket.job is None:
            return True
        self._engine.hold(ticket)
        try:
            await self.uploads.prepare(ticket.job.input, partial(self._report, ticket))
        except KlingError as error:
            error.key = ticket.key
            self._publish(self._engine.not_uploaded(ticket, error, now=self._now()))
            return False
        return ticket.queued

    def _report(self, ticket: Ticket, progress: UploadProgress) -> bool:
        if ticket.queued:
            self._publish(self._engine.uploading(ticket, progress, self._now()))
        return ticket.queued
