"""The providers that accept a job, and the nearest one that could; a job as it is submitted at one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from attrs import evolve

from ..types.errors import InputError
from ..types.inputs import Input
from ..types.jobs import Job
from . import PROVIDERS, provider_named
from .base import Provider
from .spec import ModelSpec
from .validation import validate

__all__ = ["Prefer", "accepting", "as_submitted", "nearest", "resolved"]

Prefer: TypeAlias = Literal["least_loaded", "cheapest"]
"""Which of several providers a job goes to."""


def accepting(job: Job, providers: Iterable[Provider], *, storage: bool = False) -> list[Provider]:
    """Return the providers that accept a job: the one that it names, or those of the given ones.

    Args:
        job: the job.
        providers: candidates for a job that names none.
        storage: whether the user has given a bucket for local media.

    Raises:
        InputError: none does; it is the first provider's, and names the nearest model that could.
    """
    refusals: list[InputError] = []
    found: list[Provider] = []
    asked = [provider_named(job.provider)] if job.provider else list(providers)
    for provider in asked:
        try:
            provider.check(job.input, key=job.key, storage=storage)
        except InputError as error:
            refusals.append(error)
        else:
            found.append(provider)
    if not found:
        hint = nearest(job.input, asked)
        refusals[0].advice += f" {hint}" if hint else ""
        raise refusals[0]
    return found


def nearest(input: Input, asked: Iterable[Provider]) -> str:
    """Return a sentence about the nearest model that takes an input; an empty string if none does.

    The same model at another provider is nearest, then another model at a provider that was asked, then any.
    """
    asked = list(asked)
    wanted = {spec.canonical for provider in asked if (spec := _model_of(provider, input)) is not None}
    wanted |= {input.model} if input.model else set()
    able = [(provider, spec) for provider, spec in _models() if _takes(spec, input)]
    if not able:
        return ""
    provider, spec = min(able, key=lambda one: (one[1].canonical not in wanted, one[0] not in asked))
    return f"{spec.canonical} at {provider.name} takes it."


def _models() -> Iterator[tuple[Provider, ModelSpec]]:
    for provider in PROVIDERS.values():
        for spec in provider.models.values():
            yield provider, spec


def _model_of(provider: Provider, input: Input) -> ModelSpec | None:
    try:
        return provider.spec(input)
    except InputError:
        return None


def _takes(spec: ModelSpec, input: Input) -> bool:
    return spec.kind == input.kind and next(validate(spec, evolve(input, model=spec.name)), None) is None


def resolved(job: Job, provider: str) -> Job:
    """Return a job with a provider, and with the provider's default model if its input names none."""
    return evolve(job, provider=provider, input=provider_named(provider).resolve(job.input))


def as_submitted(job: Job, provider: str) -> Job:
    """Return a job as it was submitted at a provider: with that, and with its default model if the input names none.

    A journal knows inputs by their model, so that only such a job can be compared with a submission. A job that the
    provider has no default model for, or whose provider is not known any more, is returned as it is.
    """
    try:
        return resolved(job, provider) if provider in PROVIDERS else job
    except InputError:
        return job
