"""How many requests per second an account may send."""

from __future__ import annotations

from attrs import define

__all__ = ["Meter"]


_ROUNDING = 1e-9
"""Seconds that sums of floats may be off: less than that is no wait."""


@define
class Meter:
    """A bucket of `burst` requests that fills at `per_second`; None lets everything through."""

    per_second: float | None
    burst: int = 1
    _full_at: float = float("-inf")

    def take(self, now: float) -> float:
        """Take one request; return 0 when it is allowed, else the seconds until one would be."""
        if self.per_second is None:
            return 0.0
        cost = 1 / self.per_second
        # Generic cell rate: a bucket that would be full again at `_full_at` lacks one request per `cost` until then.
        filled_at = max(self._full_at, now) + cost
        wait = filled_at - self.burst * cost - now
        if wait > _ROUNDING:
            return wait
        self._full_at = filled_at
        return 0.0
