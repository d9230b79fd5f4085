"""The table of a plan: what the jobs of each model cost, how long it takes to submit them, and which are equal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import ceil
from typing import TypeAlias

from attrs import define, field

from ..providers import Provider, provider_named
from ..providers.selection import accepting
from ..types.formatting import format_count, format_duration, format_price_range, format_rate
from ..types.hash_table import KeySet
from ..types.jobs import Job, fingerprint
from ..types.limits import Limits
from .console import echo, escape, stderr, table_of
from .options import Options

__all__ = ["PlanTable"]

_Row: TypeAlias = tuple[str, str]
"""A model, and the names of the providers that take it."""


@define
class _Cost:
    """The jobs of one model, and the number of those at each price."""

    jobs: int = 0
    prices: dict[tuple[Decimal, Decimal], int] = field(factory=dict[tuple[Decimal, Decimal], int])

    @property
    def is_complete(self) -> bool:
        """Whether each job has a price."""
        return sum(self.prices.values()) == self.jobs

    @property
    def unit(self) -> str:
        """The price of one job: a range if it differs."""
        if not self.prices:
            return "not published"
        text = format_price_range(min(low for low, _ in self.prices), max(high for _, high in self.prices))
        return text if self.is_complete else f"{text}, or not published"

    @property
    def total(self) -> str:
        """The price of all jobs."""
        if not self.prices:
            return "unknown"
        low = sum((price[0] * count for price, count in self.prices.items()), Decimal(0))
        high = sum((price[1] * count for price, count in self.prices.items()), Decimal(0))
        return format_price_range(low, high) + ("" if self.is_complete else " and more")


@define
class PlanTable:
    """Counts the jobs of a plan by model and provider; it keeps no job, and some 10 bytes for each input.

    Attributes:
        options: the providers and prices of the jobs.
        repeated: number of jobs whose input is that of an earlier one.
        first_repeated: the key of the first of them.
    """

    options: Options
    repeated: int = 0
    first_repeated: str = ""
    _costs: dict[_Row, _Cost] = field(factory=dict[_Row, _Cost])
    _used: dict[str, Provider] = field(factory=dict[str, Provider])
    _seen: KeySet = field(factory=KeySet)

    def add(self, job: Job) -> None:
        """Count a job that some provider accepts."""
        storage = self.options.storage is not None
        providers = accepting(job, map(provider_named, self.options.providers), storage=storage)
        self._used |= {provider.name: provider for provider in providers}
        row = providers[0].spec(job.input).canonical, " or ".join(provider.name for provider in providers)
        cost = self._costs.setdefault(row, _Cost())
        cost.jobs += 1
        prices = [price for provider in providers for price in self._prices(job, provider)]
        if len(prices) == len(providers):
            price = (min(low for low, _ in prices), max(high for _, high in prices))
            cost.prices[price] = cost.prices.get(price, 0) + 1
        if not self._seen.add(f"{job.provider} {fingerprint(job.input)}"):
            self.repeated += 1
            self.first_repeated = self.first_repeated or (job.key or "")

    def _prices(self, job: Job, provider: Provider) -> list[tuple[Decimal, Decimal]]:
        spec = provider.spec(job.input)
        own, price = self.options.prices.get(spec.name), spec.price(job.input)
        if own is not None:
            return [(own, own)]
        return [] if price is None else [(price.low, price.high)]

    def print(self) -> None:
        """Print the table, the time that submitting takes at least, and how many inputs are repeated."""
        table = table_of("model", "provider", "jobs", "price", "total")
        for (model, providers), cost in self._costs.items():
            table.add_row(escape(model), escape(providers), f"{cost.jobs:,}", cost.unit, cost.total)
        stderr.print(table)
        set_limits = self.options.limits_of(self._used.values()) or {}
        limits = [set_limits.get(one.name, one.limits) for one in self._used.values()]
        rate, burst = _rate(limits), sum(one.submit_burst for one in limits)
        later = sum(cost.jobs for cost in self._costs.values()) - burst
        if rate is not None and later > 0:
            echo(f"Submitting takes {format_duration(ceil(later / rate))} at least, at {format_rate(rate)}.")
        if self.repeated:
            jobs_have = f"{format_count(self.repeated, 'job')} {'has' if self.repeated == 1 else 'have'}"
            echo(f"[yellow]{jobs_have} the input of an earlier job, such as {escape(self.first_repeated)}.[/]")


def _rate(limits: Sequence[Limits]) -> float | None:
    """Return submissions per second at all providers together; None without a limit."""
    known = [rate for one in limits if (rate := one.submit_per_second) is not None]
    return sum(known) if known and len(known) == len(limits) else None
