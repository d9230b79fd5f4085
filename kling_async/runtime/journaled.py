"""Requests with a journal entry: what is durable before a request is sent, and before its result counts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from ..scheduling.lookups import needs_lookup
from ..scheduling.ticket import Ticket
from ..types.client_id import ClientId
from ..types.errors import AnswerLost, KlingError, Refused
from ..types.jobs import Job
from ..types.prediction import Prediction
from .provider_api import ProviderAPI

__all__ = [
    "log_cut_off",
    "log_detached",
    "look_up_journaled",
    "poll_journaled",
    "poll_shared_journaled",
    "record_end",
    "submit_journaled",
]

_log = logging.getLogger(__name__)

_WITHOUT_JOURNAL: Final = "Look for it in the provider's own history: it is written down nowhere here."
_WITH_JOURNAL: Final = "Its journal has it as unconfirmed: look for it in the provider's own history, then decide."


async def submit_journaled(
    api: ProviderAPI, ticket: Ticket, job: Job, *, client_id: ClientId | None, on_send: Callable[[], None]
) -> Prediction:
    """Submit a job once, and return its prediction.

    Args:
        api: reaches the provider.
        ticket: the job's. If it has a journal entry, the intent is durable before the submission is sent, and the
            result before it is returned or raised.
        job: the job.
        client_id: a fresh one, where the provider takes any.
        on_send: is called before the submission is sent.

    Raises:
        KlingError: as `ProviderAPI.submit` does.
        JournalError: nothing was sent, or, with an id, it was accepted and could not be written down.
    """
    entry = ticket.entry
    if entry is None:
        on_send()
        return await api.submit(job, client_id)
    async with entry.submitting(client_id):
        try:
            on_send()
            prediction = await api.submit(job, client_id)
        except KlingError as error:
            is_looked_up = needs_lookup(error, has_client_id=client_id is not None)
            await (entry.resolving(error) if is_looked_up else entry.failed(error))
            raise
        await entry.accepted(prediction)
        return prediction


async def look_up_journaled(
    api: ProviderAPI, ticket: Ticket, job: Job, *, client_id: ClientId, is_last: bool
) -> Prediction:
    """Look up a submission whose answer was lost, write the result down, and return its prediction.

    Raises:
        Refused: it was never accepted.
        KlingError: it was not found; if this is the last look-up, it is unconfirmed from now on.
        JournalError: it was found, and that could not be written down; the error has the id.
    """
    entry, lost = ticket.entry, ticket.last_error
    try:
        prediction = await api.look_up(job, client_id)
    except KlingError as error:
        result = error if isinstance(error, Refused) else lost if is_last else None
        if entry is not None and result is not None:
            await entry.failed(result)
        raise
    if entry is not None:
        await entry.accepted(prediction)
    return prediction


async def poll_journaled(api: ProviderAPI, ticket: Ticket, known: Prediction) -> Prediction:
    """Poll a prediction once, write down its end, and return it. Raises KlingError as `ProviderAPI.poll` does."""
    return await record_end(ticket, await api.poll(known, seen=ticket))


async def poll_shared_journaled(api: ProviderAPI, tickets: Sequence[Ticket]) -> list[Prediction | KlingError]:
    """Poll several predictions by one request, write down those that ended, and return the result of each."""
    results = await api.poll_shared([ticket.prediction for ticket in tickets if ticket.prediction is not None])
    for number, (ticket, result) in enumerate(zip(tickets, results, strict=True)):
        if isinstance(result, Prediction):
            try:
                await record_end(ticket, result)
            except KlingError as error:
                results[number] = error
    return results


async def record_end(ticket: Ticket, prediction: Prediction) -> Prediction:
    """Write down the end of a prediction, if it has ended, and return it."""
    if prediction.status.is_terminal and ticket.entry is not None:
        await ticket.entry.finished(prediction)
    return prediction


def log_cut_off(provider: str, ticket: Ticket) -> AnswerLost:
    """Log a submission that was cut off, and return the error for it."""
    advice = _WITHOUT_JOURNAL if ticket.entry is None else _WITH_JOURNAL
    error = AnswerLost("It was cut off while it was being submitted", provider=provider, key=ticket.key, advice=advice)
    _log.critical("cut off: provider=%s key=%s: it may be billed. %s", provider, ticket.key, advice)
    return error


def log_detached(prediction: Prediction) -> None:
    """Log the id of an accepted prediction whose caller was cancelled: no other trace of it is left."""
    message = "accepted, and its caller was cancelled: provider=%s id=%s key=%s"
    _log.warning(message, prediction.provider, prediction.id, prediction.key)
