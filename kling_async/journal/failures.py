"""The errors of a journal that fails around a submission."""

from __future__ import annotations

from typing import Final

from ..types.errors import JournalError
from .submission import Submission

__all__ = ["id_of", "not_recorded", "not_submitted"]

_NOTHING_SENT: Final = "Nothing was sent for it. Free disk space or repair the journal's disk, then run again."
_IN_EMERGENCY_FILE: Final = (
    "Its id is in {place}, which the journal reads when it is next opened. Nothing more is submitted."
)
_LOST: Final = "Note its id: it could not be saved anywhere. Nothing more is submitted."


def id_of(submission: Submission) -> str | None:
    """Return the id of a submission at its provider; None before it is known."""
    return None if submission.prediction is None else submission.prediction.id


def not_submitted(submission: Submission, failure: JournalError | None) -> JournalError:
    """Return the error for a job whose intent could not be written; without a failure the journal is closed."""
    reason = "The journal is closed" if failure is None else failure.message
    advice = _NOTHING_SENT if failure is None else failure.advice or _NOTHING_SENT
    return JournalError(
        f"It was not submitted: {reason}", provider=submission.provider, key=submission.key, advice=advice
    )


def not_recorded(submission: Submission, failure: JournalError, *, place: str | None) -> JournalError:
    """Return the error for an accepted job that could not be written.

    Args:
        submission: its newest form.
        failure: the error of the journal.
        place: the emergency file that has its id; None if it could be saved nowhere.
    """
    return JournalError(
        f"It was accepted, and then: {failure.message}",
        provider=submission.provider,
        key=submission.key,
        id=id_of(submission),
        may_be_billed=True,
        advice=_LOST if place is None else _IN_EMERGENCY_FILE.format(place=place),
    )
