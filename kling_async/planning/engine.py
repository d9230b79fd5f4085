"""The jobs of one provider account: what to do next, and what follows from what came of it.

Theory of operation. A job is a `Ticket` that moves through the states of `TRANSITIONS` and in no other way. Workers who
are free ask for one move at a time (`take_submit`, `take_poll`) and tell what came of it (`submitted`, `polled`), which
gives events. All are plain functions of the tickets, the present time and a throw of dice, with no task, clock or lock.
Submissions stand in a `Line`, looks in the `Lookout`; each has a pacer of its own, so that neither starves the other.

A job may have several listeners, each with a deadline of its own. One that leaves, for whatever reason, changes nothing
for the others; only when the last has left is a job that is not sent yet given up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from attrs import evolve

from ..errors import BudgetExceeded, KlingError, NotSent, RateLimited
from ..prediction import Prediction
from ..providers.spec import Limits
from .deadlines import Deadlines
from .events import Delivery, Events, copied
from .line import Line
from .lookout import Lookout
from .moves import LATCHING, EventKind, Listener, State, Subscription, Ticket
from .pacing import Pacer
from .retry import Action, judge_poll, judge_submission, wait_before

__all__ = ["TRANSITIONS", "Engine"]

TRANSITIONS: Final[Mapping[tuple[State, str], State]] = {
    (State.PLANNED, "taken"): State.SENDING,
    (State.PLANNED, "given up"): State.FAILED,
    (State.SENDING, "not started"): State.PLANNED,
    (State.SENDING, "refused"): State.FAILED,
    (State.SENDING, "answer lost"): State.UNCONFIRMED,
    (State.SENDING, "accepted"): State.ACCEPTED,
    (State.ACCEPTED, "still running"): State.ACCEPTED,
    (State.ACCEPTED, "finished"): State.ENDED,
    (State.ACCEPTED, "given up"): State.ENDED,
}
"""Every way a job can go."""

_POLL_BURST: Final = 4
"""Looks that may leave at once after a silence: what falls due together need not wait for each other."""
_PRICE_TURN: Final = 0.01
"""Seconds between two moves of the price where polls have no rate to move it at."""
_GRACE: Final = 0.5
"""Seconds after which to look again at a job that is just being sent when its time is up."""
_UNHEARD_WORTH: Final = 0.1
"""What is still running when nobody waits for it holds a slot, so it is looked at, though ten times less keenly."""
_UNHEARD_FOR: Final = 3600.0
"""Seconds for which that is done: what runs longer has been lost by its provider."""
_STORM: Final = 3
"""Answers lost in a row after which submissions leave one by one, with growing pauses, until one is accepted."""
_PAUSE: Final = 5.0
"""Seconds that such a pause lasts at least."""
_LATCHED_FOR: Final = 30.0
"""Seconds for which an account that was refused is not tried again: a key may be mended, or a balance topped up."""


class Engine:
    """The jobs of one provider account.

    Args:
        provider: the account's provider, by name.
        limits: what may be sent how fast, and how much may be open.
        lookout: when to look at what.
        dice: gives numbers evenly from 0 up to 1.
    """

    def __init__(self, *, provider: str, limits: Limits, lookout: Lookout, dice: Callable[[], float]) -> None:
        self.provider = provider
        self._line = Line(limits)
        self.slots = self._line.slots
        self._polls = Pacer(per_second=limits.poll_per_second, burst=_POLL_BURST)
        self._lookout = lookout
        self._deadlines = Deadlines()
        self._events = Events(provider)
        self._dice = dice
        self._refusals = self._lost = self._sending = 0
        self._latched: KlingError | None = None
        self._latched_until = -math.inf

    @property
    def load(self) -> float:
        """How much there is to do, as a share of the slots where there are any."""
        return (self.slots.taken + len(self._line)) / (self.slots.limit or 1000)

    # What comes in.

    def add(self, ticket: Ticket) -> None:
        """Take a job to be submitted."""
        self._line.add(ticket)
        self._deadlines.add(ticket, ticket.until)

    def restore(self, ticket: Ticket, prediction: Prediction, *, now: float, age: float = 0.0) -> None:
        """Take up a prediction that was accepted before, `age` seconds ago as far as is known."""
        ticket.state = State.ACCEPTED
        ticket.prediction = _lean(prediction)
        ticket.accepted_at = now - age
        self.slots.take(ticket.weight)
        self._deadlines.add(ticket, now + _UNHEARD_FOR if ticket.listener is None else ticket.until)
        if ticket.once:
            ticket.look_at = now
            self._lookout.again(ticket)
        else:
            self._lookout.begin(ticket)

    # Who listens.

    def join(self, ticket: Ticket, one: Subscription, *, now: float) -> Iterator[Delivery]:
        """Let a listener more hear of a job that is not over; it is told at once how far the job is."""
        tell_one, accepted, worth = self._events.tell_one, ticket.state is State.ACCEPTED, ticket.worth
        if accepted and one.only_submit:
            yield tell_one(EventKind.FINISHED, ticket, one, now)
            return
        ticket.subscriptions = (*ticket.subscriptions, one)
        self._attune(ticket)
        if accepted and ticket.worth > worth:
            self._lookout.rekey()
        if accepted or ticket.posted:
            yield tell_one(EventKind.RESUMED if accepted else EventKind.SUBMITTED, ticket, one, now)

    def _attune(self, ticket: Ticket) -> None:
        """Let a job be worth as much, and be looked after as soon, as its listeners want."""
        heard = ticket.subscriptions
        ticket.worth, ticket.only_submit = max(one.worth for one in heard), all(one.only_submit for one in heard)
        until = min(one.until for one in heard)
        if until != ticket.until:
            self._deadlines.add(ticket, until)

    def forget(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        """Let a listener leave; it hears nothing more."""
        for one in ticket.subscriptions:
            if one.hear == listener:
                yield from self._leave(ticket, one, now)

    def recall(self, ticket: Ticket, listener: Listener, *, now: float) -> Iterator[Delivery]:
        """Let a listener leave a job that still stands in line, and tell it so."""
        for one in ticket.subscriptions:
            if one.hear == listener and ticket.state is State.PLANNED:
                error = NotSent("It was stopped before its turn came", reason="stopped", provider=self.provider)
                yield from self._dismiss(ticket, one, now, error=error)

    def _dismiss(
        self, ticket: Ticket, one: Subscription, now: float, *, error: KlingError | None = None
    ) -> Iterator[Delivery]:
        """Tell one listener that the job is over for it; it has left when it hears so."""
        if one in ticket.subscriptions:
            others = list(self._leave(ticket, one, now))
            yield self._events.tell_one(EventKind.FINISHED, ticket, one, now, error=error)
            yield from others

    def _leave(self, ticket: Ticket, one: Subscription, now: float) -> Iterator[Delivery]:
        """Without listeners, what is not sent yet never is; what is, goes on for a while, and counts little."""
        ticket.subscriptions = tuple(other for other in ticket.subscriptions if other != one)
        if ticket.listener:
            self._attune(ticket)
            yield from self._find_payer(ticket, now)
        elif ticket.state is State.PLANNED:
            self._step(ticket, "given up")
        elif not ticket.state.over:
            ticket.worth = _UNHEARD_WORTH
            self._deadlines.add(ticket, now + _UNHEARD_FOR)

    def _find_payer(self, ticket: Ticket, now: float) -> Iterator[Delivery]:
        """Ask those who joined a job for nothing to pay, if it is still to be sent and who was to pay has left."""
        if ticket.state is State.PLANNED and not any(one.pays() for one in ticket.subscriptions):
            self._step(ticket, "given up")
            error = BudgetExceeded(_NOT_PAID, provider=self.provider, advice=_PAY)
            yield from self._events.finish(ticket, now, error=error)

    # What to do next.

    def take_submit(self, now: float) -> Ticket | None:
        """Return a job to submit now, or None."""
        ticket = None if self._in_storm else self._line.take(now)
        if ticket is not None:
            self._sending += 1
            self._step(ticket, "taken")
        return ticket

    @property
    def _in_storm(self) -> bool:
        """Whether answers are lost one after another, and one submission is on its way to see whether that is over."""
        return self._lost >= _STORM and self._sending > 0

    def take_poll(self, now: float) -> Ticket | None:
        """Return a job to look at now, or None."""
        if self._polls.ready_at(now) > now:
            return None
        ticket = self._lookout.take(now)
        if ticket is not None:
            self._polls.spend(now)
        return ticket

    def submit_at(self, now: float) -> float:
        """Return when `take_submit` may have something; infinity if only news can change that."""
        return math.inf if self._in_storm else self._line.ready_at(now)

    def poll_at(self, now: float) -> float:
        """Return when `take_poll` may have something; infinity if only news can change that."""
        at = self._lookout.wake_at(now, token_for=max(self._polls.interval, _PRICE_TURN))
        return math.inf if at is None else max(at, self._polls.ready_at(now))

    def deadline_at(self) -> float:
        """Return when `overdue` will have something."""
        return self._deadlines.next_at()

    # What came of it.

    def sending(self, ticket: Ticket, now: float) -> Iterator[Delivery]:
        """Tell that a submission is on its way."""
        ticket.came_from = State.SENDING
        yield from self._events.tell(EventKind.SUBMITTED, ticket, now)

    def submitted(
        self, ticket: Ticket, came: Prediction | KlingError, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        """Tell what came of a submission."""
        self._sending -= 1
        if isinstance(came, KlingError):
            yield from self._not_accepted(ticket, came, sent_at=sent_at, now=now)
            return
        self._step(ticket, "accepted")
        self._refusals = self._lost = 0
        ticket.trouble = None
        ticket.tries, ticket.accepted_at, ticket.prediction = 0, now, _lean(came)
        yield from self._events.tell(EventKind.ACCEPTED, ticket, now)
        if came.status.finished or ticket.only_submit:
            yield from self._end(ticket, came, now)
            return
        self._lookout.begin(ticket)
        for one in ticket.subscriptions:
            if one.only_submit:
                yield from self._dismiss(ticket, one, now)

    def _not_accepted(self, ticket: Ticket, error: KlingError, *, sent_at: float, now: float) -> Iterator[Delivery]:
        verdict = judge_submission(error)
        again = self._again_at(ticket, error, verdict.attempts, now) if verdict.action is Action.REPEAT else None
        if again is not None:
            self._step(ticket, "not started")
            yield from self._put_back(ticket, error, again, sent_at=sent_at, now=now)
            yield from self._find_payer(ticket, now)
            yield from self.refuse_planned(now)
            return
        self.slots.give(ticket.weight)
        lost = verdict.action is Action.UNCONFIRMED
        self._step(ticket, "answer lost" if lost else "refused")
        if lost:
            self._weather_storm(error, sent_at=sent_at, now=now)
        yield from self._events.finish(ticket, now, error=error)
        if isinstance(error, LATCHING):
            self._latched, self._latched_until = error, now + _LATCHED_FOR
            yield from self.refuse_planned(now)

    def _weather_storm(self, error: KlingError, *, sent_at: float, now: float) -> None:
        """Each lost answer may cost, so what loses them one after another is not fed at full speed."""
        self._lost += 1
        if self._lost >= _STORM:
            again = now + _PAUSE + wait_before(error, tries=self._lost, dice=self._dice())
            self._line.hold_until(again, now=now, sent_at=sent_at)

    def _put_back(
        self, ticket: Ticket, error: KlingError, again: float, *, sent_at: float, now: float
    ) -> Iterator[Delivery]:
        if isinstance(error, RateLimited):
            self._line.put_back(ticket)
            self._line.hold_until(again, now=now, sent_at=sent_at)
            kind = EventKind.THROTTLED
        else:
            self._line.put_back_later(ticket, again)
            kind = EventKind.NOT_SENT
        yield from self._events.tell(kind, ticket, now, error=error, wait_for=again - now)

    def _again_at(self, ticket: Ticket, error: KlingError, attempts: int, now: float) -> float | None:
        # While our own predictions are running they may be what the provider has too many of: that passes.
        if not isinstance(error, RateLimited) or self.slots.taken <= ticket.weight:
            ticket.tries += 1
        if ticket.tries >= attempts or ticket.listener is None:
            return None
        ticket.trouble = error
        self._refusals += isinstance(error, RateLimited)
        again = now + wait_before(error, tries=max(ticket.tries, self._refusals, 1), dice=self._dice())
        return again if again <= max(one.until for one in ticket.subscriptions) else None

    def refuse_planned(self, now: float) -> Iterator[Delivery]:
        """Give up what is in line while the account is refused; each job is told why."""
        if self._latched is None or now >= self._latched_until:
            return
        for ticket in self._line.dismiss():
            self._step(ticket, "given up")
            error = copied(self._latched)
            error.key = ticket.key
            yield from self._events.finish(ticket, now, error=error)

    def polled(
        self, ticket: Ticket, came: Prediction | KlingError, *, asked_at: float, now: float
    ) -> Iterator[Delivery]:
        """Tell what came of a look."""
        if ticket.state.over:
            return  # it was given up while the look was on its way
        ticket.look_at = None
        if isinstance(came, KlingError):
            yield from self._not_told(ticket, came, sent_at=asked_at, now=now)
            return
        ticket.tries, ticket.trouble = 0, None
        if came.status.finished or ticket.once:
            if not ticket.once:
                self._lookout.finished(ticket, came, now=now)
            yield from self._end(ticket, came, now)
            return
        self._step(ticket, "still running")
        news = ticket.prediction is None or came.native_status != ticket.prediction.native_status
        self._lookout.running(ticket, asked_at=asked_at)
        if news:
            ticket.prediction = _lean(came)
            yield from self._events.tell(EventKind.STATUS, ticket, now)

    def _not_told(self, ticket: Ticket, error: KlingError, *, sent_at: float, now: float) -> Iterator[Delivery]:
        verdict = judge_poll(error, asked_for=now - ticket.accepted_at)
        if verdict.action is not Action.REPEAT:
            self._give_up(ticket)
            yield from self._events.finish(ticket, now, error=error)
            return
        ticket.tries, ticket.trouble = ticket.tries + 1, error
        wait = wait_before(error, tries=ticket.tries, dice=self._dice())
        if isinstance(error, RateLimited):
            # Polls are told to wait when the account asks too much altogether, so submissions wait with them. The other
            # way round looks go on: they are what frees slots.
            self._polls.hold_until(now + wait, now=now, sent_at=sent_at)
            self._line.hold_until(now + wait, now=now, sent_at=sent_at)
            ticket.look_at = now + wait if ticket.once else None
            yield from self._events.tell(EventKind.THROTTLED, ticket, now, error=error, wait_for=wait)
        else:
            ticket.look_at = now + wait
            yield from self._events.tell(EventKind.POLL_ERROR, ticket, now, error=error)
        self._lookout.again(ticket)

    def _end(self, ticket: Ticket, prediction: Prediction, now: float) -> Iterator[Delivery]:
        self._step(ticket, "finished")
        self.slots.give(ticket.weight)
        ticket.prediction = prediction
        yield from self._events.finish(ticket, now)

    def overdue(self, now: float) -> Iterator[Delivery]:
        """Tell listeners who have waited long enough; what is accepted goes on."""
        while (ticket := self._deadlines.take(now)) is not None:
            if ticket.state is State.SENDING:
                # What is on its way is not given up: it is told about once it is known to be accepted or not.
                self._deadlines.add(ticket, now + _GRACE)
            elif ticket.listener is None:
                self._give_up(ticket)
            else:
                yield from self._dismiss_late(ticket, now)

    def _dismiss_late(self, ticket: Ticket, now: float) -> Iterator[Delivery]:
        for one in ticket.subscriptions:
            if one.until <= now:
                yield from self._dismiss(ticket, one, now, error=self._events.too_late(ticket, now))

    def dismiss(self, now: float) -> Iterator[Delivery]:
        """Tell everybody who waits that the client is closed; what is accepted goes on at the provider."""
        for ticket in self._deadlines.everybody():
            if ticket.listener is not None:
                if ticket.state is State.PLANNED:
                    self._step(ticket, "given up")
                yield from self._events.finish(ticket, now, error=self._events.closed(ticket, now))

    def _give_up(self, ticket: Ticket) -> None:
        self._step(ticket, "given up")
        self.slots.give(ticket.weight)
        if not ticket.once:
            self._lookout.withdraw(ticket)

    def _step(self, ticket: Ticket, news: str) -> None:
        told = ticket.state is not State.SENDING or ticket.posted
        ticket.came_from, ticket.state = ticket.state if told else ticket.came_from, TRANSITIONS[ticket.state, news]


_NOT_PAID: Final = "The call that was to pay for it has left, and no budget of those that joined it has room for it"
_PAY: Final = "Nothing was sent. Raise max_cost, or run it again."


def _lean(prediction: Prediction) -> Prediction:
    """Let go of the reply while a prediction runs: a hundred thousand of them would fill the memory."""
    return prediction if prediction.status.finished else evolve(prediction, raw=None)
