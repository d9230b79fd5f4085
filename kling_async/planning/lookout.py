"""When to look at which prediction: what was learned, the plans made of it, and the line of those to be looked at."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from attrs import frozen

from ..prediction import Prediction
from .cadence import Law, Plan
from .durations import Learner, Path
from .market import Agenda, Market, floor_for
from .moves import State, Ticket

__all__ = ["Lookout"]

_SCOUTS = 8
"""Predictions of a kind of which nothing has finished yet that are looked at early, each at doubling ages. The ages of
one lie between those of the others, so that together they overlook what is quick by a tenth of its time. They cost some
60 looks, once; with 2 of them, waves of jobs of a second took up to a tenth longer."""
_SCOUTED_FROM = 0.5
"""Seconds after which the first of them is looked at."""
_TICK = 2.0
"""How often a look is worth waiting for others: costs about 0.3 % of what looks and delay cost together."""
_LONGEST_TICK = 0.05
"""Seconds; a longer one would gather no more, and whoever waits for one prediction would notice."""
_WORTH_A_REBUILD = 50
"""A line of n is keyed anew after n / 50 completions at least: a law moves slowly, and keying costs the whole line."""


class Lookout:
    """The looks of one poll budget.

    Args:
        learner: knows how long each kind of work takes; may be shared.
        dice: gives numbers evenly from 0 up to 1.
    """

    def __init__(self, learner: Learner, *, dice: Callable[[], float]) -> None:
        self._learner = learner
        self._dice = dice
        self._aims: dict[Path, _Aim] = {}
        self._market = Market(floor=floor_for(100.0))
        self._agenda: Agenda[Ticket] = Agenda(self._market, self._due)
        self._finished = 0
        self._scouts: Counter[Path] = Counter()

    def begin(self, ticket: Ticket) -> None:
        """Start to look at a prediction that was just accepted."""
        self._learner.started(ticket.path)
        first = self._planned(ticket, self._market.price)
        if self._scouts[ticket.path] < _SCOUTS:
            # Of nothing but a guess the first look may be far off. A few looks more, once, find what is much quicker.
            ticket.scouting = True
            ticket.look_at = ticket.accepted_at + _SCOUTED_FROM * 2.0 ** (self._scouts[ticket.path] / _SCOUTS)
            self._scouts[ticket.path] += 1
            self._agenda.add(ticket)
            return
        early = self._learner.early_look(ticket.path, first, dice=self._dice)
        ticket.look_at = None if early is None else ticket.accepted_at + early
        self._agenda.add(ticket)

    def again(self, ticket: Ticket) -> None:
        """Put a prediction back whose look brought no answer."""
        self._agenda.add(ticket)

    def running(self, ticket: Ticket, *, asked_at: float) -> None:
        """Put a prediction back that was still running when it was asked for."""
        age = max(asked_at - ticket.accepted_at, ticket.seen_age)
        self._learner.not_yet(ticket.path, before=ticket.seen_age, age=age)
        ticket.seen_age = age
        if ticket.scouting:
            ticket.scouting = 2.0 * age < self._planned(ticket, self._market.price)
            ticket.look_at = ticket.accepted_at + 2.0 * age if ticket.scouting else None
        self._agenda.add(ticket)

    def finished(self, ticket: Ticket, prediction: Prediction, *, now: float) -> None:
        """Learn from a prediction that was found finished."""
        age = max(now - ticket.accepted_at, ticket.seen_age + 1e-3)
        ran_for = prediction.timings.inference_for or prediction.timings.execution_for
        news = self._learner.finished(ticket.path, after=ticket.seen_age, by=age, ran_for=ran_for)
        self._scouts[ticket.path] = _SCOUTS
        for path in news:
            self._aims.pop(path, None)
        self._finished += 1
        if news and self._finished * _WORTH_A_REBUILD >= len(self._agenda):
            self._finished = 0
            self._agenda.rebuild()

    def withdraw(self, ticket: Ticket) -> None:
        """Look no more at a prediction that was not seen to finish."""
        self._learner.withdrawn(ticket.path, after=ticket.seen_age)

    def rekey(self) -> None:
        """Give everybody a place in line anew, since what a look at somebody is worth has changed."""
        self._agenda.rebuild()

    def take(self, now: float) -> Ticket | None:
        """Return whom to look at with a poll that may leave now, or None."""
        return self._agenda.take(now)

    def wake_at(self, now: float, *, token_for: float) -> float | None:
        """Return when to take again after None; None if there is nobody to look at."""
        return self._agenda.wake_at(now, token_for=token_for)

    def _aim(self, path: Path) -> _Aim:
        aim = self._aims.get(path)
        if aim is None:
            aim = self._aims[path] = _Aim.at(Law.of(*self._learner.curve(path)))
            self._market.floor = min(aim.floor for aim in self._aims.values())
        return aim

    def _due(self, ticket: Ticket, price: float) -> float | None:
        if ticket.state is not State.ACCEPTED:
            return None
        if ticket.look_at is not None:
            return ticket.look_at
        tick = self._aim(ticket.path).tick
        return math.ceil((ticket.accepted_at + self._planned(ticket, price)) / tick) * tick

    def _planned(self, ticket: Ticket, price: float) -> float:
        """Return the age at which a prediction is worth its next look at a price, and at its own floor."""
        aim = self._aim(ticket.path)
        return aim.plan.next_check(ticket.seen_age, max(price, aim.floor) / ticket.worth)


@frozen
class _Aim:
    """How one kind of work is looked at.

    Attributes:
        plan: when, at which price.
        floor: what a look is worth at least.
        tick: looks wait for the next multiple of it, so that those planned since the last leave together: to wake up
            costs about as much as to look. They stand where a little later makes next to no difference, and a tick is
            a small part of what lies between two. It is a power of 2, so that ticks of the quick are ticks of the slow.
    """

    plan: Plan
    floor: float
    tick: float

    @classmethod
    def at(cls, law: Law) -> _Aim:
        floor = floor_for(law.mean)
        return cls(Plan(law), floor, 2.0 ** math.floor(math.log2(min(_TICK * floor, _LONGEST_TICK))))
