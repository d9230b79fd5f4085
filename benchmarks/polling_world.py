"""Predictions and looks in virtual time: the real plans, market and learner, and seeded dice instead of a provider."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from polling_laws import Work

from kling_async.scheduling.poll_tokens import PollTokens
from kling_async.scheduling.polling.arrivals import Arrivals
from kling_async.scheduling.polling.durations import DurationModel, WorkKind
from kling_async.scheduling.polling.plan import PollPlan, SurvivalCurve
from kling_async.scheduling.polling.policy import _TOLD_AFTER, SHARED_HORIZON
from kling_async.scheduling.polling.poll_queue import PollQueue
from kling_async.scheduling.polling.shadow_price import ShadowPrice, floor_for


@dataclass(slots=True, eq=False)
class Running:
    """A prediction that was submitted."""

    serial: int
    kind: int
    submitted_at: float
    takes: float
    age: float = 0.0
    looks: int = 0
    early: float | None = None
    done: bool = False
    control: bool = False

    def __lt__(self, other: object, /) -> bool:
        """Let an agenda hold it: first come, first served among those due at the same time."""
        return isinstance(other, Running) and self.serial < other.serial


@dataclass(frozen=True, slots=True)
class Found:
    """A prediction that was found finished."""

    serial: int
    kind: int
    takes: float
    looks: int
    found_at: float
    delay: float


@dataclass
class World:
    """A poll budget and the predictions that share it.

    Attributes:
        works: the kinds of work.
        rate: looks a second; None for as many as the plans want.
        floor: what a look is worth in seconds; None for the default, a 500th of each kind's mean.
        learning: "known" laws, or a cold start: from poll "intervals", or from times that the provider "reported".
        seed: of the dice.
        shared: predictions that one request can ask for.
        lost: the share of webhooks that never come; None without any webhooks.
        hook_seconds: seconds that a webhook takes, in the mean.
    """

    works: Sequence[Work]
    rate: float | None
    floor: float | None
    learning: str
    seed: int
    shared: int = 1
    lost: float | None = None
    hook_seconds: float = 0.2
    hooks: list[tuple[float, Running]] = field(default_factory=list)
    learner: DurationModel = field(default_factory=DurationModel)
    found: list[Found] = field(default_factory=list)
    looks: int = 0
    requests: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        # A kind that the learner has no guess for: a median of 30 s, wrong for every law here.
        self.paths: list[WorkKind] = [("anything", work.name) for work in self.works]
        known = self.learning == "known"
        self.plans = [
            PollPlan(work.law if known else self.learned(path))
            for work, path in zip(self.works, self.paths, strict=True)
        ]
        self.floors = [self.floor or floor_for(plan.curve.mean) for plan in self.plans]
        self.tokens = PollTokens(self.rate)
        self.market = ShadowPrice(floor=min(self.floors), token_seconds=self.tokens.token_seconds)
        self.agenda = PollQueue(self.market, self.due)
        self.serial = 0
        self.arrivals = Arrivals()

    def learned(self, path: WorkKind) -> SurvivalCurve:
        """Return the law as the learner sees it now."""
        return SurvivalCurve.of(*self.learner.survival(path))

    def due(self, item: Running, price: float) -> float | None:
        """Return when to look next; None if a webhook has told the end."""
        if item.done:
            return None
        if item.early is not None and item.age == 0.0:
            return item.submitted_at + item.early
        floor = self.floors[item.kind]
        weight = 1.0 if self.lost is None or item.control else self.arrivals.weight
        return item.submitted_at + self.plans[item.kind].next_check(item.age, max(price, floor) / weight)

    def submit(self, kind: int, now: float) -> None:
        """Let a prediction start."""
        item = Running(self.serial, kind, now, self.works[kind].draw(self.dice))
        self.serial += 1
        item.control = self.lost is not None and self.arrivals.start()
        if self.learning != "known":
            path = self.paths[kind]
            self.learner.observe_start(path)
            check = self.plans[kind].next_check(0.0, max(self.market.price, self.floors[kind]))
            item.early = self.learner.exploration_age(path, check, random=self.dice.random)
        self.agenda.add(item)
        if self.lost is not None and self.dice.random() >= self.lost:
            heappush(self.hooks, (now + item.takes + self.dice.expovariate(1 / self.hook_seconds), item))

    def hear(self, item: Running, now: float) -> bool:
        """Take the webhook of a prediction; return whether it is the first to tell the end."""
        if item.done:
            self.arrivals.arrived_after(str(item.serial))
            return False
        self.arrivals.arrived()
        self.finish(item, now, after=max(item.age, _TOLD_AFTER * (now - item.submitted_at)))
        return True

    def look(self, item: Running, now: float) -> bool:
        """Look at a prediction; return whether it has finished."""
        self.looks += 1
        item.looks += 1
        age, before, path = now - item.submitted_at, item.age, self.paths[item.kind]
        self.arrivals.give_up(now) and self.agenda.rekey_all()
        if age < item.takes:
            if self.learning != "known":
                self.learner.observe_running(path, before=before, age=age)
            item.age = age
            self.agenda.add(item)
            return False
        if self.lost is not None:
            self.arrivals.expect(str(item.serial), age=age, now=now)
        self.finish(item, now, after=before)
        return True

    def finish(self, item: Running, now: float, *, after: float) -> None:
        """Record that a prediction was found finished, and learn from it."""
        item.done = True
        age = now - item.submitted_at
        self.found.append(Found(item.serial, item.kind, item.takes, item.looks, now, age - item.takes))
        if self.learning != "known":
            ran_for = item.takes if self.learning == "reported" else None
            path = self.paths[item.kind]
            if changed := self.learner.observe_completion(path, after=after, by=age, ran_for=ran_for):
                self.refit(changed)

    def others(self, item: Running, now: float) -> list[Running]:
        """Return what is looked at by the same request, as the policy of an account chooses it."""
        if self.shared == 1:
            return []
        until = now + SHARED_HORIZON * self.floors[item.kind]
        return self.agenda.take_until(until, lambda _: True, max_items=self.shared - 1)

    def refit(self, changed: Sequence[WorkKind]) -> None:
        """Make plans of the laws that have changed."""
        for path in changed:
            kind = self.paths.index(path)
            self.plans[kind] = PollPlan(self.learned(path))
            self.floors[kind] = self.floor or floor_for(self.plans[kind].curve.mean)
        self.market.floor = min(self.floors)
        self.agenda.rekey_all()

    def run(self, arrivals: Sequence[tuple[float, int]], *, until: float, refill: int = 0) -> list[Found]:
        """Run until that time, or until all is found, and ask as an account does: after each look, and when told to.

        Args:
            arrivals: when predictions start, and of which kind.
            until: when to stop.
            refill: how many more start, each as soon as one of its kind is found finished.
        """
        coming, now = list(arrivals), 0.0
        heapify(coming)
        while now < until:
            while coming and coming[0][0] <= now:
                _, kind = heappop(coming)
                self.submit(kind, now)
            while self.hooks and self.hooks[0][0] <= now:
                _, told = heappop(self.hooks)
                if self.hear(told, now) and refill:
                    refill -= 1
                    heappush(coming, (now, told.kind))
            item = self.agenda.take(now) if self.tokens.ready_at(now) <= now else None
            if item is None:
                wake = self.agenda.wake_at(now)
                times = [] if wake is None else [max(wake, self.tokens.ready_at(now))]
                times += [coming[0][0]] if coming else []
                times += [self.hooks[0][0]] if self.hooks else []
                if not times:
                    break
                now = max(min(times), now + 1e-9)
                continue
            self.tokens.consume(now)
            self.requests += 1
            for one in [item, *self.others(item, now)]:
                if self.look(one, now) and refill:
                    refill -= 1
                    heappush(coming, (now, one.kind))
        return self.found
