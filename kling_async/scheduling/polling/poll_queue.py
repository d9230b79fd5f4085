"""Allocate a poll budget by one shadow price for all predictions that share it.

Theory of operation. Many predictions, R polls a second: by Lagrange's rule the budget has a shadow price, in seconds of
delay per poll, at which each prediction follows its own `PollPlan` and all of them together just spend the budget.
Their number is not needed to find it: for each token that the budget has earned since the price last moved, it rises
1 % if the head of the queue is overdue and falls 1 % if not, never below the floor that the user sets. Tokens are
counted by the time that they take, not by polls or questions, which come in groups, late, or not at all. Each survival
curve is indexable (its next check rises with the price), so this is Whittle's index policy ordered by due time; in
overload that is first in, first out, so no prediction starves.

Three rules keep it at the optimum; in simulations without them, delays grew up to 3.8 times:

- An item that reaches the head is rekeyed at the present price, since its key is as old as its last poll.
- All are rekeyed when the price has halved or a curve has changed: keys made at a high price are late, and a late item
  does not reach the head.
- A token is left unused when the head is not due even at the floor.

An engine has one `ShadowPrice` and one `PollQueue` per poll budget. At each poll token::

    queue.take(now)  ->  an item: spend the token, poll it, and add it again if it still runs
                     ->  None: leave the token unused, come back at queue.wake_at(now)

`due(item, price)` is `submitted_at + plan.next_check(age, max(price, floor of its curve) / priority)`, with the age of
the last poll that said "not yet"; None drops an item that is not to be polled any more. After a curve has changed:
`rekey_all`.

Whittle, J. Appl. Prob. 25A (1988) 287. Weber, Weiss, J. Appl. Prob. 27 (1990) 637: index policies are optimal for
many.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, Generic, Protocol, TypeVar

from ...types.errors import InputError

__all__ = ["PollQueue", "ShadowPrice", "SupportsLessThan", "floor_for"]


class SupportsLessThan(Protocol):
    """An item that can be ordered in a heap."""

    def __lt__(self, other: object, /) -> bool: ...


T = TypeVar("T", bound=SupportsLessThan)

_STEP: Final = 1.01
"""Factor by which a token moves the price. Anything from 0.3 to 3 % gives the same delays within 2 %."""
_LATE: Final = 0.02
"""Seconds by which a poll is overdue before it counts as late: timers and a busy event loop are late by some of it, and
a price that rose with each of them would never be back at its floor."""
_MAX_RISE: Final = 16.0
"""Tokens by which the price rises at once at most: after a busy event loop, or a pause, all heads are overdue."""
_MAX_FALL: Final = 2000.0
"""Tokens by which the price falls at once at most, which is from any price to any."""
_CEILING: Final = 400.0
"""The highest price, in seconds; there each prediction is polled once, late, in the order of finishing."""
_MAX_HEADS: Final = 4
"""Items tried before a token is left unused: with one, as many would be unused as there are early polls."""
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

    def move(self, now: float, *, late: bool) -> None:
        """Move the price by the tokens earned since the last call: up if the head of the queue is overdue, else down.

        It stays where it is at a second call at the same time, so that polls that leave together move it once.
        """
        tokens = max(0.0, (now - self._moved_at) / self.token_seconds)
        self._moved_at = now
        if late:
            self.price = min(self.price * _STEP ** min(tokens, _MAX_RISE), _CEILING)
            self._highest = max(self._highest, self.price)
        elif self.price > self._floor:
            self.price = max(self.price / _STEP ** min(tokens, _MAX_FALL), self._floor)

    def mark_rekeyed(self) -> None:
        """Record that all keys were made at the present price."""
        self._highest = self.price


class PollQueue(Generic[T]):
    """Items that wait for a poll, ordered by due time at the shadow price.

    Items share a heap with their times, so they need an order among themselves; which of two comes first does not
    matter.

    Args:
        price: the shadow price of the budget.
        due: returns the time of an item's next poll at a price, never earlier at a higher one; None drops the item.
    """

    def __init__(self, price: ShadowPrice, due: Callable[[T, float], float | None]) -> None:
        self._price, self._due = price, due
        self._heap: list[tuple[float, T]] = []
        self._taken_at = -math.inf

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, item: T) -> None:
        """Queue an item."""
        due = self._due(item, self._price.price)
        if due is not None:
            heappush(self._heap, (due, item))

    def take(self, now: float) -> T | None:
        """Remove and return the item to poll with a token that is ready now; None leaves the token unused."""
        price, self._taken_at = self._price, now
        if price.stale:
            self.rekey_all()
        if price.at_floor and self._heap and self._heap[0][0] > now:
            price.move(now, late=False)
            return None  # the usual case while polls are plenty
        head = self._head()
        price.move(now, late=head is not None and head[0] < now - _LATE)
        skipped = list[tuple[float, T]]()
        while head is not None and not self._is_due(head, now):
            # An item with a fixed time, or with a high floor, must not keep the token from those behind it.
            skipped.append(heappop(self._heap))
            head = None if price.at_floor or len(skipped) == _MAX_HEADS else self._head()
        taken = None if head is None else heappop(self._heap)[1]
        for entry in skipped:
            heappush(self._heap, entry)
        return taken

    def take_until(self, until: float, admits: Callable[[T], bool], *, max_items: int) -> list[T]:
        """Remove and return items that `admits` and that are due by a time, in the order in which they are due."""
        taken, skipped = list[T](), list[tuple[float, T]]()
        while self._heap and self._heap[0][0] <= until and len(taken) < max_items > len(skipped):
            entry = heappop(self._heap)
            if admits(entry[1]):
                taken.append(entry[1])
            else:
                skipped.append(entry)
        for entry in skipped:
            heappush(self._heap, entry)
        return taken

    def _is_due(self, head: tuple[float, T], now: float) -> bool:
        """Return whether an item is due now, at the present price or at the floor."""
        if head[0] <= now:
            return True
        at_floor = self._due(head[1], self._price.floor)
        return at_floor is not None and at_floor <= now

    def wake_at(self, now: float) -> float | None:
        """Return the time at which to `take` again after None; None if the queue is empty."""
        if not self._heap:
            return None
        due = self._heap[0][0]
        if not self._price.at_floor:
            # Counted from the last token, not from now: asking again at that time would be put off forever.
            due = min(due, self._taken_at + self._price.token_seconds)
        return max(due, now)

    def rekey_all(self) -> None:
        """Rekey all items at the present price; needed after a curve or a priority has changed."""
        price, due = self._price.price, self._due
        keyed = ((due(item, price), item) for _, item in self._heap)
        self._heap = [(at, item) for at, item in keyed if at is not None]
        heapify(self._heap)
        self._price.mark_rekeyed()

    def _head(self) -> tuple[float, T] | None:
        """Return the head of the queue, rekeyed at the present price, without removing it."""
        heap, price = self._heap, self._price.price
        while heap:
            _, item = heap[0]
            due = self._due(item, price)
            if due is None:
                heappop(heap)
                continue
            if self._price.at_ceiling:
                return heap[0]
            if any(due > other for other, _ in heap[1:3]):
                heapreplace(heap, (due, item))
                continue
            heap[0] = (due, item)
            return heap[0]
        return None
