"""Completion laws whose truth is known: what share still runs at each age, and dice that follow it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

from kling_async.scheduling.polling.inspection import optimal_next
from kling_async.scheduling.polling.plan import SurvivalCurve
from kling_async.scheduling.polling.survival import AGES

Dice = random.Random


@dataclass(frozen=True)
class Work:
    """A kind of work: how long its predictions take.

    Attributes:
        name: what it is called in the table.
        running: the share that still runs at an age.
        draw: one prediction's time.
        last: an age beyond which nothing that counts still runs.
        fine: how many ages the fine grid has.
    """

    name: str
    running: Callable[[float], float]
    draw: Callable[[Dice], float]
    last: float
    fine: int = 4000

    @cached_property
    def grid(self) -> tuple[list[float], list[float]]:
        """Ages, finer than any plan's, and the share running at each: half in even steps, half in even ratios."""
        even = {self.last * k / self.fine for k in range(1, self.fine + 1)}
        ratio = {self.last * 10 ** (-4 * (1 - k / self.fine)) for k in range(self.fine)}
        ages = [0.0, *sorted(even | ratio)]
        return ages, [1.0, *map(self.running, ages[1:])]

    @cached_property
    def mean(self) -> float:
        """Seconds a prediction takes on average."""
        steps = zip(pairwise(self.grid[0]), pairwise(self.grid[1]), strict=True)
        return math.fsum((b - a) * (s + t) / 2 for (a, b), (s, t) in steps)

    @cached_property
    def law(self) -> SurvivalCurve:
        """The truth on the grid that a learner would use."""
        return SurvivalCurve.of(AGES, [1.0, *map(self.running, AGES[1:])])

    @cache  # noqa: B019  works live as long as the program
    def least_cost(self, price: float) -> float:
        """Return price x looks + delay of the exact optimum on the fine grid."""
        ages, running = self.grid
        following, at, cost = optimal_next(ages, running, price), 0, -self.mean
        while at + 1 < len(ages) and running[at] > 0:
            cost += running[at] * (price + ages[following[at]] - ages[at])
            at = following[at]
        return cost

    def looks_and_delay(self, next_check: Callable[[float], float]) -> tuple[float, float]:
        """Return looks per prediction and mean delay of a rule that says the next age from the last, by the truth."""
        age, share, looks, area = 0.0, 1.0, 0.0, 0.0
        while share > 1e-9:
            check = next_check(age)
            looks += share
            area += share * (check - age)
            age, share = check, self.running(check)
        return looks, area - self.mean

    def fixed_delay(self, looks: float) -> float:
        """Return the mean delay of the fixed interval that looks so often per prediction."""
        low, high = self.mean / looks / 4, self.last
        for _ in range(60):
            gap = math.sqrt(low * high)
            found, _ = self.looks_and_delay(lambda age, gap=gap: age + gap)
            low, high = (gap, high) if found > looks else (low, gap)
        return self.looks_and_delay(lambda age: age + high)[1]


def tail(z: float) -> float:
    """Return how much of a standard normal lies above z."""
    return math.erfc(z / math.sqrt(2)) / 2


def lognormal(median: float, sigma: float, name: str = "lognormal") -> Work:
    """Make work whose log time is normal."""
    return Work(
        name,
        lambda age: tail(math.log(age / median) / sigma),
        lambda dice: median * math.exp(sigma * dice.gauss(0, 1)),
        median * math.exp(6 * sigma),
    )


def image() -> Work:
    """Make the image law of the facts: lognormal(9, 0.35), between 5 and 30 s; 9.8 s in the mean."""
    plain = lognormal(9, 0.35)
    first, last = plain.running(5), plain.running(30)

    def running(age: float) -> float:
        return (min(max(plain.running(age), last), first) - last) / (first - last)

    def draw(dice: Dice) -> float:
        while not 5 <= (time := plain.draw(dice)) <= 30:
            pass
        return time

    return Work("image", running, draw, 30)


def bimodal() -> Work:
    """Make the law of the facts with two humps: a fifth of lognormal(2, 0.3), the rest of lognormal(60, 0.3)."""
    fast, slow = lognormal(2, 0.3), lognormal(60, 0.3)

    def draw(dice: Dice) -> float:
        return (fast if dice.random() < 0.2 else slow).draw(dice)

    return Work("bimodal", lambda age: 0.2 * fast.running(age) + 0.8 * slow.running(age), draw, 600)


def heavy() -> Work:
    """Make the heavy tail of the facts: log-logistic of shape 2 and median 30, cut at an hour."""
    first = 1 / (1 + 120**2)

    def draw(dice: Dice) -> float:
        share = first + (1 - first) * (1 - dice.random())
        return 30 * math.sqrt(1 / share - 1)

    return Work(
        "heavy tail", lambda age: max(1 / (1 + (age / 30) ** 2) - first, 0) / (1 - first), draw, 3600, fine=20000
    )


VIDEO = lognormal(110, 0.5, "video")
IMAGE = image()
UNIFORM = Work("uniform +-20 %", lambda age: min(max((12 - age) / 4, 0), 1), lambda dice: 8 + 4 * dice.random(), 12)
BIMODAL, HEAVY = bimodal(), heavy()
SIX = (
    Work("normal", lambda age: tail((age - 60) / 12), lambda dice: max(dice.gauss(60, 12), 0.5), 150),
    Work(
        "gamma",
        lambda age: math.exp(-age / 10) * (1 + age / 10 + (age / 10) ** 2 / 2),
        lambda dice: dice.gammavariate(3, 10),
        400,
    ),
    Work(
        "Weibull",
        lambda age: math.exp(-((age / 60) ** 1.8)),
        lambda dice: dice.weibullvariate(60, 1.8),
        400,
    ),
    lognormal(110, 0.5),
    BIMODAL,
    HEAVY,
)
