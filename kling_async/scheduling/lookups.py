"""Look-ups of submissions whose answer is lost: when to ask the provider by the client id, and when to give up.

A look-up that finds nothing proves nothing, as a provider may list a submission late. So it is repeated for a minute,
at growing distances, and only then is the submission unconfirmed. A submission is never sent again, except where the
provider replays the first answer to a second one with the same idempotency key: there a look-up is such a second one.
"""

from __future__ import annotations

from typing import Final, TypeGuard

from ..types.errors import AnswerLost, KlingError, Refused
from ..types.status import is_accepted
from .transitions import Trigger

__all__ = ["end_of_lookups", "is_in_window", "is_last_lookup", "lookup_delay", "needs_lookup"]

_SECONDS: Final = 60.0
"""Seconds for which a submission is looked up."""
_FIRST_DELAY: Final = 0.5
_WINDOW_SHARE: Final = 0.9


def needs_lookup(result: object, *, has_client_id: bool) -> TypeGuard[AnswerLost]:
    """Return whether a submission with this result is looked up: its answer is lost, and only a client id is known.

    One that has a status is from a journal: another client has lost the answer to a submission under another client id.
    """
    return isinstance(result, AnswerLost) and has_client_id and result.id is None and result.status is None


def is_in_window(age: float, window: float | None) -> bool:
    """Return whether a submission may be repeated under its idempotency key.

    Args:
        age: seconds since it was sent.
        window: seconds for which the provider documents that it knows the key; None where it documents nothing. A
            tenth of them is left, for clocks that differ and for the minute that look-ups go on.
    """
    return window is not None and 0.0 <= age < window * _WINDOW_SHARE


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


def end_of_lookups(error: KlingError, *, is_last: bool) -> Trigger | None:
    """Return the trigger that ends a submission whose look-up had this result; None if it is looked up again."""
    if is_accepted(error):
        return Trigger.UNRECORDED
    if isinstance(error, Refused):
        return Trigger.REFUSED
    return Trigger.ANSWER_LOST if is_last else None
