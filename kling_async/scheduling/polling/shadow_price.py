"""The shadow price of a poll: what the polls of one budget are worth, in seconds of delay.

Theory of operation. Many predictions, R polls a second: by Lagrange's rule the budget has a shadow price, in seconds of
delay per poll, at which each prediction follows its own `PollPlan` and all of them together just spend the budget.
Their number is not needed to find it: for each token that the budget has earned since the price last moved, it rises
1 % if the head of the queue is overdue and falls 1 % if not, never below the floor that the user sets. Tokens are
counted by the time that they take, not by polls or questions, which come in groups, late, or not at all.
"""

from __future__ import annotations

import math
from typing import Final

from ...types.errors import InputError

__all__ = ["ShadowPrice", "floor_for"]

_STEP: Final = 1.01
"""Factor by which a token moves the price. Anything from 0.3 to 3 % gives the same delays within 2 %."""
_FULL_STEP_ITEMS: Final = 1000
"""Items up to which a token moves the price by `_STEP`; beyond them in proportion less, as each is then polled once in
more tokens. With 100,000 of them keys would not follow full steps: a tenth of the tokens were left unused, and each
poll cost three times the CPU."""
_MAX_RISE: Final = 16.0
"""Tokens by which the price rises at once at most: after a busy event loop, or a pause, all heads are overdue."""
_MAX_FALL: Final = 2000.0
"""Tokens by which the price falls at once at most, which is from any price to any."""
_CEILING: Final = 400.0
"""The highest price, in seconds; there each prediction is polled once, late, in the order of finishing."""
_FLOOR_DIVISOR: Final = 500.0
"""The default floor is a 500th of the mean: 11 to 16 polls per prediction, found finished 2 to 3 % late."""


def floor_for(mean: float) -> float:
    """Return the default floor price of a poll, in seconds of delay, for predictions of this mean duration."""
    return min(mean / _FLOOR_DIVISOR, _CEILING)


class ShadowPrice:
    """The price of a poll in one budget, in seconds of delay.

    Attributes:
        floor: the lowest price; may be changed when the curves change.
        price: the present price.
        token_seconds: seconds in which the budget earns a token, above 0.

    Raises:
        InputError: the floor is not a positive number.
    """

    def __init__(self, *, floor: float, token_seconds: float = 0.01) -> None:
        if not 0.0 < floor < math.inf:
            raise InputError(f"The price of a poll must be seconds above 0, not {floor!r}.")
        self._floor = self.price = self._highest = min(floor, _CEILING)
        self.token_seconds = token_seconds
        self._moved_at = -math.inf

    @property
    def floor(self) -> float:
        return self._floor

    @floor.setter
    def floor(self, floor: float) -> None:
        at_floor = self.at_floor
        self._floor = min(floor, _CEILING)
        self.price = self._floor if at_floor else max(self.price, self._floor)

    @property
    def at_floor(self) -> bool:
        """Whether polls are plenty, so that nothing is to be done until the head of the queue is due."""
        return self.price <= self._floor

    @property
    def at_ceiling(self) -> bool:
        """Whether the budget is so short that the price has no meaning any more."""
        return self.price >= _CEILING

    @property
    def stale(self) -> bool:
        """Whether the price has halved since all keys were made."""
        return self.price < self._highest / 2.0

    def move(self, now: float, *, late: bool, items: int = 1) -> None:
        """Move the price by the tokens earned since the last call: up if the head of the queue is overdue, else down.

        With more items in the queue than `_FULL_STEP_ITEMS` it moves less. It stays where it is at a second call at the
        same time, so that polls that leave together move it once.
        """
        tokens = max(0.0, (now - self._moved_at) / self.token_seconds)
        share = min(1.0, _FULL_STEP_ITEMS / max(items, 1))
        self._moved_at = now
        if late:
            self.price = min(self.price * _STEP ** (min(tokens, _MAX_RISE) * share), _CEILING)
            self._highest = max(self._highest, self.price)
        elif self.price > self._floor:
            self.price = max(self.price / _STEP ** min(tokens * share, _MAX_FALL), self._floor)

    def mark_rekeyed(self) -> None:
        """Record that all keys were made at the present price."""
        self._highest = self.price
