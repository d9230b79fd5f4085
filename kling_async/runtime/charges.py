"""The costs of a batch: which of its jobs it pays for itself, and which are paid for by another call."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

from ..scheduling.budget import Budget
from .admission import Admission

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

    def begin(self, position: int, admission: Admission) -> Callable[[], bool] | None:
        """Note which call pays for a job; return what asks later whether the batch pays for one that it has joined."""
        if admission.is_billable:
            self.bill(position)
        elif admission.ticket is not None:
            if admission.ticket.subscriptions:
                self.join(position)
            if self.is_limited:
                return partial(self.take_over, position, admission.price)
        return None

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

    def settle(self, position: int, price: Decimal | None, *, spent: Decimal | None) -> bool:
        """Settle the reserved price of a job that has ended if the batch pays for it, and return whether it does."""
        self._joined.discard(position)
        pays = position in self._billed
        if pays:
            self._billed.discard(position)
            self._budget.settle(price, spent=spent)
        return pays
