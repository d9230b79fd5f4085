"""How fast requests may leave: a rate with a burst, a pause when the provider says so, and a gradual return.

Theory of operation. GCRA (ITU-T I.371): one number, the theoretical arrival time, says up to when the rate is spent. A
request may leave `burst - 1` intervals before it, and pushes it on by one interval. So in any window W at most
`burst + rate * W` requests leave, however they are asked for.

It runs on a clock of the budget's own, which is what a 429 changes: that clock stands still until the time the provider
names, then goes at `_CUT` of its speed, and gains speed evenly until it is whole again (additive increase,
multiplicative decrease, as in TCP). It never goes faster than time itself, so the bound above holds whatever happens.
Requests that were on their way when the clock was slowed bring their own 429s; these say nothing new.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["Pacer"]

_CUT: Final = 0.7
"""What is left of the speed after a 429; TCP CUBIC and botocore's adaptive mode use the same."""
_LEAST: Final = 0.05
_RECOVERS_FOR: Final = 60.0
"""Seconds in which a clock that stood would be at full speed again."""


class Pacer:
    """One budget of requests.

    Attributes:
        interval: seconds between two requests in the long run; 0 without a limit.

    Args:
        per_second: requests per second in the long run; None is no limit but the pauses.
        burst: requests that may leave at once after a silence.
    """

    def __init__(self, *, per_second: float | None, burst: int = 1) -> None:
        self.interval = 0.0 if per_second is None else 1.0 / per_second
        self._tolerance = (burst - 1) * self.interval
        self._arrival = -math.inf
        # The budget's clock read `_units` at `_since`, and has gained speed from `_speed` on since then.
        self._since = 0.0
        self._units = 0.0
        self._speed = 1.0
        self._held_at = -math.inf

    def ready_at(self, now: float) -> float:
        """Return when the next request may leave: now, or later."""
        return max(now, self._since, self._time_of(self._arrival - self._tolerance))

    def spend(self, now: float) -> None:
        """Count a request that leaves now."""
        self._arrival = max(self._arrival, self._read(now)) + self.interval

    def hold_until(self, at: float, *, now: float, sent_at: float) -> bool:
        """Let nothing leave before a time, since the provider said 429 to a request that left at `sent_at`.

        Returns:
            Whether this was news: a 429 to a request that left before the last hold began is not.
        """
        news = sent_at >= self._held_at
        units, speed = self._read(now), self._speed_at(now)
        if news:
            self._held_at = now
            speed = max(_LEAST, speed * _CUT)
        if news or at > self._since:
            self._since, self._units, self._speed = max(at, now, self._since), units, speed
            # The burst is gone: used at once, it would run into the limit that was just hit.
            self._arrival = max(self._arrival, units + self._tolerance)
        return news

    def _speed_at(self, now: float) -> float:
        return min(1.0, self._speed + max(0.0, now - self._since) / _RECOVERS_FOR)

    def _read(self, now: float) -> float:
        """Return what the budget's clock shows."""
        went = max(0.0, now - self._since)
        gaining = min(went, (1.0 - self._speed) * _RECOVERS_FOR)
        return self._units + self._speed * gaining + gaining**2 / (2 * _RECOVERS_FOR) + (went - gaining)

    def _time_of(self, units: float) -> float:
        """Return when the budget's clock will show that; the past if it does already."""
        left = units - self._units
        if left <= 0.0:
            return -math.inf
        gaining = (1.0 - self._speed) * _RECOVERS_FOR
        whole = self._speed * gaining + gaining**2 / (2 * _RECOVERS_FOR)
        if left >= whole:
            return self._since + gaining + (left - whole)
        root = math.sqrt(self._speed**2 + 2 * left / _RECOVERS_FOR)
        return self._since + (root - self._speed) * _RECOVERS_FOR
