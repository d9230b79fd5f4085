"""The queue of an account as a caller sees it."""

from __future__ import annotations

from ..scheduling.polling.durations import DurationModel
from ..types.queue import QueueStatus
from ..types.status import JobStatus
from .account import Account, AccountTicket

__all__ = ["queue_status"]


def queue_status(account: Account, durations: DurationModel, ticket: AccountTicket | None, *, new: bool) -> QueueStatus:
    """Return the queue of an account, and a job's place in it.

    Args:
        account: the account.
        durations: how long each kind of work takes.
        ticket: of the job, if it is running here.
        new: whether a job is meant that comes now, and has no ticket.
    """
    engine, now = account.engine, account.now()
    queue = engine.submissions.queue
    place = queue.place(ticket, now=now, typical=durations.expected_seconds) if new or ticket is not None else None
    kind = queue.last_kind if ticket is None else ticket.work_kind
    finish = None
    if place is not None and kind is not None:
        finish = place[1] + durations.expected_seconds(kind)
    elif ticket is not None:
        is_accepted = ticket.status is JobStatus.ACCEPTED
        age = now - ticket.accepted_at if is_accepted else 0.0
        finish = durations.expected_seconds(ticket.work_kind, age=age)
    return QueueStatus(
        provider=engine.provider,
        queued=len(queue),
        running=engine.slots.in_use,
        position=None if place is None else place[0],
        submit_seconds=None if place is None else place[1],
        finish_seconds=finish,
        limited_by=engine.speed_limit(now),
    )
