"""When a job moves on to another provider: only where its submission certainly did not start."""

from __future__ import annotations

from typing import Final

from ..types.errors import KlingError, NotSent, RateLimited
from ..types.status import ACCOUNT_ERRORS

__all__ = ["is_unreachable", "may_move"]

_MAX_TRIES: Final = 3
_MAX_SECONDS: Final = 10.0
"""Tries, and seconds since the first one, after which a provider counts as unreachable."""
_UNREACHABLE: Final = frozenset({"refused", "timeout", "dns", "tls"})
"""Reasons of `NotSent` that are about the provider, and not about this client."""


def may_move(error: KlingError, *, tries: int, seconds: float) -> bool:
    """Return whether a job that failed with this error moves on: never after a lost answer or a refusal of the input.

    Args:
        error: the error of its submission.
        tries: submissions at this provider so far.
        seconds: seconds since the first of them left.
    """
    if isinstance(error, (RateLimited, *ACCOUNT_ERRORS)):
        return True
    return is_unreachable(error) and (tries >= _MAX_TRIES or seconds >= _MAX_SECONDS)


def is_unreachable(error: KlingError) -> bool:
    """Return whether an error says that the provider could not be reached."""
    return isinstance(error, NotSent) and error.reason in _UNREACHABLE
