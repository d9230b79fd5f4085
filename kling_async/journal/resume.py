"""The decision about a job that a journal may know: submit, resubmit, attach or replay."""

from __future__ import annotations

from enum import Enum
from typing import Final

from ..types.errors import InputError, InputFault
from ..types.jobs import Job, fingerprint
from ..types.status import TO_RESUME, JobStatus
from .submission import Decision, Submission

__all__ = ["ResumeAction", "changed_input", "resume_action", "why_not_unconfirmed"]


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
    known: Submission | None,
    job: Job,
    *,
    resubmit_changed: bool = False,
    resubmit_failed: bool = False,
    is_shared: bool = False,
) -> ResumeAction:
    """Return the action for a job.

    Args:
        known: its newest submission in the journal, or None.
        resubmit_changed: submit a job whose input differs from the recorded one again; it is billed again.
        resubmit_failed: submit a job that failed again; it is billed again.
        is_shared: whether the journal refuses to submit what another client is submitting, whose answer is awaited.

    Raises:
        InputError: the input differs from the one already submitted under this key.
    """
    if known is None:
        return ResumeAction.SUBMIT
    unpaid = known.is_unpaid
    if not known.is_of(fingerprint(job.input)):
        if unpaid or resubmit_changed:
            return ResumeAction.RESUBMIT
        raise changed_input(known, job.input.prompt)
    return _action_of_same(known, resubmit_failed=resubmit_failed, is_shared=is_shared)


def _action_of_same(known: Submission, *, resubmit_failed: bool, is_shared: bool) -> ResumeAction:
    if known.status is JobStatus.PLANNED or (is_shared and known.status is JobStatus.SUBMITTING):
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


def changed_input(known: Submission, prompt: str) -> InputError:
    """Return the error for another input under the key of a submission."""
    fault = InputFault("input", prompt, "differs from the one already submitted under this key")
    return InputError.of("The input was changed", [fault], key=known.key, advice=_CHANGED)


def why_not_unconfirmed(known: Submission | None) -> str:
    """Return why a job is not unconfirmed, or no longer."""
    if known is None:
        return "it is not in the journal"
    if known.decision is not None:
        return f"it was {known.decision.value} before"
    return _NOT_UNCONFIRMED.get(known.status, f"it is {known.status.value}")


_NOT_UNCONFIRMED: Final = {
    JobStatus.PLANNED: "it was not submitted",
    JobStatus.RESOLVING: "it is being looked up at the provider",
    JobStatus.SUCCEEDED: "it has finished",
    JobStatus.FAILED: "it has failed",
}
