"""The observations of one kind of work, and the distribution of durations fitted to them.

Theory of operation. A window keeps the intervals, as pairs of edges of the grid of `survival`, in which completions
fell; equal ones are counted together, so that the cost of a fit goes with the distinct intervals, not with the
predictions. The running ones are counted by the edge at their last poll. They are weighted like the cohort they belong
to: of all that finished the window holds `len(window) / seen`, so each running one counts for as much. At full weight
they would make the distribution too slow forever; at none a young batch would look too fast, since its quickest
predictions finish first.

The distribution is refitted at completions 1, 2, 3 and then each tenth more, but after 50 at the latest.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, TypeAlias

from .survival import AGES, BINS, WIDTH, edge_near, estimate, shortest_half

__all__ = ["SAVED", "History", "Shares", "fit"]

Shares: TypeAlias = tuple[float, ...]
"""The probability that a prediction finishes in each bin of the grid."""

_MIN_WINDOW: Final = 500
"""Completions in the window at least: a changed provider shows after so many, and fewer blur the distribution."""
_MAX_WINDOW: Final = 1 << 19
"""Completions in the window at most: bounds memory, to eight bytes for each. What a fit takes goes with the distinct
intervals, of which there are some thousands at most."""
SAVED: Final = _MIN_WINDOW
"""Completions per kind of work that are saved for later runs."""
_WINDOW_PER_RUNNING: Final = 4
"""Completions in the window per running prediction; polls come in bursts, and a smaller one would see a single burst.
With 10,000 in flight, and fewer than one to a prediction, results are found a tenth later."""
_MAX_DROPPED: Final = 4
"""Completions dropped from the window at each new one at most, so that none takes long when fewer are running."""
_REFIT: Final = 50
"""Completions between two fits at most; with more than a thousand in flight, a twentieth of them."""
_GROWTH: Final = 1.25
"""Early on, completions at the next fit per completion at this one: each fit costs the CPU of some ten polls."""
_ROUNDS: Final = 5
"""Rounds of EMS in a fit; each starts where the last one ended."""
_NORMAL_HALF: Final = 1.349
"""Standard deviations in the shortest half of a normal distribution."""
_GAIN: Final = 0.2
"""The share of a report's error that the shift of reports takes over, so that a few odd ones do not move it far."""
_MIN_BLUR, _MAX_BLUR = 0.01, 0.35
"""Standard deviations of the smoothing, in log age: half a bin, and a third of the width of the guesses. Between them
it is the spread of the distribution / n^0.3; smoothing that ignores the spread costs 5 % where that is as narrow as
+-20 %. The spread is that of the shortest half: with two narrow humps far apart the quartiles would take the distance
for the spread, which costs 9 % of the predictions 50 to 200, and 4 % of later ones."""


class History:
    """The observations of one kind of work.

    Args:
        prior: the distribution without observations.
        alpha: the number of predictions that the prior counts for.

    Attributes:
        shares: the probability that a prediction finishes in each bin.
        window: the pairs of edges between which completions fell, the latest last.
        reported: whether the provider reports how long the work ran.
    """

    def __init__(self, prior: Shares, *, alpha: float) -> None:
        self._prior, self._alpha = prior, alpha
        self.shares = prior
        self.window = deque[tuple[int, int]]()
        self.reported = False
        self._intervals = Counter[tuple[int, int]]()
        self._same: dict[tuple[int, int], tuple[int, int]] = {}
        """Each distinct interval once, for the window to share."""
        self._running = [0] * BINS
        self._in_flight = 0
        self._seen = self._fresh = self._fit_at = 0
        self._shift = 0.0

    def set_prior(self, prior: Shares, *, alpha: float) -> None:
        """Replace the prior; it shows with the next fit, or at once where nothing was observed."""
        self._prior, self._alpha = prior, alpha
        if not self._seen:
            self.shares = prior

    @property
    def fresh(self) -> int:
        """The number of completions since this object was made."""
        return self._fresh

    def observe_start(self) -> None:
        self._in_flight += 1

    def observe_running(self, before: float, age: float) -> None:
        self._running[edge_near(before)] -= 1
        self._running[edge_near(age)] += 1

    def censor(self, age: float) -> None:
        self._in_flight -= 1
        self._running[edge_near(age)] -= 1

    def observe_completion(self, after: float, by: float, ran_for: float | None) -> bool:
        """Record a completion; return whether the distribution is due to be refitted."""
        self.censor(after)
        low = edge_near(after)
        high = max(edge_near(by), low + 1)
        if ran_for is not None and 0.0 < ran_for < math.inf:
            self.reported = True
            ended = ran_for + self._shift
            if after < ended <= by:
                low = bisect_right(AGES, ended) - 1
                high = low + 1
            else:
                self._shift += _GAIN * (min(max(ended, after), by) - ended)
        self.append(low, high)
        self._fresh += 1
        return self._fresh >= self._fit_at

    def append(self, low: int, high: int) -> None:
        """Add an interval to the window, and drop the oldest beyond its size."""
        self._seen += 1
        interval = self._same.setdefault((low, high), (low, high))
        self.window.append(interval)
        self._intervals[interval] += 1
        size = min(max(_MIN_WINDOW, _WINDOW_PER_RUNNING * self._in_flight), _MAX_WINDOW)
        for _ in range(min(len(self.window) - size, _MAX_DROPPED)):
            oldest = self.window.popleft()
            self._intervals[oldest] -= 1
            if not self._intervals[oldest]:
                del self._intervals[oldest], self._same[oldest]

    def fit(self) -> None:
        """Fit the distribution to the observations."""
        gap = max(_REFIT, self._in_flight // 20)
        self._fit_at = max(self._fresh + 1, min(int(self._fresh * _GROWTH), self._fresh + gap))
        self.shares = fit([self], self._prior, alpha=self._alpha, start=self.shares)

    def accumulate(self, intervals: Counter[tuple[int, int]], censored: dict[int, float]) -> None:
        """Add the observations to these sums."""
        intervals.update(self._intervals)
        share = len(self.window) / self._seen
        for edge, count in enumerate(self._running):
            if edge and count > 0:
                censored[edge] = censored.get(edge, 0.0) + count * share


def fit(histories: Iterable[History], prior: Shares, *, alpha: float, start: Shares) -> Shares:
    """Return the distribution that follows from a prior and the observations of one or more kinds of work.

    Args:
        histories: each must have a completion.
        prior: the distribution without observations.
        alpha: the number of predictions that the prior counts for.
        start: the distribution to start from; the nearer, the better.
    """
    intervals, censored = Counter[tuple[int, int]](), dict[int, float]()
    for history in histories:
        history.accumulate(intervals, censored)
    spread = shortest_half(start) * WIDTH / _NORMAL_HALF
    blur = min(max(min(spread, 1.0) * intervals.total() ** -0.3, _MIN_BLUR), _MAX_BLUR)
    return estimate(start, prior, intervals, censored, alpha=alpha, blur=blur, rounds=_ROUNDS)
