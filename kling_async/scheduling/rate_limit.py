"""Limit how fast requests may leave: a rate with a burst, a pause after a 429, and a gradual recovery.

Theory of operation. The rate is that of `types.admission`, GCRA: in any window W at most `burst + rate * W` requests
leave, whatever the order of calls.

It runs on a clock of the limiter's own, which is what a 429 changes: that clock stops until the time the provider
names, then runs at `_BACKOFF_FACTOR` of its speed, and gains speed evenly until it is full again (additive increase,
multiplicative decrease, as in TCP). It is never faster than time itself, so the bound above always holds. Requests in
flight when the clock was slowed bring their own 429s; these add no information.
"""

from __future__ import annotations

import math
from typing import Final

from ..types.admission import after_rate_change, after_token, burst_tolerance, token_at

__all__ = ["RateLimiter"]

_BACKOFF_FACTOR: Final = 0.7
"""The factor on the speed after a 429; TCP CUBIC and botocore's adaptive mode use the same."""
_MIN_SPEED: Final = 0.05
_RECOVERY_SECONDS: Final = 60.0
"""Seconds in which a clock would recover from a standstill to full speed."""


class RateLimiter:
    """One rate limit.

    Args:
        per_second: sustained requests per second; None is no limit but the pauses.
        burst: requests that may leave at once after a silence.

    Attributes:
        interval: seconds between two requests at the sustained rate; 0 without a limit.
    """

    def __init__(self, *, per_second: float | None, burst: int = 1) -> None:
        self.interval = 0.0 if per_second is None else 1.0 / per_second
        self._tolerance = burst_tolerance(self.interval, burst=burst)
        self._tat = -math.inf
        # The clock read `_units` at `_since`, and has gained speed from `_speed` on since then.
        self._since = 0.0
        self._units = 0.0
        self._speed = 1.0
        self._paused_at = -math.inf

    def ready_at(self, now: float) -> float:
        """Return the time at which the next request may leave: now, or later."""
        units = token_at(self._tat, tolerance=self._tolerance)
        if self._speed == 1.0:  # the usual case: no 429 has slowed the clock
            return max(now, self._since + max(0.0, units - self._units))
        return max(now, self._since, self._time_of(units))

    def ready_after(self, requests: int, now: float) -> float:
        """Return the time at which a request may leave that so many leave before, each as soon as it may."""
        arrival = max(self._tat, self._read(now)) + requests * self.interval
        return max(now, self._since, self._time_of(token_at(arrival, tolerance=self._tolerance)))

    def consume(self, now: float) -> None:
        """Count a request that leaves now."""
        self._tat = after_token(self._tat, now=self._read(now), interval=self.interval)

    def give_back(self) -> None:
        """Take back the count of a request that did not leave, where another limit keeps the rate.

        By this limit alone more could leave then: the time that has passed since may have restored the token already.
        """
        self._tat -= self.interval

    def set_rate(self, per_second: float, *, burst: int, now: float) -> None:
        """Change the rate and the burst, for the requests from now on."""
        self.interval = 1.0 / per_second
        self._tolerance = burst_tolerance(self.interval, burst=burst)
        self._tat = after_rate_change(self._tat, now=self._read(now), interval=self.interval, tolerance=self._tolerance)

    def pause_until(self, at: float, *, now: float, sent_at: float, slow_down: bool = True) -> bool:
        """Let no request leave before a time, after a 429 to a request that was sent at `sent_at`.

        Args:
            at: the time.
            now: the present time.
            sent_at: the time at which the refused request left.
            slow_down: whether the clock is slower afterwards; a rate that is learned has fallen itself.

        Returns:
            Whether the 429 is new: one to a request sent before the last pause began is not.
        """
        is_new = sent_at >= self._paused_at
        units, speed = self._read(now), self.speed_at(now)
        if is_new:
            self._paused_at = now
            speed = speed if not slow_down else max(_MIN_SPEED, speed * _BACKOFF_FACTOR)
        if is_new or at > self._since:
            self._since, self._units, self._speed = max(at, now, self._since), units, speed
            # The burst is gone: used at once, it would run into the limit that was just hit.
            self._tat = max(self._tat, units + self._tolerance)
        return is_new

    @property
    def paused_until(self) -> float:
        """The time before which no request may leave because of a 429; in the past if there is no pause."""
        return self._since

    def is_paused(self, now: float) -> bool:
        """Return whether no request may leave because of a 429."""
        return now < self._since

    def speed_at(self, now: float) -> float:
        """Return the speed of the limiter's clock: 1, or less for a while after a 429."""
        return min(1.0, self._speed + max(0.0, now - self._since) / _RECOVERY_SECONDS)

    def _read(self, now: float) -> float:
        """Return the reading of the clock."""
        elapsed = max(0.0, now - self._since)
        gaining = min(elapsed, (1.0 - self._speed) * _RECOVERY_SECONDS)
        return self._units + self._speed * gaining + gaining**2 / (2 * _RECOVERY_SECONDS) + (elapsed - gaining)

    def _time_of(self, units: float) -> float:
        """Return the time at which the clock will show a reading; minus infinity if it has passed."""
        left = units - self._units
        if left <= 0.0:
            return -math.inf
        gaining = (1.0 - self._speed) * _RECOVERY_SECONDS
        gained = self._speed * gaining + gaining**2 / (2 * _RECOVERY_SECONDS)
        if left >= gained:
            return self._since + gaining + (left - gained)
        root = math.sqrt(self._speed**2 + 2 * left / _RECOVERY_SECONDS)
        return self._since + (root - self._speed) * _RECOVERY_SECONDS
