"""Why a job cannot be retried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..journal.submission import Submission
from ..types.errors import InputError, InputFault
from ..types.status import TO_RESUME, JobStatus

__all__ = ["NOT_IN_RUN", "SUCCEEDED", "raise_for_not_retried", "why_not_retried"]

NOT_IN_RUN: Final = "is not in that run"
SUCCEEDED: Final = "has succeeded with this input: change it with --set NAME=VALUE"
_UNDECIDED: Final = {
    JobStatus.UNCONFIRMED: "is unconfirmed: resolve it with kling-async unconfirmed {run}",
    JobStatus.ABANDONED: "was abandoned and may be paid: run its input under another key",
}


def why_not_retried(newest: Submission | None, *, run: str) -> str | None:
    """Return why a job cannot be retried that may be paid, or is running; None if it can.

    Args:
        newest: its newest submission; None without one.
        run: the run, as commands name it.
    """
    if newest is None:
        return None
    if newest.status in TO_RESUME:
        return f"is {newest.status.value}: wait for it with kling-async resume {run}"
    return _UNDECIDED.get(newest.status, "").format(run=run) or None


def raise_for_not_retried(faults: Sequence[InputFault]) -> None:
    """Raise InputError if there are faults."""
    if faults:
        raise InputError.of("These jobs cannot be retried", faults, advice="Nothing was sent.")
