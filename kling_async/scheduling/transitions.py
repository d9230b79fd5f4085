"""The life of a job in an engine: every change of its status, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from ..types.status import JobStatus
from .ticket import Ticket

__all__ = ["CLOSING", "TRANSITIONS", "Trigger", "transition"]


class Trigger(Enum):
    """A cause that changes the status of a job."""

    TAKEN = "taken"
    """A worker takes the job to submit it."""
    REQUEUED = "requeued"
    """The submission certainly did not start; this run tries again later."""
    MOVED = "moved"
    """The submission certainly did not start; another provider takes the job."""
    DEFERRED = "deferred"
    """The submission certainly did not start; this run does not try again."""
    REFUSED = "refused"
    ANSWER_LOST = "answer lost"
    """Neither a response nor a look-up says whether the submission was accepted."""
    LOOKED_UP = "looked up"
    """The answer is lost, and the provider is asked for the submission by its client id."""
    ACCEPTED = "accepted"
    UNRECORDED = "unrecorded"
    """The submission was accepted, and the journal could not record it; the error has the id."""
    STILL_RUNNING = "still running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DROPPED = "dropped"
    """No listener is left, the account is blocked, or the provider refuses to report on it."""

    __hash__ = object.__hash__  # that of enums is slower, and each transition looks one up


TRANSITIONS: Final[Mapping[tuple[JobStatus, Trigger], JobStatus]] = {
    (JobStatus.PLANNED, Trigger.TAKEN): JobStatus.SUBMITTING,
    (JobStatus.PLANNED, Trigger.DROPPED): JobStatus.PLANNED,
    (JobStatus.PLANNED, Trigger.MOVED): JobStatus.PLANNED,
    (JobStatus.SUBMITTING, Trigger.REQUEUED): JobStatus.PLANNED,
    (JobStatus.SUBMITTING, Trigger.MOVED): JobStatus.PLANNED,
    (JobStatus.SUBMITTING, Trigger.DEFERRED): JobStatus.PLANNED,
    (JobStatus.SUBMITTING, Trigger.REFUSED): JobStatus.FAILED,
    (JobStatus.SUBMITTING, Trigger.ANSWER_LOST): JobStatus.UNCONFIRMED,
    (JobStatus.SUBMITTING, Trigger.LOOKED_UP): JobStatus.RESOLVING,
    (JobStatus.SUBMITTING, Trigger.ACCEPTED): JobStatus.ACCEPTED,
    (JobStatus.SUBMITTING, Trigger.UNRECORDED): JobStatus.ACCEPTED,
    (JobStatus.RESOLVING, Trigger.ACCEPTED): JobStatus.ACCEPTED,
    (JobStatus.RESOLVING, Trigger.UNRECORDED): JobStatus.ACCEPTED,
    (JobStatus.RESOLVING, Trigger.REFUSED): JobStatus.FAILED,
    (JobStatus.RESOLVING, Trigger.ANSWER_LOST): JobStatus.UNCONFIRMED,
    (JobStatus.RESOLVING, Trigger.DROPPED): JobStatus.RESOLVING,
    (JobStatus.ACCEPTED, Trigger.STILL_RUNNING): JobStatus.ACCEPTED,
    (JobStatus.ACCEPTED, Trigger.SUCCEEDED): JobStatus.SUCCEEDED,
    (JobStatus.ACCEPTED, Trigger.FAILED): JobStatus.FAILED,
    (JobStatus.ACCEPTED, Trigger.CANCELLED): JobStatus.CANCELLED,
    (JobStatus.ACCEPTED, Trigger.EXPIRED): JobStatus.EXPIRED,
    (JobStatus.ACCEPTED, Trigger.DROPPED): JobStatus.ACCEPTED,
}
"""Every transition there is, for a ticket that is not closed."""

_GOING_ON: Final = frozenset(
    {Trigger.TAKEN, Trigger.REQUEUED, Trigger.MOVED, Trigger.LOOKED_UP, Trigger.ACCEPTED, Trigger.STILL_RUNNING}
)
CLOSING: Final = frozenset(Trigger) - _GOING_ON
"""Triggers that close a ticket: the engine does nothing more for the job, whatever its status."""


def transition(ticket: Ticket, trigger: Trigger) -> None:
    """Change the status of a ticket, and close it if the trigger is one of `CLOSING`.

    Raises:
        RuntimeError: the ticket is closed, or the table has no such transition.
    """
    before = ticket.status
    after = None if ticket.closed else TRANSITIONS.get((before, trigger))
    if after is None:
        state = f"{before}, closed" if ticket.closed else before
        raise RuntimeError(f"no transition for a ticket that is {state}: {trigger.value}")
    # Listeners that were not notified of a submission know the status before it.
    if before is not JobStatus.SUBMITTING or ticket.posted:
        ticket.previous = before
    ticket.status, ticket.closed = after, trigger in CLOSING
