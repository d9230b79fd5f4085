"""When to poll which prediction: learned durations, the poll plans made of them, and the queue of due polls."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Final

from attrs import frozen

from ...types.prediction import Prediction
from ..ticket import Ticket
from .arrivals import Arrivals
from .durations import DurationModel, WorkKind
from .plan import PollPlan, SurvivalCurve
from .poll_queue import PollQueue
from .shadow_price import ShadowPrice, floor_for

__all__ = ["SHARED_HORIZON", "PollPolicy"]

_PROBES: Final = 8
"""Predictions per kind of work that are polled early, each at doubling ages, while none of the kind has finished. The
ages of one lie between those of the others, so that together they find a quick kind late by a tenth of its duration.
They cost some 60 polls, once; with 2 of them, waves of jobs of one second took up to a tenth longer."""
_FIRST_PROBE: Final = 0.5
"""Age in seconds at which the first of them is polled."""
_TICK: Final = 2.0
"""Length of a tick in floor prices of a poll: costs about 0.3 % of the polls and the delay together."""
_MAX_TICK: Final = 0.05
"""Seconds; a longer tick would gather no more polls, and a caller that awaits one prediction would notice."""
SHARED_HORIZON: Final = 15.0
"""Floor prices of a poll within which predictions are polled with one that is due. It is 3 % of the mean: with 20 to a
request and 100 in flight, less costs a third more requests and more saves none."""
_SHORT: Final = 16.0
"""Floor prices of a poll from which on the budget counts as short: results are found about a tenth of a duration late,
four times as late as at the floor, since delays grow with the square root of the price."""
_TOLD_AFTER: Final = 0.9
"""The share of its age at which a prediction was still running, as far as is known, when its webhook arrives."""
_REKEY_ABOVE: Final = 50
"""A queue of n is rekeyed after n / 50 completions at least: a curve moves slowly, and rekeying costs the whole queue.
"""


class PollPolicy:
    """The polls of one account, which share a budget.

    Attributes:
        arrivals: whether the account's webhooks arrive.

    Args:
        durations: learns how long each kind of work takes; may be shared between accounts.
        random: returns numbers drawn evenly from 0 up to 1.
    """

    def __init__(self, durations: DurationModel, *, random: Callable[[], float]) -> None:
        self.arrivals = Arrivals()
        self._durations = durations
        self._random = random
        self._profiles: dict[WorkKind, _PollProfile] = {}
        self._price = ShadowPrice(floor=floor_for(100.0))
        self._queue: PollQueue[Ticket] = PollQueue(self._price, self._due_at)
        self._completed = 0
        self._probes: Counter[WorkKind] = Counter()
        self._probing = set[Ticket]()
        self._controls = set[Ticket]()
        """Predictions that are polled as if no webhook were to come."""

    def set_token_seconds(self, seconds: float) -> None:
        """Set in how many seconds the budget earns one poll, above 0."""
        self._price.token_seconds = seconds

    def add(self, ticket: Ticket) -> None:
        """Add a prediction that was just accepted."""
        self._durations.observe_start(ticket.work_kind)
        if ticket.webhook and self.arrivals.start():
            self._controls.add(ticket)
        first = self._planned_age(ticket)
        if self._probes[ticket.work_kind] < _PROBES:
            # A first poll planned from a mere guess may be far off. A few more polls, once, find a much quicker kind.
            self._probing.add(ticket)
            ticket.poll_at = ticket.accepted_at + _FIRST_PROBE * 2.0 ** (self._probes[ticket.work_kind] / _PROBES)
            self._probes[ticket.work_kind] += 1
            self._queue.add(ticket)
            return
        early = self._durations.exploration_age(ticket.work_kind, first, random=self._random)
        ticket.poll_at = None if early is None else ticket.accepted_at + early
        self._queue.add(ticket)

    def requeue(self, ticket: Ticket) -> None:
        """Put a prediction back whose poll brought no answer."""
        self._queue.add(ticket)

    def still_running(self, ticket: Ticket, *, asked_at: float, requeue: bool = True) -> None:
        """Put a prediction back that a poll, sent at `asked_at`, found running; an extra one has left it there."""
        age = max(asked_at - ticket.accepted_at, ticket.last_poll_age)
        self._durations.observe_running(ticket.work_kind, before=ticket.last_poll_age, age=age)
        ticket.last_poll_age = age
        if ticket in self._probing:
            if 2.0 * age < self._planned_age(ticket):
                ticket.poll_at = ticket.accepted_at + 2.0 * age
            else:
                self._probing.discard(ticket)
                ticket.poll_at = None
        if requeue:
            self._queue.add(ticket)

    def completed(self, ticket: Ticket, prediction: Prediction, *, now: float, told: bool | None = False) -> None:
        """Learn from a prediction that a poll found finished, or whose end a webhook has told; None if both did."""
        age = max(now - ticket.accepted_at, ticket.last_poll_age + 1e-3)
        after = ticket.last_poll_age
        if told:
            self.arrivals.arrived()
            after = max(after, _TOLD_AFTER * age)
        elif ticket.webhook and told is False:
            self.arrivals.expect(prediction.id, age=age, now=now)
        ran_for = prediction.timings.inference_seconds or prediction.timings.execution_seconds
        changed = self._durations.observe_completion(ticket.work_kind, after=after, by=age, ran_for=ran_for)
        self._probes[ticket.work_kind] = _PROBES
        self._probing.discard(ticket)
        self._controls.discard(ticket)
        for kind in changed:
            self._profiles.pop(kind, None)
        self._completed += 1
        if changed and self._completed * _REKEY_ABOVE >= len(self._queue):
            self._completed = 0
            self._queue.rekey_all()

    def discard(self, ticket: Ticket) -> None:
        """Stop polling; the duration of the prediction is right-censored."""
        self._durations.censor(ticket.work_kind, after=ticket.last_poll_age)
        self._probing.discard(ticket)
        self._controls.discard(ticket)

    def reprioritize(self) -> None:
        """Rekey all predictions after a priority change."""
        self._queue.rekey_all()

    def take(self, now: float) -> Ticket | None:
        """Return the prediction to poll with a request that may leave now, or None."""
        if self.arrivals.give_up(now):
            self._queue.rekey_all()
        return self._queue.take(now)

    def take_near(
        self, ticket: Ticket, now: float, admits: Callable[[Ticket], bool], *, max_items: int
    ) -> list[Ticket]:
        """Return predictions that `admits` and whose polls are due, or nearly, as measured by the one just taken."""
        horizon = SHARED_HORIZON * self._profile(ticket.work_kind).floor
        return self._queue.take_until(now + horizon, admits, max_items=max_items)

    def wake_at(self, now: float) -> float | None:
        """Return the time at which to `take` again after None; None if no prediction is queued."""
        at = self._queue.wake_at(now)
        return None if at is None else min(at, max(now, self.arrivals.due_at()))

    @property
    def is_short(self) -> bool:
        """Whether predictions are found finished much later than a larger budget would find them."""
        return len(self._queue) > 0 and self._price.price >= _SHORT * self._price.floor

    def _profile(self, kind: WorkKind) -> _PollProfile:
        profile = self._profiles.get(kind)
        if profile is None:
            profile = self._profiles[kind] = _PollProfile.of(SurvivalCurve.of(*self._durations.survival(kind)))
            self._price.floor = min(each.floor for each in self._profiles.values())
        return profile

    def _due_at(self, ticket: Ticket, price: float) -> float | None:
        if ticket.closed:
            return None
        if ticket.poll_at is not None:
            return ticket.poll_at
        profile = self._profile(ticket.work_kind)
        age = profile.planned_age(ticket, price, weight=self._weight(ticket))
        return math.ceil((ticket.accepted_at + age) / profile.tick) * profile.tick

    def _planned_age(self, ticket: Ticket) -> float:
        """Return the age of the next planned poll at the present price."""
        profile = self._profile(ticket.work_kind)
        return profile.planned_age(ticket, self._price.price, weight=self._weight(ticket))

    def _weight(self, ticket: Ticket) -> float:
        return self.arrivals.weight if ticket.webhook and ticket not in self._controls else 1.0


@frozen
class _PollProfile:
    """How one kind of work is polled.

    Attributes:
        plan: the best next check at each age and price.
        floor: the lowest price of a poll, in seconds of delay.
        tick: polls wait for the next multiple of it, in seconds, so that those planned since the last one leave
            together: a wake-up costs about as much as a poll. A planned poll may be a little late at next to no cost,
            and a tick is a small part of the gap between two. It is a power of 2, so that the ticks of quick kinds
            include those of slow ones.
    """

    plan: PollPlan
    floor: float
    tick: float

    @classmethod
    def of(cls, curve: SurvivalCurve) -> _PollProfile:
        floor = floor_for(curve.mean)
        return cls(PollPlan(curve), floor, 2.0 ** math.floor(math.log2(min(_TICK * floor, _MAX_TICK))))

    def planned_age(self, ticket: Ticket, price: float, *, weight: float) -> float:
        """Return the age of the next planned poll at a price, or at the floor price of this kind if that is higher.

        A second of delay counts by the ticket's priority and by a weight.
        """
        return self.plan.next_check(ticket.last_poll_age, max(price, self.floor) / (ticket.priority * weight))
