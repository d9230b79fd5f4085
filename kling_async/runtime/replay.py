"""The event about a job that an earlier run has finished."""

from __future__ import annotations

from ..journal.submission import Submission
from ..types.events import Event, EventKind
from ..types.jobs import Job
from ..types.status import JobStatus

__all__ = ["replayed_event"]


def replayed_event(job: Job, known: Submission, *, at: float) -> Event:
    """Return the final event of a job by its submission in the journal; at is in seconds of the client's clock."""
    failed_there = known.prediction is not None and known.status.is_terminal
    return Event(
        kind=EventKind.FINISHED,
        at=at,
        provider=job.provider or "",
        key=known.key,
        status=known.status,
        previous=JobStatus.PLANNED,
        prediction=known.prediction,
        error=None if failed_there else known.error(),
        prompt=job.input.prompt,
        replayed=True,
    )
