"""The tokens of polls: a rate limit that gives them out in groups.

Theory of operation. To wake up costs an event loop more than to send a poll. So where the rate allows many polls, the
tokens that are earned in one period become ready together, at its end, and the polls that wait for them leave together.
Tokens that nothing waits for are kept, as far as the burst goes: a poll that is due while some are left waits for no
period. The burst holds two periods, so that a loop that wakes up late loses none. In any window W at most
`poll_burst(rate) + rate * W` polls leave.
"""

from __future__ import annotations

import math
from typing import Final

from .rate_limit import RateLimiter

__all__ = ["PollTokens", "poll_burst"]

_BURST: Final = 4
"""Polls that may leave at once after a silence, so that those due together need not wait for each other."""
_MAX_PERIOD: Final = 0.05
"""Seconds; in a longer one a caller that awaits one prediction would notice it."""
_MIN_PERIOD, _MIN_GROUP = 0.015, 8
"""Seconds, and polls, that suffice: a shorter period saves less, and a larger group nothing that shows."""
_TOKEN_SECONDS: Final = 0.1
"""Seconds in which a poll is earned, as far as the shadow price goes, where polls have no rate limit. What makes polls
late then is a busy event loop, mostly for a moment: a price that rose faster would still be too high afterwards."""


def _group(per_second: float | None) -> int:
    """Return the number of polls that leave together where all tokens are used."""
    if per_second is None:
        return 1
    return max(1, int(per_second * min(_MAX_PERIOD, max(_MIN_PERIOD, _MIN_GROUP / per_second))))


def poll_burst(per_second: float | None) -> int:
    """Return the number of polls that may leave at once after a silence."""
    group = _group(per_second)
    return _BURST if group == 1 else 2 * group + 2


class PollTokens:
    """The tokens of the polls of one account.

    Args:
        per_second: polls a second; None is no limit but the pauses.

    Attributes:
        interval: seconds between two polls at that rate; 0 without a limit.
        token_seconds: seconds in which a token is earned, above 0.
    """

    def __init__(self, per_second: float | None) -> None:
        self._limiter = RateLimiter(per_second=per_second, burst=poll_burst(per_second))
        self._follow(per_second)

    def _follow(self, per_second: float | None) -> None:
        self.interval = self._limiter.interval
        self.token_seconds = self.interval or _TOKEN_SECONDS
        group = _group(per_second)
        self._period = group * self.interval if group > 1 else 0.0

    def set_rate(self, per_second: float, *, now: float) -> None:
        """Change the rate, for the polls from now on."""
        self._limiter.set_rate(per_second, burst=poll_burst(per_second), now=now)
        self._follow(per_second)

    def ready_at(self, now: float) -> float:
        """Return the time at which the next poll may leave: now, or at the end of a period."""
        if not self._period:
            return self._limiter.ready_at(now)
        at = self._limiter.ready_at(-math.inf)
        return max(now, at, math.ceil(at / self._period) * self._period)

    def consume(self, now: float) -> None:
        """Count a poll that leaves now."""
        self._limiter.consume(now)

    def pause_until(self, at: float, *, now: float, sent_at: float) -> None:
        """Let no poll leave before a time after a 429 to one sent at `sent_at`, and fewer for a while after that."""
        self._limiter.pause_until(at, now=now, sent_at=sent_at)
