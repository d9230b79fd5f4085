"""Choose the provider of a job, and say what the job can cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import get_args

from ..providers import Provider, provider_named
from ..providers.selection import Prefer, accepting, resolved
from ..types.errors import InputError, InputFault
from ..types.jobs import Job
from .accounts import Accounts

__all__ = ["Router"]


class Router:
    """Routes jobs to providers.

    Args:
        providers: candidates for jobs that name no provider themselves.
        accounts: know the load of each provider.
        prices: US dollars by model, which go before published prices.
        prefer: which of several providers a job goes to.
        failover: whether a job that certainly did not start at one provider moves on to another.

    Raises:
        InputError: `prefer` is neither of its values, or there is one provider only to fail over from.
    """

    def __init__(
        self,
        *,
        providers: Sequence[Provider],
        accounts: Accounts,
        prices: Mapping[str, Decimal] | None = None,
        prefer: Prefer = "least_loaded",
        failover: bool = False,
    ) -> None:
        if prefer not in get_args(Prefer):
            fault = InputFault("prefer", prefer, f"must be one of {', '.join(get_args(Prefer))}")
            raise InputError.of("Wrong setting", [fault])
        if failover and len(providers) == 1:
            fault = InputFault("failover", failover, "needs several providers: provider=(...)")
            raise InputError.of("Wrong setting", [fault], provider=providers[0].name)
        self.failover = failover
        self._prefer = prefer
        self._providers = providers
        self._accounts = accounts
        self._prices = prices or {}

    def candidates(self, job: Job) -> list[Provider]:
        """Return the providers that accept a job. Raises InputError, the first provider's, if none does."""
        found: list[Provider] = []
        refusals: list[InputError] = []
        for provider in accepting(job, self._providers, storage=self._accounts.storage is not None):
            try:
                self._accounts.check_key(provider, job.input)
            except InputError as error:
                error.key = job.key
                refusals.append(error)
            else:
                found.append(provider)
        if not found:
            raise refusals[0]
        return found

    def select_provider(self, job: Job) -> Provider:
        """Return the preferred provider among those that take a job. Raises InputError if none does.

        An unknown price ranks last, and the least loaded of several with the same price is taken.
        """
        candidates = self.candidates(job)
        return min(candidates, key=self._rank(job, candidates))

    def ranked(self, job: Job) -> list[Job]:
        """Return a job at each provider that takes it, the preferred one first. Raises InputError if none does.

        Providers that are blocked, paused by a 429, or out of reach at present come last.
        """
        candidates, now = self.candidates(job), self._accounts.clock.now()
        rank = self._rank(job, candidates)
        candidates.sort(key=lambda one: (not self._accounts.account(one).engine.is_available(now), rank(one)))
        return [resolved(job, provider.name) for provider in candidates]

    def _rank(self, job: Job, candidates: Sequence[Provider]) -> Callable[[Provider], tuple[Decimal, float]]:
        by_price = self._prefer == "cheapest" and len(candidates) > 1

        def rank(provider: Provider) -> tuple[Decimal, float]:
            price = self.max_price(resolved(job, provider.name)) if by_price else Decimal(0)
            return Decimal("Infinity") if price is None else price, self._accounts.account(provider).engine.load

        return rank

    def max_price(self, job: Job) -> Decimal | None:
        """Return the most that a job, with provider and model, can cost in US dollars; None where no price is known."""
        model = job.input.model or ""
        # What was accepted in an earlier run may be of a model that the provider does not list any more.
        spec = provider_named(job.provider or "").find_model(model)
        for name in (model,) if spec is None else (model, spec.name, spec.canonical):
            if name in self._prices:
                return self._prices[name]
        price = None if spec is None else spec.price(job.input)
        return None if price is None else price.high
