"""Allocate a poll budget by one shadow price for all predictions that share it.

Theory of operation. Predictions wait in the order in which their own plans let them be polled, at the `ShadowPrice` of
the budget. Each survival curve is indexable (its next check rises with the price), so this is Whittle's index policy
ordered by due time; in overload that is first in, first out, so no prediction starves.

Three rules keep it at the optimum; in simulations without them, delays grew up to 3.8 times:

- An item that reaches the head is rekeyed at the present price, since its key is as old as its last poll.
- All are rekeyed when the price has halved or a curve has changed: keys made at a high price are late, and a late item
  does not reach the head.
- A token is left unused when the head is not due even at the floor.

No call takes long, whatever the length of the queue. A token rekeys a few heads at most; while the price rises, the
head of a long queue is never quite right, and the best of a few is as good. To rekey all, the queue becomes the
`_stale` one, and each token moves some of its items, the first ones first, to the one that takes its place. Meanwhile
the head is that of the two which is due first. As an item gets one poll in as many tokens as there are items, its key
is old for a small part of the time between two of its polls.

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
from typing import Final, Generic, TypeVar

from .bucket_queue import BucketQueue
from .shadow_price import ShadowPrice

__all__ = ["PollQueue"]

T = TypeVar("T")

_LATE: Final = 0.02
"""Seconds by which a poll is overdue before it counts as late: timers and a busy event loop are late by some of it, and
a price that rose with each of them would never be back at its floor."""
_MAX_HEADS: Final = 4
"""Items tried before a token is left unused: with one, as many would be unused as there are early polls."""
_MIN_UNUSED_SECONDS: Final = 0.02
"""Seconds after which to ask again at the earliest while the price falls and nothing is due: waking up costs as much as
a poll, and the price falls by the time that has passed."""
_MAX_REKEYS: Final = 32
"""Heads that a token rekeys at most. With half as many, delays after a burst are 2 % longer, with twice as many the
same."""
_MAX_DROPPED: Final = 256
"""Items that are not to be polled any more and that a token drops at most: jobs may be given up all at once."""
_REKEYED_AT_ONCE: Final = 256
"""Items that are rekeyed by the call that asks for it, which takes half a millisecond: a short queue is done then."""
_REKEYED_PER_TOKEN: Final = 32
"""Items of the others that a used token rekeys: all of them in a 32nd of the time until each is polled once."""
_REKEYED_PER_UNUSED: Final = 256
"""Items of the others that an unused token rekeys, when there is nothing else to do."""


class PollQueue(Generic[T]):
    """Items that wait for a poll, ordered by due time at the shadow price.

    Args:
        price: the shadow price of the budget.
        due: returns the time of an item's next poll at a price, never earlier at a higher one; None drops the item.
    """

    def __init__(self, price: ShadowPrice, due: Callable[[T, float], float | None]) -> None:
        self._price, self._due = price, due
        self._keyed = BucketQueue[T]()
        self._stale = BucketQueue[T]()
        self._rekey_again = False
        self._ask_at = -math.inf
        """When to ask again while the price falls, or items are to be rekeyed: at once after a poll."""

    def __len__(self) -> int:
        return len(self._keyed) + len(self._stale)

    def add(self, item: T) -> None:
        """Queue an item."""
        due = self._due(item, self._price.price)
        if due is not None:
            self._keyed.add(due, item)

    def take(self, now: float) -> T | None:
        """Remove and return the item to poll with a token that is ready now; None leaves the token unused."""
        price = self._price
        if price.stale:
            self.rekey_all()
        if price.at_floor and self._next_at() > now:
            price.move(now, late=False)  # the usual case while polls are plenty
            taken = None
        else:
            taken = self._take(now)
        if taken is None:
            self._ask_at = now + max(price.token_seconds, _MIN_UNUSED_SECONDS)
            self._rekey(_REKEYED_PER_UNUSED)
        else:
            self._ask_at = now
            self._rekey(_REKEYED_PER_TOKEN)
        return taken

    def take_until(self, until: float, admits: Callable[[T], bool], *, max_items: int) -> list[T]:
        """Remove and return items that `admits` and that are due by a time, in the order in which they are due."""
        taken, skipped = list[T](), list[T]()
        while self._next_at() <= until and len(taken) < max_items > len(skipped):
            _, item = self._pop()
            (taken if admits(item) else skipped).append(item)
        for item in skipped:
            self.add(item)
        return taken

    def wake_at(self, now: float) -> float | None:
        """Return the time at which to `take` again after None; None if the queue is empty."""
        if not len(self):
            return None
        due = self._next_at()
        if not self._price.at_floor or self._stale:
            due = min(due, self._ask_at)
        return max(due, now)

    def rekey_all(self) -> None:
        """Rekey all items, now or bit by bit; needed after a curve or a priority has changed."""
        self._price.mark_rekeyed()
        self._rekey_again = True
        self._rekey(_REKEYED_AT_ONCE)

    def _rekey(self, number: int) -> None:
        """Rekey so many of the items that are to be."""
        if not self._stale and self._rekey_again:
            self._keyed, self._stale, self._rekey_again = self._stale, self._keyed, False
        price, due = self._price.price, self._due
        for _ in range(min(number, len(self._stale))):
            _, item = self._stale.pop()
            at = due(item, price)
            if at is not None:
                self._keyed.add(at, item)

    def _take(self, now: float) -> T | None:
        """Remove and return the first item that is due at the present price, or at the floor."""
        price, rekeys, taken = self._price, _MAX_REKEYS, None
        skipped = list[tuple[float, T]]()
        while len(skipped) < _MAX_HEADS:
            head, rekeys = self._pop_head(rekeys)
            if not skipped:
                price.move(now, late=head is not None and head[0] < now - _LATE, items=len(self))
            if head is None:
                break
            if self._is_due(head, now):
                taken = head[1]
                break
            # An item with a fixed time, or with a high floor, must not keep the token from those behind it.
            skipped.append(head)
            if price.at_floor:
                break
        for at, item in skipped:
            self._keyed.add(at, item)
        return taken

    def _is_due(self, head: tuple[float, T], now: float) -> bool:
        """Return whether an item is due now, at the present price or at the floor."""
        if head[0] <= now:
            return True
        at_floor = self._due(head[1], self._price.floor)
        return at_floor is not None and at_floor <= now

    def _pop_head(self, rekeys: int) -> tuple[tuple[float, T] | None, int]:
        """Remove and return the head of the queue, rekeyed at the present price, and the rekeys that are left."""
        price, dropped = self._price.price, 0
        while len(self) and dropped < _MAX_DROPPED:
            at, item = self._pop()
            due = self._due(item, price)
            if due is None:
                dropped += 1
            elif self._price.at_ceiling:
                return (at, item), rekeys
            elif due <= self._next_at() or not rekeys:
                return (due, item), rekeys
            else:
                rekeys -= 1
                self._keyed.add(due, item)
        return None, rekeys

    def _next_at(self) -> float:
        return min(self._keyed.next_at(), self._stale.next_at())

    def _pop(self) -> tuple[float, T]:
        return (self._keyed if self._keyed.next_at() <= self._stale.next_at() else self._stale).pop()
