"""From an error to a verdict: may this request be sent again, and when?

Theory of operation. A submission costs money and no provider here takes an idempotency key, so what decides is whether
the provider can have started work. No byte left: send again. It said no before it started (429): send again, later. It
said no for good: give up. Everything else, above all silence and 5xx behind a gateway, is UNCONFIRMED and is never sent
again. A poll changes nothing, so it is repeated after anything that can pass.

Delays are backoff's generators, drawn with the caller's dice. Its decorators sleep with asyncio, read the wall clock
and shorten Retry-After; they are not used.
"""

from __future__ import annotations

from enum import Enum
from itertools import islice
from typing import Final

import backoff
from attrs import frozen

from ..errors import (
    AnswerLost,
    BadRequest,
    KlingError,
    NotSent,
    ProviderUnavailable,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from .moves import LATCHING

__all__ = ["Action", "Verdict", "is_for_all_jobs", "judge_poll", "judge_submission", "wait_before"]


class Action(Enum):
    """What to do about an error."""

    REPEAT = "repeat"
    GIVE_UP = "give up"
    UNCONFIRMED = "unconfirmed"


@frozen
class Verdict:
    """What to do about an error; `attempts` is how many attempts in all may end with this error."""

    action: Action
    attempts: int = 1


_UNCLEAR: Final = frozenset({408, 409, 425})
"""Refusals that may come after the work was started: time-out, conflict, too early."""


def _unclear(error: Refused) -> bool:
    # A gateway that answers everything with 200 or 400 says what it means in the body only.
    in_body = error.http_status in (200, 400) and error.code in {str(status) for status in _UNCLEAR}
    return in_body or error.http_status in _UNCLEAR


_SENDS: Final = {"refused": 5, "timeout": 5, "dns": 3, "tls": 1}
"""Attempts by why nothing was sent. A TLS failure is a setting that is wrong, and does not pass by itself."""


def judge_submission(error: KlingError) -> Verdict:
    """Return what to do about a submission that failed."""
    if isinstance(error, NotSent):
        return Verdict(Action.REPEAT, _SENDS.get(error.reason, 1))
    if isinstance(error, RateLimited):
        return Verdict(Action.REPEAT, 8)
    if isinstance(error, Refused) and not isinstance(error, ProviderUnavailable) and not _unclear(error):
        return Verdict(Action.GIVE_UP)
    if isinstance(error, (AnswerLost, Refused, UnexpectedReply)):
        return Verdict(Action.UNCONFIRMED)
    return Verdict(Action.GIVE_UP)


def is_for_all_jobs(error: KlingError | None) -> bool:
    """Return whether what went wrong for one job would go wrong for each: the account, the name or the certificate."""
    return isinstance(error, LATCHING) or (isinstance(error, NotSent) and error.reason in ("dns", "tls"))


_SETTLES_FOR: Final = 60.0
"""Seconds for which a provider may not know an id that it has just given out."""


def judge_poll(error: KlingError, *, asked_for: float) -> Verdict:
    """Return what to do about a poll that failed, `asked_for` seconds after the first.

    Whether it was sent is not asked: a poll that could not leave is a `ProviderUnavailable` like any other.
    """
    if isinstance(error, (RateLimited, ProviderUnavailable, UnexpectedReply)):
        return Verdict(Action.REPEAT, _ENDLESS)
    if isinstance(error, BadRequest):
        settling = error.http_status == 404 and asked_for < _SETTLES_FOR
        passing = settling or _unclear(error)
        return Verdict(Action.REPEAT if passing else Action.GIVE_UP, _ENDLESS)
    return Verdict(Action.GIVE_UP)


_ENDLESS: Final = 1 << 30
"""A poll is repeated until the caller's deadline, not a number of times."""

_LONGEST_WAIT: Final = 300.0
"""The longest Retry-After that is obeyed, in seconds; a longer one is a mistake, or hides an outage."""


def wait_before(error: KlingError, *, tries: int, dice: float) -> float:
    """Return how long to wait, in seconds, before sending again what has failed `tries` times, the last with `error`.

    Full jitter under 0.5, 1, 2, ... 30 seconds. What the provider asks is a floor: jitter is added to it, never taken
    from it.

    Args:
        dice: a number drawn evenly from 0 up to 1.
    """
    wait = next(islice(backoff.expo(base=2, factor=0.5, max_value=30.0), tries, None)) * dice
    asked = error.retry_after if isinstance(error, Refused) else None
    return wait if asked is None else min(asked, _LONGEST_WAIT) + wait * 0.1
