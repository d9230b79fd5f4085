"""Whether webhooks arrive, and how much less a second of delay counts in the poll plan because of them.

Theory of operation. A prediction whose webhook arrives is found finished at once, without a poll. So a planned poll
serves only for webhooks that are lost, and the delay that it saves counts with the probability w of a loss: the plan
that is best at `price / w` is the best one. After r webhooks in a row that arrived, w is 1 / (r + 2), by Laplace's rule
of succession, and never below `_MIN_WEIGHT`: polls become rare, and never end. Before the first `_PROOF` of them w is
1, which is the plan without webhooks.

A webhook counts as lost if it has not arrived some time after a poll found its prediction finished, about as long as a
poll would be late: then it was no better than one. The count starts again, and the plan is again the one without
webhooks. Polls that are rare would hardly show that webhooks have become late, so every 20th prediction is polled as
without them.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import Final

__all__ = ["Arrivals", "patience"]

_PROOF: Final = 3
"""Webhooks in a row that must arrive before any poll is put off."""
_MIN_WEIGHT: Final = 0.02
"""The lowest weight: a seventh of the polls, which find a lost webhook late by a few times as long as otherwise."""
_MIN_PATIENCE, _PATIENCE = 1.0, 0.03
"""Seconds, and the share of a prediction's age, within which a webhook is expected after the end."""
_CONTROL: Final = 20
"""Predictions with a webhook of which one is polled as without it."""


def patience(age: float) -> float:
    """Return the seconds within which a webhook is expected after the end of a prediction of that age."""
    return max(_MIN_PATIENCE, _PATIENCE * age)


class Arrivals:
    """The webhooks of one account, as far as they were expected."""

    def __init__(self) -> None:
        self._run = 0
        self._started = 0
        self._due: list[tuple[float, str]] = []
        self._awaited = set[str]()

    @property
    def weight(self) -> float:
        """How much a second of delay counts for a prediction with a webhook, above 0 and at most 1."""
        return 1.0 if self._run < _PROOF else max(1.0 / (self._run + 2), _MIN_WEIGHT)

    def start(self) -> bool:
        """Count a prediction that is to have a webhook, and return whether it is polled as without one."""
        self._started += 1
        return self._started % _CONTROL == 0

    def arrived(self) -> None:
        """Count a webhook that was first to say that its prediction has ended."""
        self._run += 1

    def expect(self, id: str, *, age: float, now: float) -> None:
        """Expect the webhook of a prediction that a poll has just found finished, at this age."""
        self._awaited.add(id)
        heappush(self._due, (now + patience(age), id))

    def arrived_after(self, id: str) -> None:
        """Count a webhook that came after a poll had found its prediction finished, if it is still expected."""
        if id in self._awaited:
            self._awaited.discard(id)
            self._run += 1

    def due_at(self) -> float:
        """Return the time at which to `give_up`; infinity if that would change nothing."""
        while self._due and self._due[0][1] not in self._awaited:
            heappop(self._due)
        return self._due[0][0] if self._due and self.weight < 1.0 else math.inf

    def give_up(self, now: float) -> bool:
        """Give up webhooks that are overdue; return whether there were any, and the weight has risen with them."""
        lost = False
        while self._due and self._due[0][0] <= now:
            _, id = heappop(self._due)
            lost = lost or id in self._awaited
            self._awaited.discard(id)
        before, self._run = self.weight, 0 if lost else self._run
        return self.weight > before
