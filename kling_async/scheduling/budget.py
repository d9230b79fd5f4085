"""A spending limit: money is reserved before a submission and settled once the job is finished."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ..types.admission import money_fits, settled_cost
from ..types.errors import BudgetExceeded, KlingError
from ..types.prediction import Prediction

__all__ = ["Budget", "max_spent"]

_NAME_A_PRICE: Final = "Nothing was sent for it. Say what it costs with prices={model: dollars}."
_RAISE_LIMIT: Final = (
    "It was not sent, and neither was any job after it; what was submitted before is paid for and was finished. "
    "max_cost={enough} would do for this job; add what the jobs after it cost."
)


class Budget:
    """Money that may be spent.

    Args:
        limit: US dollars; None is no limit.

    Attributes:
        limit: the limit, in US dollars.
        spent: US dollars that finished jobs have cost.
        reserved: US dollars that unfinished jobs can cost at most.
    """

    def __init__(self, limit: Decimal | None) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self.reserved = Decimal(0)

    def reserve(self, price: Decimal | None) -> bool:
        """Reserve the maximum price of a job; return False if too much is reserved at present.

        Raises:
            BudgetExceeded: there is a limit, and the price is unknown.
        """
        if self.limit is None:
            return True
        if price is None:
            raise BudgetExceeded("A model without a published price cannot be held to max_cost", advice=_NAME_A_PRICE)
        if not money_fits(price, spent=self.spent, reserved=self.reserved, limit=self.limit):
            return False
        self.reserved += price
        return True

    def settle(self, price: Decimal | None, *, spent: Decimal | None) -> None:
        """Replace a reservation by the amount spent; an unknown amount counts as the whole reservation."""
        if self.limit is not None and price is not None:
            self.reserved -= price
            self.spent += settled_cost(price, spent=spent)

    def exceeded(self, key: str | None, price: Decimal | None) -> BudgetExceeded:
        """Return the error for a job that does not fit any more; `price` is its maximum price."""
        used, cost = self.spent + self.reserved, price or Decimal(0)
        left = (self.limit or Decimal(0)) - used
        message = f"The next job would pass max_cost: it costs up to ${cost}, and ${left} of ${self.limit} are left"
        return BudgetExceeded(message, key=key, advice=_RAISE_LIMIT.format(enough=used + cost))


def max_spent(prediction: Prediction | None, error: KlingError | None, price: Decimal | None) -> Decimal | None:
    """Return the maximum cost of a finished job, in US dollars; None where that is not known."""
    if error is not None and not error.may_be_billed:
        return Decimal(0)
    free = prediction is not None and prediction.cost == 0
    return Decimal(0) if free else price
