"""What a sheet asks for in all: jobs, faults and money, known before anything is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from ..errors import InputError, InputFault
from ..inputs import Job
from ..planning.money import Estimate
from ..providers import Price, provider_named
from .rows import Row, SheetFault

__all__ = ["Survey"]

_Range: TypeAlias = tuple[Decimal, Decimal]

_TOLD: Final = 1000
"""Faults that are kept; whoever has more has one that repeats."""


class Survey:
    """Looks at rows as they pass; holds counts and faults, and no row.

    Args:
        providers: who may do what does not name a provider itself.
        prices: US dollars by model, before those that are published.

    Attributes:
        rows: rows that were seen.
        jobs: jobs in rows without a fault.
        faulty: rows with a fault.
        faults: what is wrong with them; the first thousand.
    """

    def __init__(self, providers: Sequence[str], *, prices: Mapping[str, Decimal] | None = None) -> None:
        self._providers = [provider_named(name) for name in providers]
        self._prices = prices or {}
        self._low = self._high = Decimal(0)
        self._unpriced: Counter[str] = Counter()
        self.rows = self.jobs = self.faulty = 0
        self.faults: list[SheetFault] = []

    def see(self, row: Row) -> Row:
        """Count a row, and return it: without its jobs, and with the reasons, if no provider would take one of them."""
        prices: list[tuple[str, _Range | None]] = []
        refusals: list[InputFault] = []
        for job in row.jobs:
            try:
                prices.append((job.input.model, self._price(job)))
            except InputError as error:
                refusals += error.faults
        seen = row.refused(refusals) if refusals else row
        self.rows += 1
        if seen.faults:
            self.faulty += 1
            self.faults += seen.faults[: _TOLD - len(self.faults)]
            return seen
        self.jobs += len(prices)
        for model, price in prices:
            if price is None:
                self._unpriced[model] += 1
            else:
                self._low, self._high = self._low + price[0], self._high + price[1]
        return seen

    def _price(self, job: Job) -> _Range | None:
        """Return what a job costs at those that take it; None where one does not say. Raises InputError if none do."""
        asked = [provider_named(job.provider)] if job.provider else self._providers
        refusals: list[InputError] = []
        prices: list[Price | None] = []
        for provider in asked:
            try:
                provider.check(job.input)
            except InputError as error:
                refusals.append(error)
            else:
                prices.append(provider.spec(job.input).price(job.input))
        if not prices:
            raise refusals[0]
        own = self._prices.get(job.input.model)
        if own is not None:
            return own, own
        known = [price for price in prices if price is not None]
        if len(known) < len(prices):
            return None
        return min(price.low for price in known), max(price.high for price in known)

    @property
    def estimate(self) -> Estimate:
        """What the jobs will cost."""
        unpriced = tuple(self._unpriced.elements())
        return Estimate(low=self._low, high=self._high, priced=self.jobs - len(unpriced), unpriced=unpriced)
