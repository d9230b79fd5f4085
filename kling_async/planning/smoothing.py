"""The law of a kind of work, estimated from intervals of ages: expectation, maximisation, smoothing.

Theory of operation. A poll tells no completion time, only that it fell after the last look that said "not yet" and
before the first that said "finished": an interval of ages. One that is still running tells that its time lies beyond
its last look. Turnbull's EM finds the most likely law for such data: share each interval out over its bins in
proportion to the present law, add up, normalise, repeat. Blurring each round (EMS) and a prior worth a few predictions
keep it from spikes and from zeroes. All ages live on one logarithmic grid, 2 % apart, so that blurring is relative, as
waiting is.

A round costs one pass over the bins and one over the distinct intervals; prefix sums do the rest, also for the blur:
three running means in a row, which are a bell to the eye.

Turnbull, JRSS B 38 (1976) 290. Silverman et al., JRSS B 52 (1990) 271: EMS.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

__all__ = ["AGES", "BINS", "WIDTH", "as_prior", "edge_near", "estimate", "lognormal", "quantile", "survival"]

BINS: Final = 520
_FIRST, _LAST = 0.25, 7200.0
WIDTH: Final = math.log(_LAST / _FIRST) / (BINS - 2)
"""Width of a bin in log age. Wider ones cost more than 1 % of the optimum, narrower ones time."""
_CRUMBS: Final = 1e-6
"""What a prior spreads over all ages, so that nothing that happens was impossible."""
AGES: Final = (0.0, *(_FIRST * math.exp(WIDTH * k) for k in range(BINS - 1)))
"""Where bins begin, in seconds; bin k reaches from AGES[k] to AGES[k + 1], the last one to infinity."""


def edge_near(age: float) -> int:
    """Return the edge of a bin that is nearest to an age."""
    if age < _FIRST:
        return 0 if age < _FIRST / 2.0 else 1
    return min(round(math.log(age / _FIRST) / WIDTH) + 1, BINS - 1)


def lognormal(median: float, sigma: float) -> tuple[float, ...]:
    """Return the shares in the bins where the logarithm of the time is normal."""
    beyond = [1.0, *(math.erfc(math.log(age / median) / (sigma * math.sqrt(2.0))) / 2.0 for age in AGES[1:]), 0.0]
    return as_prior([s - t for s, t in pairwise(beyond)])


def as_prior(shares: Sequence[float]) -> tuple[float, ...]:
    """Return nearly these shares, but nowhere 0."""
    return tuple(share * (1.0 - _CRUMBS) + _CRUMBS / BINS for share in shares)


def survival(shares: Sequence[float]) -> tuple[float, ...]:
    """Return the share still running at each of `AGES`."""
    beyond = list(accumulate(reversed(shares)))
    whole = beyond[-1]
    return tuple(share / whole for share in reversed(beyond))


def quantile(shares: Sequence[float], level: float) -> float:
    """Return the edge, which may be a fraction, below which this part of the shares lies."""
    below = list(accumulate(shares))
    at = min(bisect_left(below, level * below[-1]), BINS - 1)
    return at + 1.0 - (below[at] - level * below[-1]) / max(shares[at], 1e-300)


def estimate(
    shares: Sequence[float],
    prior: Sequence[float],
    done: Mapping[tuple[int, int], float],
    running: Mapping[int, float],
    *,
    alpha: float,
    blur: float,
    rounds: int,
) -> tuple[float, ...]:
    """Return the shares of the bins after some rounds of EMS.

    Args:
        shares: where to start.
        prior: what is believed without data, adding up to 1, nowhere 0.
        done: how often the time fell between these two edges of bins.
        running: how many ran at this edge when last looked at; a fraction where each counts for less.
        alpha: how many predictions the prior counts for.
        blur: the standard deviation of the blur, in log age.
        rounds: how often to repeat.
    """
    spans = [(i, j, weight) for (i, j), weight in done.items()]
    ran = [0.0] * BINS
    for edge, weight in running.items():
        ran[edge] += weight
    beyond = [*list(accumulate(reversed(ran)))[-2::-1], 0.0]  # how many ran through the whole of each bin
    believed = list(reversed(list(accumulate(reversed(prior)))))
    boxes = _boxes(blur / WIDTH)
    for _ in range(rounds):
        below = [0.0, *accumulate(shares)]
        factor = [0.0] * (BINS + 1)
        for i, j, weight in spans:
            rate = weight / (below[j] - below[i])
            factor[i] += rate
            factor[j] -= rate
        ended = [share * rate for share, rate in zip(shares, accumulate(factor), strict=False)]
        at_risk = list(reversed(list(accumulate(reversed(ended)))))
        for half in boxes:
            ended, at_risk = _box(ended, half), _box(at_risk, half)
        # Where the running were last looked at is known to the bin. Blurred, a wave of them that was looked at together
        # would seem to have been seen alive beyond that, and the first to finish would push all the others' looks back.
        shares = _product_limit(
            [alpha * old + new for old, new in zip(prior, ended, strict=True)],
            [alpha * old + new + out for old, new, out in zip(believed, at_risk, beyond, strict=True)],
        )
    return tuple(shares)


def _product_limit(ended: Sequence[float], at_risk: Sequence[float]) -> list[float]:
    """Return the shares of the bins from how many ended in each of those that got there (Kaplan, Meier)."""
    shares, left = list[float](), 1.0
    for end, came in zip(ended, at_risk, strict=True):
        hazard = min(end / came, 1.0)
        shares.append(left * hazard)
        left *= 1.0 - hazard
    shares[-1] += left
    return shares


def _boxes(deviation: float) -> list[int]:
    """Return the half widths of three running means that blur like a bell of this standard deviation, in bins."""
    wanted, boxes = deviation * deviation, list[int]()
    for left in (3, 2, 1):
        half = round((math.sqrt(1.0 + 12.0 * wanted / left) - 1.0) / 2.0)
        boxes.append(half)
        wanted = max(wanted - half * (half + 1) / 3.0, 0.0)
    return boxes


def _box(values: Sequence[float], half: int) -> list[float]:
    if not half:
        return list(values)
    below = list(accumulate(values, initial=0.0))
    first, last = values[0], values[-1]
    padded = [-first * k for k in range(half, 0, -1)] + below + [below[-1] + last * k for k in range(1, half + 1)]
    size = 2 * half + 1
    return [(high - low) / size for low, high in zip(padded, padded[size:], strict=False)]
