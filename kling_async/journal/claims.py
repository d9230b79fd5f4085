"""The rules of writing in a journal that several owners share: who may submit a job, and whose news counts.

Theory of operation. To write that a job is being submitted is to claim it: of several owners one succeeds, and only it
submits. From then on the owner writes as it likes. Others may add what is certain: the id of a submission that has
none, the end of an accepted one, or a later state of one that has no living owner. An owner whose lease has ended, and
whose submissions were taken over, is such another, so nothing that it still writes goes back behind what was found. It
alone knows one thing better: that a submission which counts as unconfirmed since it was gone has certainly not started.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from ..types.errors import JournalError
from ..types.status import TO_RESUME, JobStatus
from .submission import Submission

__all__ = ["NotOwner", "StoredSubmission", "is_owned", "may_write"]


class NotOwner(JournalError):
    """A submission was not written, since another owner has it or has found more about it.

    Attributes:
        known: the newest submission of the job, as the journal has it.
        is_own: whether this owner has it itself: it was cut off while it submitted the job.
    """

    def __init__(self, message: str, *, known: Submission, is_own: bool = False, advice: str = "") -> None:
        super().__init__(message, key=known.key, provider=known.provider, advice=advice)
        self.known = known
        self.is_own = is_own


@frozen
class StoredSubmission:
    """A submission in a shared journal.

    Attributes:
        submission: its newest form.
        owner: the number of its owner, which is used once and so is an epoch as well; None without one.
    """

    submission: Submission
    owner: int | None


def is_owned(submission: Submission) -> bool:
    """Return whether a submission has an owner: something remains to be done for it."""
    return submission.status in _IN_WORK or submission.is_unsaved


def may_write(new: Submission, stored: Iterable[StoredSubmission], *, owner: int) -> bool:
    """Return whether an owner may write a submission.

    Args:
        new: the form to be written.
        stored: every attempt at its job.
        owner: the owner that writes.
    """
    attempts = {one.submission.attempt: one for one in stored}
    same = attempts.get(new.attempt)
    if new.status is JobStatus.SUBMITTING:
        # Its own claim again: the answer to the first commit was lost.
        return _may_claim(new, attempts) or (same == StoredSubmission(new, owner))
    if same is None or same.owner == owner:
        return True
    return _adds(new, same.submission, is_owned=same.owner is not None)


def _may_claim(new: Submission, attempts: dict[int, StoredSubmission]) -> bool:
    same = attempts.get(new.attempt)
    if same is not None and same.submission.status is not JobStatus.PLANNED:
        return False
    return not any(
        attempt > new.attempt or one.submission.status is JobStatus.SUBMITTING
        for attempt, one in attempts.items()
        if attempt != new.attempt
    )


def _adds(new: Submission, stored: Submission, *, is_owned: bool) -> bool:
    """Return whether what is not the owner's adds to what is stored."""
    if stored.prediction is None and new.prediction is not None:
        return True  # an id is recorded whoever brings it: it is paid for
    if stored.prediction is not None and (new.prediction is None or new.prediction.id != stored.prediction.id):
        return False
    if stored.decision is not None and new.decision is not stored.decision:
        return False
    if _gives_back(new, stored):
        return True
    if is_owned:
        # Its owner may be gone and its lease not over: the end of what is paid for is worth writing, and nothing else.
        return new.prediction is not None and _ORDER[new.status] > _ORDER[stored.status]
    return _ORDER[new.status] >= _ORDER[stored.status]


def _gives_back(new: Submission, stored: Submission) -> bool:
    """Return whether the client that was cut off while it submitted a job says that this certainly did not start.

    With a client id another one may have repeated the submission in the meantime.
    """
    same = new.sent_at == stored.sent_at and new.client_id is None and stored.client_id is None
    return same and new.status is JobStatus.PLANNED and stored.status is JobStatus.UNCONFIRMED


_IN_WORK: Final = frozenset((JobStatus.SUBMITTING, *TO_RESUME))
_ORDER: Final = {
    JobStatus.PLANNED: 0,
    JobStatus.SUBMITTING: 1,
    JobStatus.RESOLVING: 2,
    JobStatus.UNCONFIRMED: 3,
    JobStatus.ABANDONED: 3,
    JobStatus.ACCEPTED: 4,
    JobStatus.SUCCEEDED: 5,
    JobStatus.FAILED: 5,
    JobStatus.CANCELLED: 5,
    JobStatus.EXPIRED: 5,
}
"""What is found later is higher."""
