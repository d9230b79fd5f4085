"""A ticket: the engine's record of one job, with its listeners and its journal entry."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol

from attrs import define, evolve, field

from ..types.client_id import ClientId
from ..types.errors import KlingError
from ..types.events import Listener
from ..types.gate import SendCheck
from ..types.jobs import Job
from ..types.prediction import Prediction
from ..types.status import JobStatus
from .priority import BATCH

__all__ = ["Entry", "Subscription", "Ticket"]

_MAX_SHARED: Final = 1024
"""Records that are kept to be shared: a provider has a few words for each model, or a percentage."""


@define(weakref_slot=False)
class Subscription:
    """One listener of a job, which may have several; those of one job differ by `listener`.

    Attributes:
        listener: called with each event of the job, until it is detached or has received the final one.
        deadline: the time at which this listener stops waiting.
        priority: how much a second of the job's delay counts for it.
        only_submit: whether the job is finished for it once it is accepted.
        pay: asks whether this listener, which has joined a submission that another one pays for, pays for it after
            that one has left; None for a listener that pays already.
    """

    listener: Listener
    deadline: float = field(default=math.inf, eq=False)
    priority: float = field(default=BATCH, eq=False)
    only_submit: bool = field(default=False, eq=False)
    pay: Callable[[], bool] | None = field(default=None, eq=False)

    def accepts_cost(self) -> bool:
        """Return whether the job may be submitted for this listener."""
        if self.pay is not None and self.pay():
            self.pay = None
        return self.pay is None


class Entry(Protocol):
    """The journal entry of a job. Each method returns once the change is durable."""

    def submitting(
        self, client_id: ClientId | None, *, slots: int, slot_seconds: Callable[[], float]
    ) -> AbstractAsyncContextManager[SendCheck | None]:
        """Record that a submission is about to leave; it leaves inside, if what is yielded raises nothing.

        Raises:
            JournalError, BudgetExceeded: nothing may leave.
        """
        ...

    def lookup_check(self) -> SendCheck | None:
        """Return what has to be asked before a submission is repeated under its idempotency key, if anything."""
        ...

    async def accepted(self, prediction: Prediction) -> None:
        """Record an acceptance. Raises JournalError, with the id, if that could only be saved elsewhere."""
        ...

    async def resolving(self, error: KlingError) -> None:
        """Record that a submission may have been accepted, and is looked up."""
        ...

    async def failed(self, error: KlingError) -> None:
        """Record that a submission was not accepted, or may have been."""
        ...

    async def finished(self, prediction: Prediction) -> None:
        """Record the final result of a prediction."""
        ...


@define(eq=False, weakref_slot=False)
class Ticket:
    """One job in an engine. It is small, since there may be a hundred thousand.

    Attributes:
        key: the job's name.
        job: the job; None for a prediction that was submitted elsewhere.
        work_kind: the kind of work, from the general to the special; durations are learned per kind.
        slots: the number of slots it occupies.
        priority: how much a second of its delay counts, the maximum over its listeners; an interactive call counts
            more than a row of a batch.
        deadline: the earliest deadline of its listeners.
        listener: receives its events; None without a listener. With several, and for one that joined, the
            subscriptions: most jobs have one listener all along, and need no memory for more.
        entry: its journal entry; None without a journal.
        only_submit: whether it is finished once it is accepted, since no listener wants more.
        single_poll: whether it is finished after one poll.
        webhook: whether the provider was asked to send a webhook about its end.
        status: its status; a job that this run drops or defers keeps the status it has.
        previous: the status before, as far as its listeners were notified; SUBMITTING while it is, once they were.
        closed: whether the engine does nothing more for it, whatever its status.
        accepted_at: the time at which the provider accepted it, or at which its answer was lost; before, the time at
            which it was queued.
        last_poll_age: its age, in seconds, at the last poll that found it running.
        poll_at: the time of the next poll, where it is not for the poll plan to say.
        last_body: the hash of the body of the last poll that found it running; 0 for none.
        failures: how often the present request has failed.
        last_error: the error of the last attempt, if it failed.
    """

    key: str | None
    job: Job | None
    work_kind: tuple[str, ...]
    slots: int = 1
    priority: float = BATCH
    deadline: float = math.inf
    listener: Listener | tuple[Subscription, ...] | None = None
    entry: Entry | None = None
    only_submit: bool = False
    single_poll: bool = False
    webhook: bool = False
    status: JobStatus = JobStatus.PLANNED
    previous: JobStatus = JobStatus.PLANNED
    closed: bool = False
    accepted_at: float = 0.0
    last_poll_age: float = 0.0
    poll_at: float | None = None
    last_body: int = 0
    failures: int = 0
    last_error: KlingError | None = field(default=None, repr=False)
    _known: Prediction | None = field(default=None, init=False, repr=False)
    """The last record: all of it, or what many of them share, beside the id and the time of this one."""
    _id: str | None = field(default=None, init=False, repr=False)
    _created_at: datetime | None = field(default=None, init=False, repr=False)

    @property
    def prediction(self) -> Prediction | None:
        """The provider's last record of the job; made when asked for, while it says little."""
        if self._id is None or self._known is None:
            return self._known
        return evolve(self._known, id=self._id, key=self.key, created_at=self._created_at)

    @prediction.setter
    def prediction(self, prediction: Prediction | None) -> None:
        shared = None if prediction is None else _shared_record(prediction, self.key)
        self._known = shared or prediction
        self._id = prediction.id if shared and prediction is not None else None
        self._created_at = prediction.created_at if shared and prediction is not None else None

    @property
    def native_status(self) -> str | None:
        """The provider's word in its last record; None without one."""
        return None if self._known is None else self._known.native_status

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The listeners, in the order in which they joined; none is left once the job is finished."""
        if self.listener is None:
            return ()
        if callable(self.listener):
            return (Subscription(self.listener, self.deadline, self.priority, self.only_submit),)
        return self.listener

    @subscriptions.setter
    def subscriptions(self, subscriptions: tuple[Subscription, ...]) -> None:
        self.listener = subscriptions or None

    @property
    def queued(self) -> bool:
        """Whether it waits to be submitted."""
        return self.status is JobStatus.PLANNED and not self.closed

    def subscribe(self, subscription: Subscription) -> None:
        """Let the first listener, which pays for the submission, listen to a new job."""
        self.listener, self.deadline = subscription.listener, subscription.deadline
        self.priority, self.only_submit = subscription.priority, subscription.only_submit

    @property
    def posted(self) -> bool:
        """Whether a submission is on its way, and its listeners were notified of it."""
        return self.status is JobStatus.SUBMITTING is self.previous

    @property
    def can_move(self) -> bool:
        """Whether another provider takes the job where this one cannot."""
        return False

    def moves_on(self, error: KlingError, *, sent_at: float, now: float) -> bool:
        """Return whether it moves on to another provider after a submission, sent at `sent_at`, that failed."""
        return False

    def __lt__(self, other: object, /) -> bool:
        """Let heaps hold tickets beside times; the order of two at the same time does not matter."""
        return False


def _shared_record(prediction: Prediction, key: str | None) -> Prediction | None:
    """Return a record without what is the job's own; None if there is more in it than that."""
    own = prediction.raw is None and prediction.key == key and not prediction.outputs and prediction.failure is None
    if not own or prediction.prompt is not None or prediction.status.is_terminal:
        return None
    record = evolve(prediction, id="", key=None, created_at=None)
    return _same(record, str(record.cost))  # equal amounts may be written differently


@lru_cache(maxsize=_MAX_SHARED)
def _same(record: Prediction, _cost: str) -> Prediction:
    """Return the first record that was equal to this one."""
    return record
