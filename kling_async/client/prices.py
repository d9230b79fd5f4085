"""What a client knows of costs, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..providers import Provider
from ..providers.pricing import Estimate, estimate
from ..runtime.quotes import quote, table_price
from ..runtime.tracebacks import short_tracebacks
from ..system.interrupts import defer_interrupts
from ..types.inputs import Input
from ..types.jobs import Job
from .outputs import OutputsClient

__all__ = ["PricesClient"]


class PricesClient(OutputsClient):
    """Estimates and quotes costs; `Client` describes the arguments."""

    @short_tracebacks
    def estimate(self, jobs: Iterable[Job | Input], *, provider: str | None = None) -> Estimate:
        """Return what jobs or inputs will cost, before anything is sent; it needs no key.

        Raises:
            InputError: a job is wrong. Its text names the position.
        """
        return estimate(table_price(input, at) for input, at in self._with_providers(jobs, provider))

    @defer_interrupts
    @short_tracebacks
    async def quote(self, jobs: Iterable[Job | Input], *, provider: str | None = None) -> Estimate:
        """Return what jobs or inputs will cost: by the provider's live price, or the table's where it tells none.

        It charges nothing. Inputs with equal requests are asked about once, a few at a time; `live` counts the live
        prices in the result.

        Raises:
            InputError: a job is wrong, or there is no API key. Its text names the position of a job.
            AuthenticationError: the provider refuses the API key.
        """
        return await quote(self._with_providers(jobs, provider), accounts=self._accounts, settings=self._settings)

    def _with_providers(self, jobs: Iterable[Job | Input], provider: str | None) -> Iterator[tuple[Input, Provider]]:
        """Yield the input of each job with the provider that takes it. Raises InputError, which names the position."""
        router = self._router([self._settings.provider(provider)])
        for position, item in enumerate(jobs):
            job, chosen = self._checked(item, router, position=position)
            yield job.input, chosen
