"""Where a batch's jobs get a name, a provider, a check and a price, before an account gets them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from attrs import evolve

from .errors import InputError
from .inputs import Input, Job, fingerprint
from .planning.moves import Listener, Ticket
from .prediction import Prediction
from .providers import Provider, provider_named
from .scheduler import Scheduler

__all__ = ["Desk"]


class Desk:
    """What a batch needs to know of its client.

    Args:
        providers: who may do what does not name a provider itself.
        scheduler: has the accounts.
        save: downloads a prediction's outputs; None to leave them where they are.
        prices: US dollars by model, before those that are published.
        wait_for: seconds that one job may take.
    """

    def __init__(
        self,
        *,
        providers: Sequence[Provider],
        scheduler: Scheduler,
        save: Callable[[Prediction], Awaitable[list[Path]]] | None,
        prices: Mapping[str, Decimal],
        wait_for: float,
    ) -> None:
        self._providers = providers
        self._scheduler = scheduler
        self._prices = prices
        self._wait_for = wait_for
        self.save = save

    def plan(self, item: Job | Input, *, position: int) -> Job:
        """Name a job, choose its provider, and check it. Raises InputError."""
        job = item if isinstance(item, Job) else Job(item)
        key = job.key or f"{fingerprint(job.input)[:12]}-{position}"
        provider = self._choose(job, key)
        return evolve(job, key=key, provider=provider.name)

    def _choose(self, job: Job, key: str) -> Provider:
        """Return the provider with the least to do among those that take the input."""
        candidates = [provider_named(job.provider)] if job.provider else self._providers
        refusals: list[InputError] = []
        fitting: list[Provider] = []
        for provider in candidates:
            try:
                provider.check(job.input, key=key)
            except InputError as error:
                refusals.append(error)
            else:
                fitting.append(provider)
        if not fitting:
            raise refusals[0]
        return min(fitting, key=lambda provider: self._scheduler.account(provider).engine.load)

    def price(self, job: Job) -> Decimal | None:
        """Return the most that a job can cost in US dollars; None where no price is known."""
        if job.input.model in self._prices:
            return self._prices[job.input.model]
        price = provider_named(job.provider or "").spec(job.input).price(job.input)
        return None if price is None else price.high

    def begin(self, job: Job, *, listener: Listener) -> Ticket:
        """Hand a job to its account."""
        return self._scheduler.begin(
            job, provider_named(job.provider or ""), listener=listener, wait_for=self._wait_for
        )

    def forget(self, ticket: Ticket, provider: str, *, now: float) -> None:
        """Stop listening to a job; what is not submitted yet never is."""
        self._scheduler.account(provider_named(provider)).engine.forget(ticket, now=now)
