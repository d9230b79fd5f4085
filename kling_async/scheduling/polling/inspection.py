"""The optimal inspection schedule for a survival curve: dynamic programming over the ages of a grid, in linear time.

Theory of operation. Polls at x0 = 0 < x1 < x2 ... of a prediction that still runs at age x with probability S(x) cost

    sum over k of S(x_k) * (price + x_{k+1} - x_k)

the area of a staircase above S, and `price` for the height of each of its steps. Steps between ages g of a grid are
arcs of a shortest path, G_i = min over j > i of S_i * (price + g_j - g_i) + G_j, and since S falls their cost is
Monge. So G_i is the lower hull of the lines G_j + g_j * s, asked at s = S_i. As i falls, slopes g_j fall and s only
grows: each line enters and leaves the hull once, and the exact optimum takes time proportional to the grid, whatever
the curve.

Wilber, J. Algorithms 9 (1988) 418: the concave least-weight subsequence problem revisited.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["optimal_next", "tail_gap"]


def optimal_next(ages: Sequence[float], survival: Sequence[float], price: float) -> list[int]:
    """Return, for each index of the grid, the index of the best next poll; the last one is its own.

    Args:
        ages: ascending, in seconds, the first is 0.
        survival: the share still running at each age, never rising.
        price: seconds of delay per poll, above 0.
    """
    last = len(ages) - 1
    following, cost = [last] * (last + 1), [0.0] * (last + 1)
    scale = ages[last]
    cost[last] = survival[last] * math.exp(tail_gap(scale, price) / scale) * scale
    hull, head = [last], 0
    for i in range(last - 1, -1, -1):
        share, age = survival[i], ages[i]
        j = hull[head]
        while head + 1 < len(hull) and cost[k := hull[head + 1]] + ages[k] * share <= cost[j] + ages[j] * share:
            head, j = head + 1, k
        following[i] = j
        here = cost[i] = share * (price + ages[j] - age) + cost[j]
        while head + 1 < len(hull):
            j, k = hull[-2], hull[-1]
            if (here - cost[j]) * (ages[j] - ages[k]) > (cost[k] - cost[j]) * (ages[j] - age):
                break
            hull.pop()
        hull.append(i)
    return following


def tail_gap(scale: float, price: float) -> float:
    """Return the gap between polls, in seconds, where predictions finish at a constant rate.

    The gap t solves e^(ht) - ht - 1 = h * price for the rate h = 1 / scale.
    """
    owed = price / scale
    x = math.sqrt(2.0 * owed) if owed < 1.0 else math.log1p(owed + math.log1p(owed))
    while True:
        step = (math.expm1(x) - x - owed) / math.expm1(x)
        x -= step
        if abs(step) <= 1e-9 * x:
            return x * scale
