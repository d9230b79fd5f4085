"""The requests of an account that are in flight: shielded from cancellation, and journaled around a submission."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from ..scheduling.ticket import Ticket
from ..types.errors import AnswerLost, KlingError
from ..types.jobs import Job
from ..types.prediction import Prediction
from .provider_api import ProviderAPI

__all__ = ["Requests"]

_log = logging.getLogger(__name__)

_WITHOUT_JOURNAL: Final = "Look for it in the provider's own history: it is written down nowhere here."
_WITH_JOURNAL: Final = "Its journal has it as unconfirmed: look for it in the provider's own history, then decide."


class Requests:
    """Sends requests to one provider, none of which is cancelled with its caller.

    Args:
        api: reaches the provider.
    """

    def __init__(self, api: ProviderAPI) -> None:
        self._api = api
        self._in_flight: set[anyio.CancelScope] = set()

    def cut_off(self) -> None:
        """End the requests in flight at once."""
        for scope in list(self._in_flight):
            scope.cancel()

    async def submit(self, ticket: Ticket, job: Job, *, on_send: Callable[[], None]) -> Prediction | KlingError:
        """Submit a job once, and return the result.

        Args:
            ticket: the job's. If it has a journal entry, the intent is durable before the submission is sent, and the
                result before it is returned.
            job: the job.
            on_send: is called before the submission is sent.
        """
        try:
            result = await self._shielded(lambda: self._submit_journaled(ticket, job, on_send))
        except BaseException:
            # Cancellation by asyncio itself, as at the end of `asyncio.run`, passes a shield.
            self._log_cut_off(ticket)
            raise
        return self._log_cut_off(ticket) if result is None else result

    async def poll(self, ticket: Ticket, known: Prediction) -> Prediction | KlingError | None:
        """Poll a prediction once, and return the result; None if it was cut off."""
        return await self._shielded(lambda: self._poll(ticket, known))

    async def _submit_journaled(self, ticket: Ticket, job: Job, on_send: Callable[[], None]) -> Prediction:
        entry = ticket.entry
        if entry is None:
            on_send()
            return await self._api.submit(job)
        async with entry.submitting():
            try:
                on_send()
                prediction = await self._api.submit(job)
            except KlingError as error:
                await entry.failed(error)
                raise
            await entry.accepted(prediction)
            return prediction

    async def _poll(self, ticket: Ticket, known: Prediction) -> Prediction:
        prediction = await self._api.poll(known)
        if prediction.status.is_terminal and ticket.entry is not None:
            await ticket.entry.finished(prediction)
        return prediction

    async def _shielded(self, request: Callable[[], Awaitable[Prediction]]) -> Prediction | KlingError | None:
        """Send a request behind a shield, and return its result; None if it was cut off."""
        scope = anyio.CancelScope(shield=True)
        self._in_flight.add(scope)
        try:
            with scope:
                return await request()
        except KlingError as error:
            return error
        finally:
            self._in_flight.discard(scope)
        return None

    def _log_cut_off(self, ticket: Ticket) -> AnswerLost:
        advice = _WITHOUT_JOURNAL if ticket.entry is None else _WITH_JOURNAL
        error = AnswerLost(
            "It was cut off while it was being submitted",
            provider=self._api.provider.name,
            key=ticket.key,
            advice=advice,
        )
        _log.critical("cut off: provider=%s key=%s: it may be billed. %s", error.provider, ticket.key, advice)
        return error
