"""When to poll a prediction next: the cheapest checks for a survival curve at a price.

Theory of operation. A prediction finishes at age T with P(T > x) = S(x). Of the polls at x0 = 0 < x1 < x2 ... the next
one after T finds it finished. One poll costs `price`, in seconds of delay, so on average

    price * polls + delay = sum over k of S(x_k) * (price + x_{k+1} - x_k)  -  E[T]

which `inspection` minimises exactly for any curve S, two humps and heavy tails included. The best next poll depends on
the age alone, so `PollPlan` keeps one table for each price of a geometric series: from each age of the curve, the next.
The grid behind a table is finer where polls are dense (Keller: their density is the root of hazard / (2 * price)),
which leaves about 0.1 % to gain; between ages and between prices, whose best checks rise with both (Topkis), it
interpolates.

A `PollPolicy` makes one `PollPlan` of each survival curve of the `DurationModel` and asks `next_check(age, price /
priority)`, with the shadow price of its poll budget. Ages are seconds since the submission was accepted.

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

from ...types.errors import InputError
from .inspection import optimal_next, tail_gap

__all__ = ["SHORTEST_GAP", "PollPlan", "SurvivalCurve", "optimal_checks"]

SHORTEST_GAP: Final = 0.05
"""Seconds between two polls of the same prediction at least: about one round trip, so that polls do not overlap."""
_NEGLIGIBLE: Final = 1e-4
"""A list of checks may end where a smaller share of the predictions than this still runs."""
_REFINE_ABOVE: Final = 1e-3
"""Below this survival the grid is not refined: the cost there does not show in the mean."""
_MIN_PRICE, _MAX_PRICE, _PRICES = 0.001, 400.0, 54
"""The range and the number of tabulated prices, in seconds: 28 % apart, from one where a job of half a second is polled
ten times to one where a video is polled once. Gaps go with the root of the price, so between two prices they are almost
linear."""
_STEP: Final = math.log(_MAX_PRICE / _MIN_PRICE) / (_PRICES - 1)
_LOG_MIN_PRICE: Final = math.log(_MIN_PRICE)
_FINENESS: Final = 6.0
"""Grid points between two polls: a poll that is off by a twelfth of its gap costs about 0.2 %."""
_MAX_PARTS: Final = 24
"""Parts of one interval of the curve at most, so that no curve makes a table expensive."""


@frozen
class SurvivalCurve:
    """How long predictions of one kind take: the share still running at each age.

    Between two ages the share falls linearly. Beyond the last it falls exponentially, to 1/e in as many
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
    def of(cls, ages: Iterable[float], survival: Iterable[float]) -> SurvivalCurve:
        """Make a curve from ages in seconds, ascending, and the share still running at each, in [0, 1], never rising.

        Age 0 is added where it is missing. The share there is set to 1: no poll has found anything finished yet.

        Raises:
            InputError: the numbers are not a survival curve.
        """
        xs, shares = [float(age) for age in ages], [float(share) for share in survival]
        _check(xs, shares)
        if xs[0] > 0.0:
            xs, shares = [0.0, *xs], [1.0, *shares]
        return cls(tuple(xs), (1.0, *shares[1:]))

    def survival_at(self, age: float) -> float:
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
        raise InputError("A survival curve needs as many shares as ages, and an age above 0.")
    if not ages[0] >= 0.0 or not all(a < b for a, b in pairwise(ages)):
        raise InputError("The ages of a survival curve must not be negative, and each must be above the one before.")
    if not survival[0] <= 1.0 or not survival[-1] >= 0.0 or not all(s >= t for s, t in pairwise(survival)):
        raise InputError(
            "The shares of a survival curve must lie between 0 and 1, and none may be above the one before."
        )


