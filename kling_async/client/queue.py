"""What a client knows of its queues: how long they are, and what a job in one may expect."""

from __future__ import annotations

from ..runtime.queue_view import queue_status
from ..types.queue import QueueStatus
from .prices import PricesClient

__all__ = ["QueueClient"]


class QueueClient(PricesClient):
    """Tells of the queue; `Client` describes the arguments."""

    def queue(self, key: str | None = None, *, provider: str | None = None) -> QueueStatus:
        """Return the queue of submissions at a provider, and the place in it of a job, or of one that comes now.

        It sends nothing and reads no journal: it tells of the jobs of this client. With a journal in a database the
        rate and the slots are shared, and this client counts on an equal part of them.

        Args:
            key: of a job; one that is unknown, or has finished, has no place. Without it, a job of one slot that comes
                now is meant.
            provider: by default the client's. Of a job that is running it is the job's.

        Raises:
            InputError: the provider is unknown, or there is no API key for it.
            RuntimeError: the client is not open.
        """
        self._accounts.check_open()
        ticket = self._dispatcher.running.find(key)
        account = self._accounts.account(self._settings.provider(provider)) if ticket is None else ticket.account
        return queue_status(account, self._accounts.durations, ticket, new=key is None)
