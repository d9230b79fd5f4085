"""The status of a job: one vocabulary for journal, events, results, report and command line."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from .errors import (
    AnswerLost,
    AuthenticationError,
    BudgetExceeded,
    InsufficientBalance,
    JournalError,
    KlingError,
    NotSent,
    PermissionDenied,
    RateLimited,
)
from .prediction import Prediction, Status

__all__ = ["ACCOUNT_ERRORS", "TO_RESUME", "JobStatus", "is_accepted", "is_deferred", "status_of"]

ACCOUNT_ERRORS: Final = (AuthenticationError, PermissionDenied, InsufficientBalance)
"""Refusals of the account: every further submission is refused as well."""

_DEFERRED: Final = (NotSent, RateLimited, JournalError, BudgetExceeded, *ACCOUNT_ERRORS)


class JobStatus(StrEnum):
    """The status of a job, as this package tracks it; `Status` is the provider's view of a prediction."""

    PLANNED = "planned"
    """Not submitted, or certainly not started; a later run submits it."""
    SUBMITTING = "submitting"
    """The submission is in flight."""
    RESOLVING = "resolving"
    """The answer to its submission was lost, and it is looked up at the provider by its client id."""
    ACCEPTED = "accepted"
    """Accepted by the provider, and running there."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Refused by the provider, or accepted and failed there."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNCONFIRMED = "unconfirmed"
    """The answer to its submission was lost, so it may be running and may be billed."""
    ABANDONED = "abandoned"
    """It was unconfirmed, and a user's decision gave it up."""

    __hash__ = str.__hash__  # that of enums is slower, and events are counted by status

    @property
    def is_terminal(self) -> bool:
        """Whether a run is finished with it. An unconfirmed job waits for a decision, not for the run."""
        return self in _TERMINAL


TO_RESUME: Final = (JobStatus.ACCEPTED, JobStatus.RESOLVING)
"""The statuses of jobs that a later run polls or looks up."""
_OPEN: Final = (JobStatus.PLANNED, JobStatus.SUBMITTING, *TO_RESUME)
_TERMINAL: Final = frozenset(JobStatus) - frozenset(_OPEN)

_OF_PREDICTION: Final = {
    Status.QUEUED: JobStatus.ACCEPTED,
    Status.RUNNING: JobStatus.ACCEPTED,
    Status.SUCCEEDED: JobStatus.SUCCEEDED,
    Status.FAILED: JobStatus.FAILED,
    Status.CANCELLED: JobStatus.CANCELLED,
    Status.EXPIRED: JobStatus.EXPIRED,
    Status.UNCONFIRMED: JobStatus.UNCONFIRMED,
}


def status_of(prediction: Prediction | None, error: KlingError | None = None) -> JobStatus:
    """Return the status of a job by its prediction or, without one, by its error."""
    if isinstance(error, AnswerLost):
        return JobStatus.ABANDONED if error.status == JobStatus.ABANDONED else JobStatus.UNCONFIRMED
    if prediction is not None:
        return _OF_PREDICTION[prediction.status]
    if error is not None and is_accepted(error):
        return JobStatus.ACCEPTED
    if _was_cancelled(error):
        return JobStatus.CANCELLED
    return JobStatus.PLANNED if error is None or is_deferred(error) else JobStatus.FAILED


def is_deferred(error: KlingError) -> bool:
    """Return whether a later run submits a job that has this error and no prediction."""
    return isinstance(error, _DEFERRED) and not is_accepted(error) and not _was_cancelled(error)


def _was_cancelled(error: KlingError | None) -> bool:
    return isinstance(error, NotSent) and error.reason == "cancelled"


def is_accepted(error: KlingError) -> bool:
    """Return whether an error carries the id of a job that was accepted, and that the journal could not record."""
    return isinstance(error, JournalError) and error.id is not None
