"""What to do about a job that comes again, after what a journal knows of it."""

from __future__ import annotations

from enum import Enum
from typing import Final

from ..errors import InputError, InputFault
from ..inputs import Job
from ..naming import fingerprint
from .moves import State
from .submissions import Decision, Submission

__all__ = ["Step", "step_for"]


class Step(Enum):
    """What to do about a job that a journal may know."""

    SUBMIT = "submit"
    RESUBMIT = "resubmit"
    """Submit it as a further attempt."""
    FOLLOW = "follow"
    """It is accepted: look at it until it is finished."""
    DONE = "done"
    """It is over; nothing is to be sent."""


def step_for(known: Submission | None, job: Job, *, accept_changed: bool = False, retry_failed: bool = False) -> Step:
    """Return what to do about a job of which a journal knows this.

    Args:
        known: its newest submission.
        accept_changed: take another input under a known key as a new job, which is paid again.
        retry_failed: submit again, and pay again, what has failed.

    Raises:
        InputError: the input is not the one that was submitted under this key.
    """
    if known is None:
        return Step.SUBMIT
    unpaid = known.state in (State.PLANNED, State.FAILED)
    if known.fingerprint != fingerprint(job.input):
        if unpaid or accept_changed:
            return Step.RESUBMIT
        fault = InputFault("input", job.input.prompt, "is not what was submitted under this key before")
        raise InputError.of("The journal knows another input", [fault], key=known.key, advice=_CHANGED)
    if known.state is State.PLANNED:
        return Step.SUBMIT
    if known.state is State.ACCEPTED:
        return Step.FOLLOW
    failed = known.state is State.FAILED or (known.state is State.ENDED and not known.succeeded)
    resubmitted = known.decision is Decision.RESUBMITTED
    return Step.RESUBMIT if resubmitted or (failed and retry_failed) else Step.DONE


_CHANGED: Final = (
    "Nothing was sent for it. Give the changed input another key, or pass accept_changed=True to submit it, and pay "
    "for it, under the same."
)
