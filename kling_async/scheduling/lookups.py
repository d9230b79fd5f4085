"""Look-ups of submissions whose answer is lost: when to ask the provider by the client id, and when to give up.

A look-up that finds nothing proves nothing, as a provider may list a submission late. So it is repeated for a minute,
at growing distances, and only then is the submission unconfirmed. It is never sent again.
"""

from __future__ import annotations

from typing import Final, TypeGuard

from ..types.errors import AnswerLost

__all__ = ["is_last_lookup", "lookup_delay", "needs_lookup"]

_SECONDS: Final = 60.0
"""Seconds for which a submission is looked up."""
_FIRST_DELAY: Final = 0.5


def needs_lookup(result: object, *, has_client_id: bool) -> TypeGuard[AnswerLost]:
    """Return whether a submission with this result is looked up: its answer is lost, and only a client id is known."""
    return isinstance(result, AnswerLost) and has_client_id and result.id is None


def lookup_delay(failures: int, *, age: float) -> float:
    """Return the seconds until the next look-up.

    Args:
        failures: look-ups that found nothing.
        age: seconds since the answer was lost.
    """
    return min(_FIRST_DELAY * 2.0**failures, max(_SECONDS - age, _FIRST_DELAY))


def is_last_lookup(age: float) -> bool:
    """Return whether a look-up at an age is the last one."""
    return age >= _SECONDS
