"""The providers that accept a job."""

from __future__ import annotations

from collections.abc import Iterable

from ..types.errors import InputError
from ..types.jobs import Job
from . import provider_named
from .base import Provider

__all__ = ["accepting"]


def accepting(job: Job, providers: Iterable[Provider]) -> list[Provider]:
    """Return the providers that accept a job: the one that it names, or those of the given ones.

    Raises:
        InputError: none does; it is the first provider's.
    """
    refusals: list[InputError] = []
    found: list[Provider] = []
    for provider in [provider_named(job.provider)] if job.provider else providers:
        try:
            provider.check(job.input, key=job.key)
        except InputError as error:
            refusals.append(error)
        else:
            found.append(provider)
    if not found:
        raise refusals[0]
    return found
