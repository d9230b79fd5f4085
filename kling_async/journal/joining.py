"""A job that another client is submitting: its answer is awaited, and is the answer here as well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from ..system.clock import Clock
from ..types.errors import JournalError
from ..types.prediction import Prediction
from ..types.status import JobStatus
from .claims import NotOwner
from .resume import changed_input
from .submission import Submission

__all__ = ["await_answer", "joined_prediction"]

_FIRST_DELAY, _MAX_DELAY = 0.05, 2.0
_SECONDS: Final = 300.0
"""Longer than any submission, look-up or lease lasts."""
_WITHOUT_ANSWER: Final = (JobStatus.SUBMITTING, JobStatus.RESOLVING)


async def await_answer(
    known: Submission, *, find: Callable[[str], Awaitable[Submission | None]], clock: Clock
) -> Submission:
    """Read the newest submission of a job again and again until it has an answer, and return it.

    Args:
        known: it, as another client has written it.
        find: reads it.
        clock: tells the time.

    Raises:
        NotOwner: no answer came for minutes.
        JournalError: the journal cannot be read.
    """
    until, delay = clock.now() + _SECONDS, _FIRST_DELAY
    while known.status in _WITHOUT_ANSWER:
        if clock.now() > until:
            advice = "Nothing was sent for it here. Run again: by then the other client has its answer, or is gone."
            raise NotOwner("Another client submits the job, and has had no answer so far", known=known, advice=advice)
        await clock.sleep(delay)
        delay = min(2 * delay, _MAX_DELAY)
        known = await find(known.key) or known
    return known


def joined_prediction(known: Submission, wanted: Submission) -> Prediction | None:
    """Return the prediction of another client's submission; None if it certainly did not start.

    Args:
        known: that submission.
        wanted: the one that was to be made.

    Raises:
        InputError: its input is another one.
        KlingError: it was refused, or its answer was lost.
    """
    if not known.is_of(wanted.replaces or wanted.fingerprint):
        raise changed_input(known, wanted.job().input.prompt)
    if known.status is JobStatus.PLANNED:
        return None
    if known.prediction is not None:
        return known.prediction
    raise known.error() or JournalError(f"Another client has the job, which is {known.status.value}", key=known.key)
