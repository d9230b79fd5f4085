"""Requests with a journal entry: what is durable before a request is sent, and before its result counts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from ..journal.claims import NotOwner
from ..journal.gate import Held
from ..journal.steps import JournalEntry
from ..scheduling.lookups import needs_lookup
from ..scheduling.ticket import Entry, Ticket
from ..types.client_id import ClientId
from ..types.errors import AnswerLost, KlingError, Refused
from ..types.gate import Hold, SendCheck
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
    api: ProviderAPI,
    ticket: Ticket,
    job: Job,
    *,
    client_id: ClientId | None,
    on_send: Callable[[], None],
    slot_seconds: Callable[[], float],
) -> Prediction | Hold:
    """Submit a job once, and return its prediction, or when to ask again where a shared journal holds it back.

    Args:
        api: reaches the provider.
        ticket: the job's. If it has a journal entry, the intent is durable before the submission is sent, and the
            result before it is returned or raised.
        job: the job.
        client_id: a fresh one, where the provider takes any.
        on_send: is called before the submission is sent.
        slot_seconds: returns for how long it may be running once its answer is lost.

    Another client that shares the journal may be submitting the job, or have done so. Then its answer is the result.

    Raises:
        KlingError: as `ProviderAPI.submit` does.
        JournalError: nothing was sent, or, with an id, it was accepted and could not be written down.
        BudgetExceeded: nothing was sent, since the run that the journal shares has spent its money.
    """
    entry = ticket.entry
    if entry is None:
        on_send()
        return await api.submit(job, client_id)
    while True:
        try:
            async with entry.submitting(client_id, slots=ticket.slots, slot_seconds=slot_seconds) as check:
                return await _submit(api, entry, job, client_id=client_id, on_send=on_send, check=check)
        except Held as held:
            return held.hold
        except NotOwner as error:
            if not isinstance(entry, JournalEntry):
                raise
            prediction = await entry.join(error)
        if prediction is not None:
            on_send()  # it is on its way, although another client has sent it
            return prediction


async def _submit(
    api: ProviderAPI,
    entry: Entry,
    job: Job,
    *,
    client_id: ClientId | None,
    on_send: Callable[[], None],
    check: SendCheck | None,
) -> Prediction:
    try:
        on_send()
        prediction = await api.submit(job, client_id, check)
    except KlingError as error:
        is_looked_up = needs_lookup(error, has_client_id=client_id is not None)
        await (entry.resolving(error) if is_looked_up else entry.failed(error))
        raise
    await entry.accepted(prediction)
    return prediction


async def look_up_journaled(
    api: ProviderAPI, ticket: Ticket, job: Job, *, client_id: ClientId, is_last: bool, check: SendCheck
) -> Prediction:
    """Look up a submission whose answer was lost, write the result down, and return its prediction.

    Where that repeats the submission, `check` is called immediately before it leaves, and the lease of a shared journal
    is looked at.

    Raises:
        Refused: it was never accepted.
        KlingError: it was not found; if this is the last look-up, it is unconfirmed from now on.
        JournalError: it was found, and that could not be written down; the error has the id.
    """
    entry, lost = ticket.entry, ticket.last_error
    owned = None if entry is None else entry.lookup_check()

    def may_leave() -> None:
        check()
        if owned is not None:
            owned()

    try:
        prediction = await api.look_up(job, client_id, may_leave)
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


def log_detached(prediction: Prediction, *, is_stored: bool = False) -> None:
    """Log the id of an accepted prediction whose caller was cancelled: without a journal it is known nowhere else."""
    message = "accepted, and its caller was cancelled: provider=%s id=%s key=%s"
    level = logging.INFO if is_stored else logging.WARNING
    _log.log(level, message, prediction.provider, prediction.id, prediction.key)
