"""How much may be open at once: weighted slots, taken at submit and held until the prediction is finished.

Kling counts an image job as often as it makes images, and a video once; what exceeds the slots is refused with 429.
"""

from __future__ import annotations

__all__ = ["Slots"]


class Slots:
    """A number of slots.

    Args:
        limit: how many; None is no limit, for a provider that queues what it cannot run yet.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.taken = 0

    def fit(self, weight: int) -> bool:
        """Return whether there is room. What outweighs all slots together goes alone."""
        return self.limit is None or self.taken == 0 or self.taken + weight <= self.limit

    def take(self, weight: int) -> None:
        """Take slots; also more than there are, for what an earlier run has submitted."""
        self.taken += weight

    def give(self, weight: int) -> None:
        """Give slots back."""
        self.taken -= weight
