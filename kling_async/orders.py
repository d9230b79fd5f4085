"""Inputs become jobs: with a key, with a provider that takes them, and at a price."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from .effects.clock import Clock
from .errors import InputError, InputFault
from .inputs import ImageInput, Input, Job, VideoInput
from .naming import Names, fingerprint
from .providers import Provider, provider_named

__all__ = ["Orders"]


class Orders:
    """Makes jobs of what is asked for.

    Args:
        providers: who may do what does not name a provider itself.
        clock: dice for keys.
        load: says how much a provider has to do.
        prices: US dollars by model, before those that are published.
    """

    def __init__(
        self,
        *,
        providers: Sequence[Provider],
        clock: Clock,
        load: Callable[[Provider], float],
        prices: Mapping[str, Decimal] | None = None,
    ) -> None:
        self._providers = providers
        self._clock = clock
        self._load = load
        self._prices = prices or {}
        self._names = Names()

    def named(self, item: Job | Input) -> Job:
        """Give a job a key, if it has none."""
        return self._names.named(item)

    def purchase(
        self, input: object, provider: Provider, *, key: str | None = None, position: int | None = None
    ) -> Job:
        """Make a job of an input that somebody asks for; without a key each call is a purchase of its own.

        Args:
            position: its place among several, which are checked here, before any of them is sent.

        Raises:
            InputError: it is no input, the key is malformed, or, of several, the provider does not take it.
        """
        if not isinstance(input, (ImageInput, VideoInput)):
            # Callers without a type checker get an error before money, too.
            fault = InputFault("input", input, "must be an ImageInput or a VideoInput")
            raise InputError.of("Nothing to generate", [fault])
        if key is None:
            kind = "image" if isinstance(input, ImageInput) else "video"
            # Of a thousand calls for one input no two may have one key: the second would join the first.
            key = f"{kind}-{fingerprint(input)[:8]}-{int(self._clock.dice() * 16**12):012x}"
        if position is not None:
            key = f"{key}-{position}"
            try:
                provider.check(input, key=key)
            except InputError as error:
                error.message = f"Input {position}: {error.message}"
                raise
        return Job(input, key=key, provider=provider.name)

    def choose(self, job: Job) -> Provider:
        """Return the provider with the least to do among those that take the input."""
        candidates = [provider_named(job.provider)] if job.provider else self._providers
        refusals: list[InputError] = []
        fitting: list[Provider] = []
        for provider in candidates:
            try:
                provider.check(job.input, key=job.key)
            except InputError as error:
                refusals.append(error)
            else:
                fitting.append(provider)
        if not fitting:
            raise refusals[0]
        return min(fitting, key=self._load)

    def price(self, job: Job) -> Decimal | None:
        """Return the most that a job can cost in US dollars; None where no price is known."""
        if job.input.model in self._prices:
            return self._prices[job.input.model]
        spec = provider_named(job.provider or "").models.get(job.input.model)
        price = None if spec is None else spec.price(job.input)
        return None if price is None else price.high
