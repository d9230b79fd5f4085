"""What a survival curve says of the seconds that are left."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["expected_seconds"]


def expected_seconds(ages: Sequence[float], running: Sequence[float], *, age: float = 0.0) -> float:
    """Return for how many more seconds a prediction runs that is of an age, in expectation.

    It is the area under the curve beyond the age, over the share that is left there. 0 if none is.

    Args:
        ages: in seconds, ascending, the first of them 0.
        running: the share still running at each, as `DurationModel.survival` returns both.
        age: of the prediction, in seconds since its acceptance.
    """
    at = bisect_right(ages, age) - 1
    if at >= len(ages) - 1 or running[at] <= 0.0:
        return 0.0
    ends, shares = [age, *ages[at + 1 :]], running[at:]
    parts = zip(pairwise(ends), pairwise(shares), strict=False)
    area = sum((end - start) * (before + after) / 2.0 for (start, end), (before, after) in parts)
    return area / running[at]
