"""Summarize a job file before anything is sent: jobs, faults and expected cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from ...providers import Price, provider_named
from ...providers.pricing import Estimate
from ...providers.selection import accepting
from ...types.errors import InputError, InputFault
from ...types.jobs import Job
from ..targets import Target, name_faults
from .rows import JobfileFault, Row

__all__ = ["JobfileSummary"]

_Range: TypeAlias = tuple[Decimal, Decimal]

_SHOWN: Final = 1000
"""Faults that are kept; more than that repeat each other."""


class JobfileSummary:
    """Counts the rows of a job file, checks them and adds up their prices; it keeps no row.

    Args:
        providers: providers for jobs that do not name one.
        prices: US dollars per job by model, which take precedence over published prices.
        storage: whether there is a bucket for local media.

    Attributes:
        rows: number of rows.
        jobs: number of jobs in rows without a fault.
        faulty: number of rows with a fault.
        faults: the first thousand faults.
    """

    def __init__(
        self, providers: Sequence[str], *, prices: Mapping[str, Decimal] | None = None, storage: bool = False
    ) -> None:
        self._providers = [provider_named(name) for name in providers]
        self._prices = prices or {}
        self._storage = storage
        self._low = self._high = Decimal(0)
        self._unpriced: Counter[str] = Counter()
        self.rows = self.jobs = self.faulty = 0
        self.faults: list[JobfileFault] = []

    def add(self, row: Row) -> Row:
        """Count a row and return it, with faults in place of its jobs if no provider accepts one of them."""
        prices: list[tuple[str, _Range | None]] = []
        refusals: dict[Target, list[InputFault]] = {}
        for job in row.jobs:
            own = refusals.setdefault(Target.of(job), [])
            try:
                prices.append(self._price(job))
            except InputError as error:
                own += error.faults
        faults = name_faults(refusals) if any(refusals.values()) else []
        checked = row.with_faults(faults) if faults else row
        self.rows += 1
        if checked.faults:
            self.faulty += 1
            self.faults += checked.faults[: _SHOWN - len(self.faults)]
            return checked
        self.jobs += len(prices)
        for model, price in prices:
            if price is None:
                self._unpriced[model] += 1
            else:
                self._low, self._high = self._low + price[0], self._high + price[1]
        return checked

    def _price(self, job: Job) -> tuple[str, _Range | None]:
        """Return a job's model, and its price range over the providers that accept it; None if one has no price.

        The model is that of the first provider without a price, or else of the first one.

        Raises:
            InputError: no provider accepts it.
        """
        prices: list[tuple[str, _Range | None]] = []
        for provider in accepting(job, self._providers, storage=self._storage):
            spec = provider.spec(job.input)  # the provider's default where the input names no model
            prices.append((spec.name, self._range(spec.name, spec.price(job.input))))
        unpriced = [model for model, price in prices if price is None]
        if unpriced:
            return unpriced[0], None
        known = [price for _, price in prices if price is not None]
        return prices[0][0], (min(low for low, _ in known), max(high for _, high in known))

    def _range(self, model: str, price: Price | None) -> _Range | None:
        """Return the given price of a model, or else the published one."""
        own = self._prices.get(model)
        if own is not None:
            return own, own
        return None if price is None else (price.low, price.high)

    @property
    def estimate(self) -> Estimate:
        """The expected cost of the jobs."""
        unpriced = tuple(self._unpriced.elements())
        return Estimate(low=self._low, high=self._high, priced=self.jobs - len(unpriced), unpriced=unpriced)
