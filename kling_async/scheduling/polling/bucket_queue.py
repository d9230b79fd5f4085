"""Items by the time at which each is due, in buckets of one time.

Theory of operation. A `PollPolicy` lets planned polls wait for ticks, so that a hundred thousand are due at a few
thousand times. Each time has a bucket, a list of its items, and a heap has the times. An item then costs eight bytes,
where a heap of pairs takes a hundred, and adding or removing one costs the same however many are due with it. Items of
one time come in no certain order.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import Generic, TypeVar

__all__ = ["BucketQueue"]

T = TypeVar("T")


class BucketQueue(Generic[T]):
    """Items, those first that are due first."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._buckets: dict[float, list[T]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, at: float, item: T) -> None:
        """Add an item that is due at a time."""
        self._size += 1
        bucket = self._buckets.get(at)
        if bucket is None:
            self._buckets[at] = [item]
            heappush(self._times, at)
        else:
            bucket.append(item)

    def next_at(self) -> float:
        """Return the time at which the first item is due; infinity if there is none."""
        return self._times[0] if self._times else math.inf

    def pop(self) -> tuple[float, T]:
        """Remove and return an item that is due first, with its time. Raises IndexError if there is none."""
        at = self._times[0]
        bucket = self._buckets[at]
        self._size -= 1
        if len(bucket) == 1:
            heappop(self._times)
            del self._buckets[at]
        return at, bucket.pop()
