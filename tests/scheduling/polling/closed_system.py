"""An engine in virtual time with as many predictions always in flight, driven as the engine's contract says."""

from __future__ import annotations

import math
import random
from itertools import pairwise

from attrs import define, field

from kling_async.scheduling.engine import Engine
from kling_async.scheduling.polling.durations import DurationModel
from kling_async.scheduling.polling.plan import SurvivalCurve, optimal_checks
from kling_async.scheduling.polling.policy import PollPolicy
from kling_async.scheduling.polling.survival import AGES
from kling_async.scheduling.ticket import Ticket
from kling_async.types.inputs import ImageInput
from kling_async.types.jobs import Job
from kling_async.types.limits import Limits
from kling_async.types.prediction import Prediction, Status

from ..conftest import IMAGE, prediction

SIGMA = 0.4
"""Standard deviation of the logarithm of the durations."""
JOB = Job(ImageInput("a"), key="a")


class CountingPolicy(PollPolicy):
    """A poll policy that counts how often a due time is computed."""

    computed = 0

    def _due_at(self, ticket: Ticket, price: float) -> float | None:
        self.computed += 1
        return super()._due_at(ticket, price)


@define(eq=False)
class ClosedSystem:
    """Predictions of log-normal duration, of which one starts when another is found finished.

    Attributes:
        number: predictions in flight.
        mean: their mean duration in seconds.
        rate: polls a second that are allowed.
        wakes_every: seconds between the moments at which the engine may be asked, 0 for any moment.
        ramp: seconds over which the first of them are submitted.
        sizes: the number of polls that left at each moment at which one did.
        max_computed: the most due times computed in one call of the engine.
    """

    number: int
    mean: float
    rate: float | None
    wakes_every: float = 0.0
    ramp: float = 0.0
    now: float = 0.0
    polls: int = 0
    found: int = 0
    delay: float = 0.0
    sizes: list[int] = field(factory=list[int])
    max_computed: int = 0
    policy: CountingPolicy = field(init=False)
    engine: Engine = field(init=False)
    done_at: dict[Ticket, float] = field(factory=dict[Ticket, float])
    random: random.Random = field(factory=lambda: random.Random(1))

    def __attrs_post_init__(self) -> None:
        self.policy = CountingPolicy(DurationModel(), random=self.random.random)
        limits = Limits(submit_per_second=None, poll_per_second=self.rate, max_open=None)
        self.engine = Engine(provider="gptproto", limits=limits, polling=self.policy, random=self.random.random)
        for number in range(self.number):
            self.submit(number * self.ramp / self.number)
        self.now = self.ramp

    def submit(self, now: float) -> None:
        """Let one more prediction start."""
        self.engine.add(Ticket(key="a", job=JOB, work_kind=IMAGE))
        ticket = self.engine.take_submit(now)
        assert ticket is not None
        before = self.policy.computed
        list(self.engine.submitted(ticket, prediction("a"), sent_at=now, now=now))
        self.count(before)
        draw = math.exp(SIGMA * self.random.gauss(0.0, 1.0) - SIGMA**2 / 2.0)
        self.done_at[ticket] = now + self.mean * draw

    def count(self, before: int) -> None:
        """Note the due times computed since then, by one call."""
        self.max_computed = max(self.max_computed, self.policy.computed - before)

    def run(self, polls: int) -> None:
        """Go on until so many more polls have left."""
        last, until = -math.inf, self.polls + polls
        while self.polls < until:
            before = self.policy.computed
            at = max(self.now, self.engine.poll_at(self.now))
            self.count(before)
            if at > self.now and self.wakes_every:
                at = max(at, math.ceil(at / self.wakes_every) * self.wakes_every)
            self.now, before = at, self.policy.computed
            ticket = self.engine.take_poll(self.now)
            self.count(before)
            if ticket is None:
                continue
            self.polls += 1
            if self.now > last:
                self.sizes.append(0)
            self.sizes[-1] += 1
            last = self.now
            self.answer(ticket)

    def answer(self, ticket: Ticket) -> None:
        """Answer a poll at once."""
        assert ticket.prediction is not None
        result: Prediction = ticket.prediction
        if finished := self.done_at[ticket] <= self.now:
            self.delay += self.now - self.done_at.pop(ticket)
            self.found += 1
            result = prediction("a", Status.SUCCEEDED)
        before = self.policy.computed
        list(self.engine.polled(ticket, result, asked_at=self.now, now=self.now))
        self.count(before)
        if finished:
            self.submit(self.now)

    def measure(self, polls: int) -> tuple[float, float]:
        """Go on for so many polls; return the share of those allowed that left, and the mean delay in seconds."""
        began, found, delay = self.now, self.found, self.delay
        self.run(polls)
        assert self.rate is not None
        return polls / ((self.now - began) * self.rate), (self.delay - delay) / (self.found - found)

    def least_delay(self) -> float:
        """Return the mean delay that no policy can go below: a bound by Lagrange's and Little's rules.

        A policy has price * P + D >= V(price), the optimum for one prediction, at every price. With N in flight and R
        polls a second each gets P = R * (mean + D) / N, so D >= (V - price * R * mean / N) / (1 + price * R / N).
        """
        assert self.rate is not None
        median = self.mean * math.exp(-(SIGMA**2) / 2.0)
        running = [1.0, *(math.erfc(math.log(age / median) / SIGMA / math.sqrt(2.0)) / 2.0 for age in AGES[1:])]
        curve, each = SurvivalCurve.of(AGES, running), self.rate / self.number
        bounds = list[float]()
        for price in (self.mean / 1000.0 * 1.25**step for step in range(40)):
            checks = pairwise((0.0, *optimal_checks(curve, price=price)))
            cost = math.fsum(curve.survival_at(a) * (price + b - a) for a, b in checks) - curve.mean
            bounds.append((cost - price * each * self.mean) / (1.0 + price * each))
        return max(bounds)
