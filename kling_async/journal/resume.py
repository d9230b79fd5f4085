"""The decision about a job that a journal may know: submit, resubmit, attach or replay."""

from __future__ import annotations

from enum import Enum
from typing import Final

from ..types.errors import InputError, InputFault
from ..types.jobs import Job, fingerprint
from ..types.status import TO_RESUME, JobStatus
from .submission import Decision, Submission

__all__ = ["ResumeAction", "resume_action"]


class ResumeAction(Enum):
    """The action for a job that a journal may know."""

    SUBMIT = "submit"
    RESUBMIT = "resubmit"
    """Submit it as a further attempt."""
    ATTACH = "follow"
    """It is accepted, or may be: look it up if its answer was lost, and poll it until it is finished."""
    REPLAY = "done"
    """It is terminal: return its recorded result, and send nothing."""


def resume_action(
    known: Submission | None, job: Job, *, resubmit_changed: bool = False, resubmit_failed: bool = False
) -> ResumeAction:
    """Return the action for a job.

    Args:
        known: its newest submission in the journal, or None.
        resubmit_changed: submit a job whose input differs from the recorded one again; it is billed again.
        resubmit_failed: submit a job that failed again; it is billed again.

    Raises:
        InputError: the input differs from the one already submitted under this key.
    """
    if known is None:
        return ResumeAction.SUBMIT
    unpaid = known.is_unpaid
    if known.fingerprint != fingerprint(job.input):
        if unpaid or resubmit_changed:
            return ResumeAction.RESUBMIT
        fault = InputFault("input", job.input.prompt, "differs from the one already submitted under this key")
        raise InputError.of("The input was changed", [fault], key=known.key, advice=_CHANGED)
    if known.status is JobStatus.PLANNED:
        return ResumeAction.SUBMIT
    if known.status in TO_RESUME:
        return ResumeAction.ATTACH
    failed = known.status in (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED)
    resubmitted = known.decision is Decision.RESUBMITTED
    return ResumeAction.RESUBMIT if resubmitted or (failed and resubmit_failed) else ResumeAction.REPLAY


_CHANGED: Final = (
    "Nothing was sent for it. Give the changed input another key, or pass resubmit_changed=True to submit it under the "
    "same key, which is billed again."
)
