"""When to look at a prediction again: the cheapest checks for a law at a price.

Theory of operation. A prediction finishes at age T with P(T > x) = S(x). Looks at x0 = 0 < x1 < x2 ... find it, the
next one after T. One look costs `price`, in seconds of delay that it is worth, so in the mean

    price * looks + delay = sum over k of S(x_k) * (price + x_{k+1} - x_k)  -  E[T]

which `staircase` minimises exactly for any curve S, two humps and heavy tails included. The best next look depends on
the age alone, so `Plan` keeps one table for each price of a ladder: from each age of the law, the next. The grid
behind a table is finer where looks stand close together (Keller: their density is the root of hazard / (2 * price)),
which leaves about 0.1 % to gain; between ages and between prices, whose best checks rise with both (Topkis), it
interpolates.

An engine makes one `Plan` of each law that the learner hands out (`durations`) and asks `next_check(age, price /
weight)`, with the price of its poll budget (`market`). Ages are seconds since the submission was accepted.

Barlow, Hunter, Proschan, J. SIAM 11 (1963) 1078: optimum checking procedures. Keller, Management Science 21 (1974)
256.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from attrs import field, frozen

from ..errors import InputError
from .staircase import best_steps, tail_gap

__all__ = ["SHORTEST_GAP", "Law", "Plan", "optimal_checks"]

SHORTEST_GAP: Final = 0.05
"""Seconds between two looks at the same prediction at least: about one round trip, so that looks do not overlap."""
_DREGS: Final = 1e-4
"""A list of checks may end where fewer than this share of the predictions still run."""
_MAIN: Final = 1e-3
"""Below this survival the grid is not refined: what is paid there does not show in the mean."""
_CHEAPEST, _DEAREST, _RUNGS = 0.001, 400.0, 54
"""The ladder of prices in seconds: rungs 28 % apart, from where a job of half a second is looked at ten times to where
a video is looked at once. Gaps go with the root of the price, so between rungs they are almost straight lines."""
_STEP: Final = math.log(_DEAREST / _CHEAPEST) / (_RUNGS - 1)
_FINENESS: Final = 6.0
"""Grid points between two looks: a look that is off by a twelfth of its gap costs about 0.2 %."""
_FINEST: Final = 24
"""Parts of one bin of the law at most, so that no law makes a row dear."""


@frozen
class Law:
    """How long predictions of one kind take: the share still running at each age.

    Between two ages the share falls in a straight line. Beyond the last it falls exponentially, to 1/e in as many
    seconds as the last age has.

    Attributes:
        ages: ascending, in seconds, the first is 0.
        survival: the share still running, in [0, 1], never rising, the first is 1.
        mean: seconds a prediction takes on average.
    """

    ages: tuple[float, ...]
    survival: tuple[float, ...]
    mean: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        _check(self.ages, self.survival)
        steps = zip(pairwise(self.ages), pairwise(self.survival), strict=True)
        area = math.fsum((b - a) * (s + t) / 2.0 for (a, b), (s, t) in steps)
        object.__setattr__(self, "mean", area + self.survival[-1] * self.ages[-1])

    @classmethod
    def of(cls, ages: Iterable[float], survival: Iterable[float]) -> Law:
        """Make a law from ages in seconds, ascending, and the share still running at each, in [0, 1] and never rising.

        Age 0 is added where it is missing. Nothing is finished at age 0: whoever asks then has not looked yet.

        Raises:
            InputError: the numbers are no such law.
        """
        told, shares = [float(age) for age in ages], [float(share) for share in survival]
        _check(told, shares)
        if told[0] > 0.0:
            told, shares = [0.0, *told], [1.0, *shares]
        return cls(tuple(told), (1.0, *shares[1:]))

    def running(self, age: float) -> float:
        """Return the share still running at an age."""
        last = self.ages[-1]
        if age >= last:
            return self.survival[-1] * math.exp(1.0 - age / last)
        if age <= 0.0:
            return 1.0
        at = bisect_right(self.ages, age)
        low, high, before, after = self.ages[at - 1], self.ages[at], self.survival[at - 1], self.survival[at]
        return before + (after - before) * (age - low) / (high - low)


def _check(ages: Sequence[float], survival: Sequence[float]) -> None:
    if len(ages) != len(survival) or not ages or not 0.0 < ages[-1] < math.inf:
        raise InputError("A law needs as many shares as ages, and an age above 0.")
    if not ages[0] >= 0.0 or not all(a < b for a, b in pairwise(ages)):
        raise InputError("The ages of a law must not be negative, and each must be above the one before.")
    if not survival[0] <= 1.0 or not survival[-1] >= 0.0 or not all(s >= t for s, t in pairwise(survival)):
        raise InputError("The shares of a law must lie between 0 and 1, and none may be above the one before.")


def optimal_checks(law: Law, *, price: float) -> tuple[float, ...]:
    """Return the ages, ascending, at which to look at a prediction: the exact optimum among the ages of the law.

    The list ends where nothing is left to be found: at survival 0, or beyond the last age where 1 in 10,000 still runs.

    Args:
        law: how long predictions take.
        price: the seconds of delay that one look is worth, above 0.

    Raises:
        InputError: the price is not above 0.
    """
    if not 0.0 < price < math.inf:
        raise InputError(f"The price of a look must be seconds above 0, not {price!r}.")
    following = best_steps(law.ages, law.survival, price)
    at, checks = 0, list[float]()
    while law.survival[at] > 0.0 and at + 1 < len(law.ages):
        at = following[at]
        checks.append(law.ages[at])
    gap = tail_gap(law.ages[-1], price)
    while law.running(checks[-1]) > _DREGS:
        checks.append(checks[-1] + gap)
    return tuple(checks)


class Plan:
    """The best next looks at predictions of one law, at every age and price.

    Args:
        law: how long they take.
    """

    def __init__(self, law: Law) -> None:
        self.law = law
        self._rows: list[list[float]] = [[]] * _RUNGS
        self._ages = law.ages
        self._widths = [b - a for a, b in pairwise(law.ages)]
        self._price, self._rung, self._share = 0.0, 0, 0.0

    def next_check(self, age: float, price: float) -> float:
        """Return the age at which to look again at a prediction that was not finished at `age`.

        Args:
            age: the age at the last look, 0 if there was none.
            price: the seconds of delay that one look is worth: the market's, divided by the prediction's weight.
        """
        if price != self._price:
            self._climb(price)
        low, high, share = self._rows[self._rung], self._rows[self._rung + 1], self._share
        ages = self._ages
        i = bisect_right(ages, age) - 1
        if i < len(self._widths):
            within = (age - ages[i]) / self._widths[i]
            check = low[i] + within * (low[i + 1] - low[i])
            check += share * (high[i] + within * (high[i + 1] - high[i]) - check)
        else:
            check = age + low[i] - ages[i] + share * (high[i] - low[i])
        return max(check, age + SHORTEST_GAP)

    def _climb(self, price: float) -> None:
        """Stand between the two rungs around a price; mostly it is that of the last time."""
        rung = (math.log(price) - _LOWEST) / _STEP if price > _CHEAPEST else 0.0
        at = min(int(rung), _RUNGS - 2)
        for each in (at, at + 1):
            self._rows[each] = self._rows[each] or self._row(each)
        self._price, self._rung, self._share = price, at, min(rung - at, 1.0)

    def _row(self, rung: int) -> list[float]:
        price = _CHEAPEST * math.exp(_STEP * rung)
        ages, survival, places = _refined(self.law, price)
        following = best_steps(ages, survival, price)
        row = [ages[following[place]] for place in places]
        for i in range(len(row) - 1, 0, -1):
            # The law is over here and the prediction is not: look as at what finishes at a constant rate.
            if following[places[i]] > places[i] and survival[places[i]] > 0.0:
                break
            row[i] = ages[places[i]] + tail_gap(ages[places[i]], price)
        return row


_LOWEST: Final = math.log(_CHEAPEST)


def _refined(law: Law, price: float) -> tuple[list[float], list[float], list[int]]:
    """Return ages and survival on a grid finer where looks are dense, and the places of the law's ages in it."""
    ages, survival, places = [0.0], [1.0], [0]
    for (a, b), (s, t) in zip(pairwise(law.ages), pairwise(law.survival), strict=True):
        if s > t and s > _MAIN:
            looks = math.sqrt((b - a) * (s - t) / ((s + t) * price))
            parts = min(int(_FINENESS * looks) + 1, _FINEST)
            for part in range(1, parts):
                ages.append(a + (b - a) * part / parts)
                survival.append(s + (t - s) * part / parts)
        ages.append(b)
        survival.append(t)
        places.append(len(ages) - 1)
    return ages, survival, places