def optimal_checks(curve: SurvivalCurve, *, price: float) -> tuple[float, ...]:
    """Return the ages, ascending, at which to poll a prediction: the exact optimum among the ages of the curve.

    The list ends where no prediction is left: at survival 0, or beyond the last age where 1 in 10,000 still runs.

    Args:
        curve: how long predictions take.
        price: seconds of delay per poll, above 0.

    Raises:
        InputError: the price is not above 0.
    """
    if not 0.0 < price < math.inf:
        raise InputError(f"The price of a poll must be seconds above 0, not {price!r}.")
    following = optimal_next(curve.ages, curve.survival, price)
    at, checks = 0, list[float]()
    while curve.survival[at] > 0.0 and at + 1 < len(curve.ages):
        at = following[at]
        checks.append(curve.ages[at])
    gap = tail_gap(curve.ages[-1], price)
    while curve.survival_at(checks[-1]) > _NEGLIGIBLE:
        checks.append(checks[-1] + gap)
    return tuple(checks)


class PollPlan:
    """The best next polls of predictions with one survival curve, at every age and price.

    Args:
        curve: how long they take.
    """

    def __init__(self, curve: SurvivalCurve) -> None:
        self.curve = curve
        self._rows: list[list[float]] = [[]] * _PRICES
        self._ages = curve.ages
        self._widths = [b - a for a, b in pairwise(curve.ages)]
        self._price, self._price_index, self._share = 0.0, 0, 0.0

    def next_check(self, age: float, price: float) -> float:
        """Return the age of the next poll of a prediction that was not finished at `age`.

        Args:
            age: the age at the last poll, 0 if there was none.
            price: seconds of delay per poll: the shadow price divided by the prediction's priority.
        """
        if price != self._price:
            self._select_price(price)
        low, high, share = self._rows[self._price_index], self._rows[self._price_index + 1], self._share
        ages = self._ages
        i = bisect_right(ages, age) - 1
        if i < len(self._widths):
            within = (age - ages[i]) / self._widths[i]
            check = low[i] + within * (low[i + 1] - low[i])
            check += share * (high[i] + within * (high[i + 1] - high[i]) - check)
        else:
            check = age + low[i] - ages[i] + share * (high[i] - low[i])
        return max(check, age + SHORTEST_GAP)

    def _select_price(self, price: float) -> None:
        """Make the tables of the two tabulated prices around a price; mostly it is the price of the last call."""
        index = (math.log(price) - _LOG_MIN_PRICE) / _STEP if price > _MIN_PRICE else 0.0
        at = min(int(index), _PRICES - 2)
        for each in (at, at + 1):
            self._rows[each] = self._rows[each] or self._row(each)
        self._price, self._price_index, self._share = price, at, min(index - at, 1.0)

    def _row(self, index: int) -> list[float]:
        """Return, for each age of the curve, the age of the best next poll at one tabulated price."""
        price = _MIN_PRICE * math.exp(_STEP * index)
        ages, survival, indices = _refined(self.curve, price)
        following = optimal_next(ages, survival, price)
        row = [ages[following[i]] for i in indices]
        for i in range(len(row) - 1, 0, -1):
            # The curve has ended here and the prediction has not: assume that it finishes at a constant rate.
            if following[indices[i]] > indices[i] and survival[indices[i]] > 0.0:
                break
            row[i] = ages[indices[i]] + tail_gap(ages[indices[i]], price)
        return row


def _refined(curve: SurvivalCurve, price: float) -> tuple[list[float], list[float], list[int]]:
    """Return ages and survival on a grid finer where polls are dense, and the indices of the curve's ages in it."""
    ages, survival, indices = [0.0], [1.0], [0]
    for (a, b), (s, t) in zip(pairwise(curve.ages), pairwise(curve.survival), strict=True):
        if s > t and s > _REFINE_ABOVE:
            polls = math.sqrt((b - a) * (s - t) / ((s + t) * price))
            parts = min(int(_FINENESS * polls) + 1, _MAX_PARTS)
            for part in range(1, parts):
                ages.append(a + (b - a) * part / parts)
                survival.append(s + (t - s) * part / parts)
        ages.append(b)
        survival.append(t)
        indices.append(len(ages) - 1)
    return ages, survival, indices
