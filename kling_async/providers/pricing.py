"""Estimates: what inputs will cost, before anything is sent. Unknown is unknown, never 0."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from attrs import frozen

from ..types.formatting import format_count, format_price_range
from .spec import Price

__all__ = ["Estimate", "estimate"]


@frozen(kw_only=True)
class Estimate:
    """What inputs will cost in US dollars.

    Attributes:
        low: at least this much, over the inputs whose price is published.
        high: at most this much, over the same inputs.
        priced: how many inputs have a published price.
        unpriced: the models, one entry per input, for which no price is published.
        live: how many of the prices the provider has told just now; the others are from the tables.
    """

    low: Decimal
    high: Decimal
    priced: int
    unpriced: tuple[str, ...] = ()
    live: int = 0

    @property
    def known(self) -> bool:
        """Whether every input has a published price."""
        return not self.unpriced

    def __repr__(self) -> str:
        return f"Estimate({self}" + (f", {self.live} of the prices live)" if self.live else ")")

    def __str__(self) -> str:
        amount = format_price_range(self.low, self.high)
        if self.known:
            return amount
        models = ", ".join(sorted(set(self.unpriced)))
        unknown = f"unknown for {format_count(len(self.unpriced), 'job')} (no published price for {models})"
        return f"{amount} for {format_count(self.priced, 'job')}, {unknown}" if self.priced else unknown


def estimate(prices: Iterable[tuple[str, Price | None]], *, live: int = 0) -> Estimate:
    """Add up prices, each beside the name of its model; `live` of them are from the provider itself."""
    low = high = Decimal(0)
    priced = 0
    unpriced: list[str] = []
    for model, price in prices:
        if price is None:
            unpriced.append(model)
            continue
        low, high, priced = low + price.low, high + price.high, priced + 1
    return Estimate(low=low, high=high, priced=priced, unpriced=tuple(unpriced), live=live)
