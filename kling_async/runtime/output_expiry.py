"""When the outputs of a prediction are gone, or will be soon: the rules for downloads, and for outputs as media."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ..providers import provider_named
from ..types.errors import BadRequest, KlingError
from ..types.prediction import OutputSource, Prediction, Status

__all__ = ["is_forgotten", "is_kept", "lifetime_of", "removal_reason"]

_NO_RECORD: Final = (404, 410)
"""HTTP statuses of a poll for a prediction whose record was removed."""
_SHARE: Final = 0.9
"""Share of the time that a provider keeps outputs for which a URL counts as one that works."""


def lifetime_of(provider: str) -> float | None:
    """Return the seconds for which a provider keeps outputs; None where no page says it."""
    return provider_named(provider).capabilities.output_ttl.value


def is_kept(source: OutputSource, *, now: datetime) -> bool:
    """Return whether a provider keeps an output for some time yet; true where it is unknown."""
    lifetime = lifetime_of(source.provider)
    if lifetime is None or source.created_at is None:
        return True
    return now < source.created_at + timedelta(seconds=_SHARE * lifetime)


def is_forgotten(error: KlingError) -> bool:
    """Return whether the error of a poll means that the provider has removed the prediction's record."""
    return isinstance(error, BadRequest) and (error.http_status in _NO_RECORD or error.is_unknown_id)


def removal_reason(seen: Prediction) -> str | None:
    """Return why a prediction that had outputs has none now; None if it has them."""
    if seen.status is Status.SUCCEEDED:
        return None
    return seen.failure.message if seen.failure is not None else f"the prediction is {seen.status.value}"
