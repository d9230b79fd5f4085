"""The costs of a batch: which of its jobs it pays for itself, and which are paid for by another call."""

from __future__ import annotations

from decimal import Decimal

from ..scheduling.budget import Budget

__all__ = ["Charges"]


class Charges:
    """The jobs of a batch, by position, that cost something.

    Args:
        budget: in which the prices of the billed jobs are reserved.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._billed = set[int]()
        self._joined = set[int]()

    @property
    def is_limited(self) -> bool:
        """Whether the budget has a limit."""
        return self._budget.limit is not None

    def bill(self, position: int) -> None:
        """Note that the batch pays for a job, whose price is reserved."""
        self._billed.add(position)

    def join(self, position: int) -> None:
        """Note that another call pays for a job."""
        self._joined.add(position)

    def is_joined(self, position: int) -> bool:
        """Return whether another call pays for a job."""
        return position in self._joined

    def take_over(self, position: int, price: Decimal | None) -> bool:
        """Pay for a job that was joined, since the call that was to pay has left; return False without budget."""
        if price is None or not self._budget.reserve(price):
            return False
        self._joined.discard(position)
        self._billed.add(position)
        return True

    def settle(self, position: int, price: Decimal | None, *, spent: Decimal | None) -> None:
        """Settle the reserved price of a job that has ended, if the batch pays for it."""
        self._joined.discard(position)
        if position in self._billed:
            self._billed.discard(position)
            self._budget.settle(price, spent=spent)
