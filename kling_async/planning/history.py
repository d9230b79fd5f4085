"""What was seen of one kind of work, and the law that follows from it.

Theory of operation. A window keeps the intervals, as pairs of edges of the grid of `smoothing`, in which completions
fell; equal ones are counted together, so that a fit costs by distinct intervals, not by predictions. The running ones
are counted by the edge at their last look. They count like the cohort they belong to: of all that finished the window
holds `len(window) / seen`, so each running one weighs as much. At full weight they would make the law too slow for
ever, at none a young batch would look too fast: the first to finish are the fast ones.

The law is fitted anew at completions 1, 2, 3 and then each tenth more, but after 50 at the latest.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, TypeAlias

from .smoothing import AGES, BINS, WIDTH, edge_near, estimate, quantile

__all__ = ["SAVED", "History", "Shares", "fit"]

Shares: TypeAlias = tuple[float, ...]
"""How probable it is that a prediction ends in each bin of the grid."""

_SHORTEST: Final = 500
"""Completions in the window at least: a changed provider is believed after so many, and fewer blur the law."""
_LONGEST: Final = 8192
"""Completions in the window at most: bounds memory and the time of a fit."""
SAVED: Final = _SHORTEST
"""Completions of one kind of work that outlive the run."""
_PER_RUNNING: Final = 4
"""The window is so many times what is in flight; looks come in bursts, and a smaller one would see a single burst."""
_REFIT: Final = 50
"""Completions between two fits at most; with more than a thousand in flight, a twentieth of them."""
_GROWTH: Final = 1.25
"""Early on, completions after the next fit over those at this one: each fit costs the CPU of some ten polls."""
_ROUNDS: Final = 5
"""Rounds of EMS in a fit; each starts where the last one ended."""
_QUARTILES: Final = 1.349
"""Standard deviations between the quartiles of a bell."""
_EASE: Final = 0.2
"""How much of a report's error the shift of reports takes over, so that a few odd ones do not move it far."""
_LEAST_BLUR, _MOST_BLUR = 0.01, 0.35
"""Standard deviations of the blur, in log age: half a bin, and a third of what the guesses are wide. Between them it is
the spread of the law / n^0.3; a blur that does not know the spread costs 5 % on laws as narrow as +-20 %."""


class History:
    """What was seen of one kind of work.

    Args:
        prior: what is believed before anything was seen.
        alpha: how many predictions that counts for.

    Attributes:
        shares: how probable it is that a prediction ends in each bin.
        window: between which edges completions fell, the latest last.
        reported: whether the provider tells how long the work ran.
    """

    def __init__(self, prior: Shares, *, alpha: float) -> None:
        self._prior, self._alpha = prior, alpha
        self.shares = prior
        self.window = deque[tuple[int, int]]()
        self.reported = False
        self._done = Counter[tuple[int, int]]()
        self._running = [0] * BINS
        self._in_flight = 0
        self._seen = self._fresh = self._fit_at = 0
        self._shift = 0.0

    def believe(self, prior: Shares, *, alpha: float) -> None:
        """Take another prior; it shows with the next fit, or at once where nothing was seen."""
        self._prior, self._alpha = prior, alpha
        if not self._seen:
            self.shares = prior

    @property
    def fresh(self) -> int:
        """How many have finished since this object was made."""
        return self._fresh

    def started(self) -> None:
        self._in_flight += 1

    def not_yet(self, before: float, age: float) -> None:
        self._running[edge_near(before)] -= 1
        self._running[edge_near(age)] += 1

    def withdrawn(self, age: float) -> None:
        self._in_flight -= 1
        self._running[edge_near(age)] -= 1

    def finished(self, after: float, by: float, ran_for: float | None) -> bool:
        """Note a completion; return whether the law is due to be fitted anew."""
        self.withdrawn(after)
        low = edge_near(after)
        high = max(edge_near(by), low + 1)
        if ran_for is not None and 0.0 < ran_for < math.inf:
            self.reported = True
            ended = ran_for + self._shift
            if after < ended <= by:
                low = bisect_right(AGES, ended) - 1
                high = low + 1
            else:
                self._shift += _EASE * (min(max(ended, after), by) - ended)
        self.keep(low, high)
        self._fresh += 1
        return self._fresh >= self._fit_at

    def keep(self, low: int, high: int) -> None:
        """Put an interval into the window, and drop what has become too old."""
        self._seen += 1
        self.window.append((low, high))
        self._done[low, high] += 1
        while len(self.window) > min(max(_SHORTEST, _PER_RUNNING * self._in_flight), _LONGEST):
            oldest = self.window.popleft()
            self._done[oldest] -= 1
            if not self._done[oldest]:
                del self._done[oldest]

    def fit(self) -> None:
        """Fit the law to what was seen."""
        gap = max(_REFIT, self._in_flight // 20)
        self._fit_at = max(self._fresh + 1, min(int(self._fresh * _GROWTH), self._fresh + gap))
        self.shares = fit([self], self._prior, alpha=self._alpha, start=self.shares)

    def weigh(self, done: Counter[tuple[int, int]], running: dict[int, float]) -> None:
        """Add what was seen to these sums."""
        done.update(self._done)
        share = len(self.window) / self._seen
        for edge, count in enumerate(self._running):
            if edge and count > 0:
                running[edge] = running.get(edge, 0.0) + count * share


def fit(seen: Iterable[History], prior: Shares, *, alpha: float, start: Shares) -> Shares:
    """Return the law that follows from a prior and from what was seen of one or more kinds of work.

    Args:
        seen: of each, something must have finished.
        prior: what is believed without that.
        alpha: how many predictions the prior counts for.
        start: a law to start from; the nearer, the better.
    """
    done, running = Counter[tuple[int, int]](), dict[int, float]()
    for history in seen:
        history.weigh(done, running)
    spread = (quantile(start, 0.75) - quantile(start, 0.25)) * WIDTH / _QUARTILES
    blur = min(max(min(spread, 1.0) * done.total() ** -0.3, _LEAST_BLUR), _MOST_BLUR)
    return estimate(start, prior, done, running, alpha=alpha, blur=blur, rounds=_ROUNDS)
