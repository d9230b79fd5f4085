"""Limit how much may be open at once: weighted slots, held from submission until the prediction has finished.

Kling counts an image job as often as it makes images, and a video once; a job beyond the slots is refused with 429.
"""

from __future__ import annotations

from ..types.admission import slots_fit

__all__ = ["Slots"]


class Slots:
    """A number of slots.

    Args:
        limit: the number of slots; None is no limit, for a provider that queues the jobs it cannot run yet.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.in_use = 0

    def fits(self, slots: int) -> bool:
        """Return whether so many slots are free. A job larger than the limit fits if it is alone."""
        return slots_fit(slots, in_use=self.in_use, limit=self.limit)

    def acquire(self, slots: int) -> None:
        """Take slots, even beyond the limit: an earlier run may have submitted more."""
        self.in_use += slots

    def release(self, slots: int) -> None:
        """Give slots back."""
        self.in_use -= slots
