"""Estimate the distribution of durations from intervals of ages: expectation, maximisation, smoothing (EMS).

Theory of operation. A poll shows no completion time, only that it fell after the last poll that said "not yet" and
before the first that said "finished": an interval of ages. A prediction that is still running is right-censored: its
completion lies beyond its last poll. Turnbull's EM finds the most likely distribution for such data: share each
interval out over its bins in proportion to the present distribution, add up, normalise, repeat. Smoothing each round
and a prior that counts for a few predictions keep it from spikes and from zeroes. All ages lie on one logarithmic grid,
2 % apart, so that smoothing is relative, as waiting is.

A round costs one pass over the bins and one over the distinct intervals; prefix sums do the rest, also for the blur:
three moving averages in a row, close to a Gaussian.

Turnbull, JRSS B 38 (1976) 290. Silverman et al., JRSS B 52 (1990) 271: EMS.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

__all__ = [
    "AGES",
    "BINS",
    "WIDTH",
    "as_prior",
    "edge_near",
    "estimate",
    "lognormal",
    "quantiles",
    "shortest_half",
    "survival",
]

BINS: Final = 520
_FIRST, _LAST = 0.25, 7200.0
WIDTH: Final = math.log(_LAST / _FIRST) / (BINS - 2)
"""Width of a bin in log age. Wider ones cost more than 1 % of the optimum, narrower ones time."""
_LEVELS: Final = 20
"""Parts of the shares between which the shortest half may begin and end."""
_PRIOR_FLOOR: Final = 1e-6
"""Share that a prior spreads over all ages, so that no observation is impossible."""
AGES: Final = (0.0, *(_FIRST * math.exp(WIDTH * k) for k in range(BINS - 1)))
"""Lower edges of the bins, in seconds; bin k reaches from AGES[k] to AGES[k + 1], the last one to infinity."""


def edge_near(age: float) -> int:
    """Return the index of the edge nearest to an age in seconds."""
    if age < _FIRST:
        return 0 if age < _FIRST / 2.0 else 1
    return min(round(math.log(age / _FIRST) / WIDTH) + 1, BINS - 1)


def lognormal(median: float, sigma: float) -> tuple[float, ...]:
    """Return the shares of the bins for a log-normal duration.

    Args:
        median: in seconds.
        sigma: the standard deviation of the logarithm.
    """
    beyond = [1.0, *(math.erfc(math.log(age / median) / (sigma * math.sqrt(2.0))) / 2.0 for age in AGES[1:]), 0.0]
    return as_prior([s - t for s, t in pairwise(beyond)])


def as_prior(shares: Sequence[float]) -> tuple[float, ...]:
    """Return these shares mixed with a small uniform share, so that none is 0."""
    return tuple(share * (1.0 - _PRIOR_FLOOR) + _PRIOR_FLOOR / BINS for share in shares)


def survival(shares: Sequence[float]) -> tuple[float, ...]:
    """Return the share still running at each of `AGES`."""
    beyond = list(accumulate(reversed(shares)))
    total = beyond[-1]
    return tuple(share / total for share in reversed(beyond))


def quantiles(shares: Sequence[float], levels: Iterable[float]) -> list[float]:
    """Return the edges, interpolated between indices, below which these parts of the shares lie."""
    below, edges = list(accumulate(shares)), list[float]()
    for level in levels:
        at = min(bisect_left(below, level * below[-1]), BINS - 1)
        edges.append(at + 1.0 - (below[at] - level * below[-1]) / max(shares[at], 1e-300))
    return edges


def shortest_half(shares: Sequence[float]) -> float:
    """Return the number of bins of the shortest interval that holds half of the shares."""
    edges = quantiles(shares, (step / _LEVELS for step in range(1, _LEVELS)))
    return min(high - low for low, high in zip(edges, edges[_LEVELS // 2 :], strict=False))


def estimate(
    shares: Sequence[float],
    prior: Sequence[float],
    intervals: Mapping[tuple[int, int], float],
    censored: Mapping[int, float],
    *,
    alpha: float,
    blur: float,
    rounds: int,
) -> tuple[float, ...]:
    """Return the shares of the bins after some rounds of EMS.

    Args:
        shares: the distribution to start from.
        prior: the distribution without data, adding up to 1, nowhere 0.
        intervals: the number of completions between two edges.
        censored: the number of predictions that ran at an edge when last polled; a fraction where each counts for less.
        alpha: the number of predictions that the prior counts for.
        blur: the standard deviation of the smoothing, in log age.
        rounds: the number of iterations.
    """
    spans = [(i, j, weight) for (i, j), weight in intervals.items()]
    ran = [0.0] * BINS
    for edge, weight in censored.items():
        ran[edge] += weight
    survived = [*list(accumulate(reversed(ran)))[-2::-1], 0.0]  # censored predictions that outlived each bin
    prior_at_risk = list(reversed(list(accumulate(reversed(prior)))))
    widths = _moving_average_widths(blur / WIDTH)
    for _ in range(rounds):
        below = [0.0, *accumulate(shares)]
        factor = [0.0] * (BINS + 1)
        for i, j, weight in spans:
            rate = weight / (below[j] - below[i])
            factor[i] += rate
            factor[j] -= rate
        ended = [share * rate for share, rate in zip(shares, accumulate(factor), strict=False)]
        at_risk = list(reversed(list(accumulate(reversed(ended)))))
        for half in widths:
            ended, at_risk = _moving_average(ended, half), _moving_average(at_risk, half)
        # The last poll of a censored prediction is known to the bin. If it were blurred, a wave of predictions polled
        # together would seem to have been seen running later, and the first to finish would delay all other polls.
        shares = _product_limit(
            [alpha * old + new for old, new in zip(prior, ended, strict=True)],
            [alpha * old + new + out for old, new, out in zip(prior_at_risk, at_risk, survived, strict=True)],
        )
    return tuple(shares)


def _product_limit(ended: Sequence[float], at_risk: Sequence[float]) -> list[float]:
    """Return the shares of the bins from the number that ended in each and the number at risk there (Kaplan, Meier)."""
    shares, left = list[float](), 1.0
    for deaths, exposed in zip(ended, at_risk, strict=True):
        hazard = min(deaths / exposed, 1.0)
        shares.append(left * hazard)
        left *= 1.0 - hazard
    shares[-1] += left
    return shares


def _moving_average_widths(deviation: float) -> list[int]:
    """Return the half widths of three moving averages that smooth like a Gaussian of this deviation, all in bins."""
    variance, widths = deviation * deviation, list[int]()
    for left in (3, 2, 1):
        half = round((math.sqrt(1.0 + 12.0 * variance / left) - 1.0) / 2.0)
        widths.append(half)
        variance = max(variance - half * (half + 1) / 3.0, 0.0)
    return widths


def _moving_average(values: Sequence[float], half: int) -> list[float]:
    if not half:
        return list(values)
    below = list(accumulate(values, initial=0.0))
    first, last = values[0], values[-1]
    padded = [-first * k for k in range(half, 0, -1)] + below + [below[-1] + last * k for k in range(1, half + 1)]
    size = 2 * half + 1
    return [(high - low) / size for low, high in zip(padded, padded[size:], strict=False)]
