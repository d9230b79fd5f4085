"""Who gets the next look: one price for all predictions that share a poll budget.

Theory of operation. Many predictions, R looks a second: by Lagrange's rule the budget has a price, in seconds of delay
that one look is worth, at which each prediction follows its own `Plan` and all of them together just spend the budget.
Neither R nor their number is needed to find it: at each token of the budget the price goes up 1 % if the head of the
line is overdue and down 1 % if not, never below what the user thinks a look is worth. Each law is indexable (its next
check rises with the price), so this is Whittle's index policy ordered by due time; that is first-come in overload, so
nobody starves.

Three rules keep it at the optimum; in simulations without them, delays grew up to 3.8 times:

- What comes to the head is keyed anew at the price of now, since its key is as old as its last look.
- All are keyed anew when the price has halved or a law has changed: keys made at a high price are late, and what is
  late does not come to the head.
- A token is left unused when the head is not worth a look even at the floor.

An engine holds one `Market` and one `Agenda` per poll budget. At each poll token::

    agenda.take(now)  ->  an item: spend the token, look at it, and add it again if it still runs
                      ->  None: leave the token unused, come back at agenda.wake_at(now, token_for=1 / rate)

`due(item, price)` is `submitted_at + plan.next_check(age, max(price, floor of its law) / weight)`, with the age of the
last look that said "not yet"; None drops an item that is not to be looked at any more. After a law has changed:
`rebuild`.

Whittle, J. Appl. Prob. 25A (1988) 287. Weber, Weiss, J. Appl. Prob. 27 (1990) 637: index policies are optimal for
many.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, Generic, Protocol, TypeVar

from ..errors import InputError

__all__ = ["Agenda", "Market", "Ordered", "floor_for"]


class Ordered(Protocol):
    """What can stand in a heap beside another."""

    def __lt__(self, other: object, /) -> bool: ...


T = TypeVar("T", bound=Ordered)

_STEP: Final = 1.01
"""How far the price moves at a token. Anything from 0.3 to 3 % gives the same delays within 2 %."""
_LATE: Final = 0.02
"""Seconds by which a look is overdue before it counts as late: timers and a busy event loop are late by some of it, and
a price that rose with each of them would never be back at its floor."""
_CEILING: Final = 400.0
"""Seconds that a look is worth at most; there everybody is looked at once, late, in the order of finishing."""
_TRIES: Final = 4
"""How many are asked before a token is left unused: one would leave as many unused as there are early looks."""
_LOOKS_WORTH: Final = 500.0
"""The default floor is a 500th of the mean: 11 to 16 looks at a prediction, found out 2 to 3 % late."""


def floor_for(mean: float) -> float:
    """Return the seconds of delay that a look is worth where the user has not said it and predictions take `mean`."""
    return min(mean / _LOOKS_WORTH, _CEILING)


class Market:
    """The price of a look in one poll budget.

    Attributes:
        floor: what a look is worth when looks are plenty, in seconds; may be set anew when the laws change.
        price: what a look is worth now.
    """

    def __init__(self, *, floor: float) -> None:
        if not 0.0 < floor < math.inf:
            raise InputError(f"The price of a look must be seconds above 0, not {floor!r}.")
        self._floor = self.price = self._highest = min(floor, _CEILING)

    @property
    def floor(self) -> float:
        return self._floor

    @floor.setter
    def floor(self, floor: float) -> None:
        at_rest = self.at_rest
        self._floor = min(floor, _CEILING)
        self.price = self._floor if at_rest else max(self.price, self._floor)

    @property
    def at_rest(self) -> bool:
        """Whether looks are plenty: nothing needs to be done until the head of the line is due."""
        return self.price <= self._floor

    @property
    def overrun(self) -> bool:
        """Whether the budget is so short that the price says nothing any more."""
        return self.price >= _CEILING

    @property
    def stale(self) -> bool:
        """Whether the price has halved since all keys were made."""
        return self.price < self._highest / 2.0

    def step(self, *, late: bool) -> None:
        """Move the price by one token: up if the head of the line was overdue."""
        self.price = min(self.price * _STEP, _CEILING) if late else max(self.price / _STEP, self._floor)
        self._highest = max(self._highest, self.price)

    def keyed(self) -> None:
        """Note that all keys were made at the price of now."""
        self._highest = self.price


class Agenda(Generic[T]):
    """The line of those who wait for a look, by due time at the market's price.

    Items stand beside their times in a heap, so they need an order among themselves; which of two is first does not
    matter.

    Args:
        market: the price of the budget.
        due: when an item wants its next look at a price, never earlier at a higher one; None drops the item.
    """

    def __init__(self, market: Market, due: Callable[[T, float], float | None]) -> None:
        self._market, self._due = market, due
        self._heap: list[tuple[float, T]] = []
        self._asked_at = -math.inf

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, item: T) -> None:
        """Put an item in line."""
        due = self._due(item, self._market.price)
        if due is not None:
            heappush(self._heap, (due, item))

    def take(self, now: float) -> T | None:
        """Return whom to look at with a poll token that is ready now; None leaves the token unused."""
        market, self._asked_at = self._market, now
        if market.stale:
            self.rebuild()
        if market.at_rest and self._heap and self._heap[0][0] > now:
            return None  # most who ask when looks are plenty
        head = self._head()
        if head is None:
            return None
        market.step(late=head[0] < now - _LATE)
        aside = list[tuple[float, T]]()
        while head is not None and not self._worth(head, now):
            # Who waits for a fixed age, or has a high floor, must not keep the token from those behind.
            aside.append(heappop(self._heap))
            head = None if market.at_rest or len(aside) == _TRIES else self._head()
        taken = None if head is None else heappop(self._heap)[1]
        for entry in aside:
            heappush(self._heap, entry)
        return taken

    def _worth(self, head: tuple[float, T], now: float) -> bool:
        """Return whether a look is worth its price now, or would be at the floor."""
        if head[0] <= now:
            return True
        at_floor = self._due(head[1], self._market.floor)
        return at_floor is not None and at_floor <= now

    def wake_at(self, now: float, *, token_for: float) -> float | None:
        """Return when to take again after None; None if nobody is in line.

        Args:
            now: the present time.
            token_for: the seconds between two tokens, at which the price is adjusted while it is above its floor.
        """
        if not self._heap:
            return None
        due = self._heap[0][0]
        if not self._market.at_rest:
            # Counted from the last token, not from now: who asks again when it has come would be put off for ever.
            due = min(due, self._asked_at + token_for)
        return max(due, now)

    def rebuild(self) -> None:
        """Key all anew at the price of now; needed after a law has changed."""
        price, due = self._market.price, self._due
        keyed = ((due(item, price), item) for _, item in self._heap)
        self._heap = [(at, item) for at, item in keyed if at is not None]
        heapify(self._heap)
        self._market.keyed()

    def _head(self) -> tuple[float, T] | None:
        """Return the head of the line, keyed at the price of now, and leave it in line."""
        heap, price = self._heap, self._market.price
        while heap:
            _, item = heap[0]
            due = self._due(item, price)
            if due is None:
                heappop(heap)
                continue
            if self._market.overrun:
                return heap[0]
            if any(due > other for other, _ in heap[1:3]):
                heapreplace(heap, (due, item))
                continue
            heap[0] = (due, item)
            return heap[0]
        return None
