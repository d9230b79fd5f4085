"""The words between an engine and those around it: a ticket per job, its states, and the events that happen to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from pathlib import PurePath
from typing import Final, Protocol, TypeAlias

from attrs import define, field, frozen

from ..errors import AuthenticationError, InsufficientBalance, KlingError, PermissionDenied
from ..inputs import Job
from ..prediction import Prediction

__all__ = ["LATCHING", "Event", "EventKind", "Listener", "Page", "State", "Subscription", "Ticket"]

LATCHING: Final = (AuthenticationError, PermissionDenied, InsufficientBalance)
"""Refusals of the account: whatever is submitted next is refused, too."""


class State(StrEnum):
    """Where a job stands."""

    PLANNED = "planned"
    SENDING = "sending"
    ACCEPTED = "accepted"
    ENDED = "ended"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self in _OVER


_OVER = frozenset({State.ENDED, State.FAILED, State.UNCONFIRMED})


class EventKind(StrEnum):
    """What happened."""

    SUBMITTED = "submitted"
    """A submission is on its way."""
    ACCEPTED = "accepted"
    RESUMED = "resumed"
    """It was accepted before, in an earlier run or for another caller, and is waited for from now on."""
    STATUS = "status"
    """The provider uses another word for it now."""
    THROTTLED = "throttled"
    """The provider said 429, so the account pauses."""
    POLL_ERROR = "poll_error"
    NOT_SENT = "not_sent"
    """The provider could not be reached, so the submission is planned again."""
    FINISHED = "finished"
    """The job is over, with a prediction, with an error, or with both."""
    SAVED = "saved"
    """Its files are there."""
    NOT_SAVED = "not_saved"
    """Its files could not be saved; they can be fetched again."""


@frozen(eq=False)
class Event:
    """Something that happened to a job.

    Attributes:
        kind: what.
        at: when, in the clock's seconds.
        provider: at whose account.
        ticket: the engine's ticket of the job; it goes on changing.
        prediction: its record, as far as it is known.
        error: what went wrong, if anything.
        files: its files, once they are saved.
        wait_for: seconds for which a throttled account pauses, or until a submission is tried again.
        replayed: whether the job had ended in an earlier run, and the journal says how.
    """

    kind: EventKind
    at: float
    provider: str
    ticket: Ticket = field(repr=False)
    prediction: Prediction | None = None
    error: KlingError | None = None
    wait_for: float | None = None
    files: tuple[PurePath, ...] = ()
    replayed: bool = False

    @property
    def key(self) -> str | None:
        """To which job it happened."""
        return self.ticket.key


Listener: TypeAlias = Callable[[Event], None]


@define(weakref_slot=False)
class Subscription:
    """One caller or batch that listens to a job, which may have several; those of one job differ by `hear`.

    Attributes:
        hear: is called with what happens to the job, until the listener has left or heard that it is over.
        until: when this listener has waited long enough.
        worth: how much a second of the job's delay counts for it.
        only_submit: whether the job is over for it once it is accepted.
        pay: asked whether this listener, which has joined a submission that another one pays for, pays for it after
            that one has left; None for a listener that need not be asked.
    """

    hear: Listener
    until: float = field(default=math.inf, eq=False)
    worth: float = field(default=1.0, eq=False)
    only_submit: bool = field(default=False, eq=False)
    pay: Callable[[], bool] | None = field(default=None, eq=False)

    def pays(self) -> bool:
        """Return whether the job may be submitted for this listener."""
        if self.pay is not None and self.pay():
            self.pay = None
        return self.pay is None


class Page(Protocol):
    """Where a journal keeps a job. Each method returns once what it was told is durable."""

    def sending(self) -> AbstractAsyncContextManager[None]:
        """Write down that a submission is about to leave; inside it, it leaves. Raises JournalError: nothing may."""
        ...

    async def accepted(self, prediction: Prediction) -> None:
        """Write down what was accepted. Raises JournalError, with the id, if that could only be saved elsewhere."""
        ...

    async def failed(self, error: KlingError) -> None:
        """Write down that a submission was not accepted, or may have been."""
        ...

    async def finished(self, prediction: Prediction) -> None:
        """Write down how a prediction ended."""
        ...


@define(eq=False, weakref_slot=False)
class Ticket:
    """One job in an engine. It is small, since there may be a hundred thousand.

    Attributes:
        key: the job's name.
        job: what was asked for; None for a prediction that was submitted elsewhere.
        path: the kind of work, from the general to the special; what is learned is learned per path.
        weight: slots that it takes.
        worth: how much a second of its delay counts, the most among its listeners; an awaited call counts more than a
            row of a bulk run.
        until: when the first of its listeners has waited long enough.
        listener: hears what happens to it; None once nobody listens. Of several, and of one that joined, the
            subscriptions: most jobs have one listener all along, and no room is taken for more.
        page: where a journal keeps it; None without a journal.
        only_submit: whether it is over once it is accepted, since no listener wants more.
        once: whether it is over once it was looked at.
        came_from: the state before, as far as its listeners were told; SENDING while it is, once they were told that.
        accepted_at: when the provider had accepted it.
        seen_age: its age at the last look that found it running.
        look_at: when to look next, where something else than the cadence says so.
        scouting: whether it is looked at early, since nothing is known of its kind.
        tries: how often the request it is at has failed.
        trouble: the error of the last try, if it failed.
    """

    key: str | None
    job: Job | None
    path: tuple[str, ...]
    weight: int = 1
    worth: float = 1.0
    until: float = math.inf
    listener: Listener | tuple[Subscription, ...] | None = None
    page: Page | None = None
    only_submit: bool = False
    once: bool = False
    state: State = State.PLANNED
    came_from: State = State.PLANNED
    prediction: Prediction | None = field(default=None, repr=False)
    accepted_at: float = 0.0
    seen_age: float = 0.0
    look_at: float | None = None
    scouting: bool = False
    tries: int = 0
    trouble: KlingError | None = field(default=None, repr=False)

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The listeners, in the order in which they came; none is left once it is over."""
        if self.listener is None:
            return ()
        if callable(self.listener):
            return (Subscription(self.listener, self.until, self.worth, self.only_submit),)
        return self.listener

    @subscriptions.setter
    def subscriptions(self, listening: tuple[Subscription, ...]) -> None:
        self.listener = listening or None

    @property
    def posted(self) -> bool:
        """Whether a submission is on its way, and its listeners were told so."""
        return self.state is State.SENDING is self.came_from

    def __lt__(self, other: object, /) -> bool:
        """Let heaps hold tickets beside times; which of two at the same time comes first does not matter."""
        return False
