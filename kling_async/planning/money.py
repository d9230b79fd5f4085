"""What inputs will cost, before anything is sent. Unknown is unknown, never 0."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from attrs import frozen

from ..errors import BudgetExceeded, KlingError
from ..prediction import Prediction
from ..providers.spec import Price

__all__ = ["Budget", "Estimate", "estimate", "spent_on"]


@frozen(kw_only=True)
class Estimate:
    """What inputs will cost in US dollars.

    Attributes:
        low: at least this much, over the inputs whose price is published.
        high: at most this much, over the same inputs.
        priced: how many inputs have a published price.
        unpriced: the models, one entry per input, for which no price is published.
    """

    low: Decimal
    high: Decimal
    priced: int
    unpriced: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether every input has a published price."""
        return not self.unpriced

    def __str__(self) -> str:
        amount = f"${self.low}" if self.low == self.high else f"${self.low} to ${self.high}"
        if self.known:
            return amount
        rest = f"{len(self.unpriced)} at a price that is not published ({', '.join(sorted(set(self.unpriced)))})"
        return f"{amount} for {self.priced}, and {rest}" if self.priced else rest


def estimate(prices: Iterable[tuple[str, Price | None]]) -> Estimate:
    """Add up prices, each beside the name of its model."""
    low = high = Decimal(0)
    priced = 0
    unpriced: list[str] = []
    for model, price in prices:
        if price is None:
            unpriced.append(model)
            continue
        low, high, priced = low + price.low, high + price.high, priced + 1
    return Estimate(low=low, high=high, priced=priced, unpriced=tuple(unpriced))


class Budget:
    """Money that may be spent: reserved before a submission, settled when the job is over.

    Args:
        limit: US dollars; None is no limit.
    """

    def __init__(self, limit: Decimal | None) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self.reserved = Decimal(0)

    def reserve(self, price: Decimal | None) -> bool:
        """Reserve what a job can cost at most; return False if it does not fit now, since too much is under way."""
        if self.limit is None:
            return True
        if price is None:
            raise BudgetExceeded("A model without a published price cannot be held to max_cost", advice=_NAME_A_PRICE)
        if self.spent + self.reserved + price > self.limit:
            return False
        self.reserved += price
        return True

    def settle(self, price: Decimal | None, *, spent: Decimal | None) -> None:
        """Give a reservation back for what was spent; what is not known counts as all of it."""
        if self.limit is not None and price is not None:
            self.reserved -= price
            self.spent += price if spent is None else spent

    def exceeded(self, key: str | None, price: Decimal | None) -> BudgetExceeded:
        """Return the error for a job that does not fit any more; `price` is the most that it can cost."""
        used, most = self.spent + self.reserved, price or Decimal(0)
        left = (self.limit or Decimal(0)) - used
        told = f"The next job would pass max_cost: it costs up to ${most}, and ${left} of ${self.limit} are left"
        return BudgetExceeded(told, key=key, advice=_RAISE_IT.format(enough=used + most))


_RAISE_IT = (
    "It was not sent, and neither was any job after it; what was submitted before is paid for and was finished. "
    "max_cost={enough} would do for this job; add what the jobs after it cost."
)


def spent_on(prediction: Prediction | None, error: KlingError | None, price: Decimal | None) -> Decimal | None:
    """Return what a job that is over has cost at most; None where that is not known."""
    if error is not None and not error.may_be_billed:
        return Decimal(0)
    free = prediction is not None and prediction.cost == 0
    return Decimal(0) if free else price


_NAME_A_PRICE = "Nothing was sent for it. Say what it costs with prices={model: dollars}."
