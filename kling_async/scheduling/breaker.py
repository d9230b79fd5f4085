"""Why an account takes no submissions for a while: lost answers, or a refusal of the account."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from ..types.errors import KlingError
from .retry import backoff_delay

__all__ = ["AccountBlock", "CircuitBreaker"]

_THRESHOLD: Final = 3
"""Consecutive lost answers that open the circuit breaker."""
_MIN_PAUSE: Final = 5.0
"""Seconds between two submissions, at least, while it is open."""
_BLOCKED_SECONDS: Final = 30.0
"""Seconds for which a refused account is not tried again: the key may be replaced, or the balance topped up."""


class CircuitBreaker:
    """Slows submissions after consecutive lost answers, each of which may be billed.

    While it is open they leave one by one, with growing pauses; the first one that is accepted closes it.

    Args:
        random: returns numbers drawn evenly from 0 up to 1.
    """

    def __init__(self, *, random: Callable[[], float]) -> None:
        self._random = random
        self._lost = self._in_flight = 0

    @property
    def permits(self) -> bool:
        """Whether a submission may leave: while open, only if no other one is in flight."""
        return self._lost < _THRESHOLD or self._in_flight == 0

    @property
    def is_open(self) -> bool:
        """Whether submissions leave one by one, since answers were lost."""
        return self._lost >= _THRESHOLD

    @property
    def in_flight(self) -> int:
        """The number of submissions in flight."""
        return self._in_flight

    def submission_started(self) -> None:
        """Count a submission in flight."""
        self._in_flight += 1

    def submission_ended(self) -> None:
        """Count a submission out, whatever its result."""
        self._in_flight -= 1

    def record_acceptance(self) -> None:
        """Close the circuit breaker."""
        self._lost = 0

    def record_lost_answer(self, error: KlingError, *, now: float) -> float | None:
        """Count a lost answer; return the time until which submissions must pause, or None."""
        self._lost += 1
        if self._lost < _THRESHOLD:
            return None
        return now + _MIN_PAUSE + backoff_delay(error, failures=self._lost, random=self._random())


class AccountBlock:
    """Remembers for a while that the provider refused the account: every further submission would be refused."""

    def __init__(self) -> None:
        self._error: KlingError | None = None
        self._until = -math.inf

    def block(self, error: KlingError, *, now: float) -> None:
        """Block the account because of this refusal."""
        self._error, self._until = error, now + _BLOCKED_SECONDS

    def error_at(self, now: float) -> KlingError | None:
        """Return the refusal while it holds, else None."""
        return self._error if now < self._until else None
