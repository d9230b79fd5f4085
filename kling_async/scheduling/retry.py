"""Decide from an error whether a request may be sent again, and when.

Theory of operation. A submission costs money and no provider here takes an idempotency key, so the question is whether
the provider can have started work. No byte left: send again. It said no before it started (429): send again, later. It
said no for good: give up. Everything else, above all silence and 5xx behind a gateway, is UNCONFIRMED and is never sent
again. A poll changes nothing, so it is repeated after every error that can pass.

A failed submission is classified once, where its answer is read: if the provider `may_have_started`, the error becomes
`AnswerLost`. From then on the type of the error says what to do.

Delays are backoff's generators, drawn with the caller's random number. Its decorators sleep with asyncio, read the wall
clock and shorten Retry-After; they are not used.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import backoff

from ..types.errors import (
    AnswerLost,
    BadRequest,
    KlingError,
    NotSent,
    ProviderUnavailable,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from ..types.status import ACCOUNT_ERRORS

__all__ = ["backoff_delay", "is_account_wide", "max_submit_attempts", "may_have_started", "may_retry_poll"]

_AMBIGUOUS: Final = frozenset({408, 409, 425})
"""HTTP refusals that may come after the work was started: time-out, conflict, too early."""


def may_have_started(error: KlingError) -> bool:
    """Return whether the provider may have started a submission that failed with this error."""
    if isinstance(error, Refused) and not isinstance(error, (RateLimited, ProviderUnavailable)):
        return _is_ambiguous(error)
    return isinstance(error, (AnswerLost, ProviderUnavailable, UnexpectedReply))


def _is_ambiguous(error: Refused) -> bool:
    # A gateway that answers everything with 200 or 400 gives the real status in the body only.
    in_body = error.http_status in (200, 400) and error.code in {str(status) for status in _AMBIGUOUS}
    return in_body or error.http_status in _AMBIGUOUS


_MAX_ATTEMPTS: Final = {"refused": 5, "timeout": 5, "late": 5, "dns": 3, "tls": 1}
"""Attempts by the reason why nothing was sent. A TLS failure is a wrong setting, and does not pass by itself."""
_MAX_RATE_LIMITED: Final = 8
"""Attempts that end with 429 while no other job is open."""


def max_submit_attempts(error: KlingError) -> int:
    """Return how many attempts of a submission may end with this error; 1 if it is final."""
    if isinstance(error, NotSent):
        return _MAX_ATTEMPTS.get(error.reason, 1)
    if isinstance(error, RateLimited):
        return _MAX_RATE_LIMITED
    return 1


def is_account_wide(error: KlingError | None) -> bool:
    """Return whether an error of one job would meet every job: the account, the host name or the certificate."""
    return isinstance(error, ACCOUNT_ERRORS) or (isinstance(error, NotSent) and error.reason in ("dns", "tls"))


_NOT_FOUND_GRACE: Final = 60.0
"""Seconds for which a provider may not know an id that it has just given out."""


def may_retry_poll(error: KlingError, *, age: float) -> bool:
    """Return whether a poll that failed is repeated, until the listeners' deadlines and not a number of times.

    Whether it was sent does not matter: a poll that could not leave is a `ProviderUnavailable` like any other.

    Args:
        error: the error of the poll.
        age: seconds since the prediction was accepted.
    """
    if isinstance(error, BadRequest):
        is_unknown = error.http_status == 404 or error.is_unknown_id
        return _is_ambiguous(error) or (is_unknown and age < _NOT_FOUND_GRACE)
    return isinstance(error, (RateLimited, ProviderUnavailable, UnexpectedReply))


_MAX_RETRY_AFTER: Final = 300.0
"""The longest Retry-After that is obeyed, in seconds; a longer one is a mistake, or hides an outage."""


def backoff_delay(error: KlingError, *, failures: int, random: float) -> float:
    """Return the seconds to wait before a request is sent again.

    Full jitter under 0.5, 1, 2, ... 30 seconds. A Retry-After is a minimum: jitter is added to it, never taken from it.

    Args:
        error: the error of the last attempt.
        failures: how often the request has failed.
        random: a number drawn evenly from 0 up to 1.
    """
    delay = next(islice(backoff.expo(base=2, factor=0.5, max_value=30.0), failures, None)) * random
    retry_after = error.retry_after if isinstance(error, Refused) else None
    return delay if retry_after is None else min(retry_after, _MAX_RETRY_AFTER) + delay * 0.1
