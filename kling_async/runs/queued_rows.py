"""The rows of a run in a database: one for each of its jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import evolve, frozen

from ..journal.queue_values import QueuedJob
from ..journal.queued_runs import QueuedRuns
from ..journal.submission import Submission
from ..transport.object_urls import is_store_url
from ..types.status import JobStatus, status_of
from .queued_run import RunSettings, job_of, outcome_of
from .report import ReportRow
from .results import JobError, row_from_job

__all__ = ["QueuedRows", "files_from"]


def files_from(settings: RunSettings, folder: Path) -> str:
    """Return what leads from a folder to the files that workers saved in a directory, with a slash at the end."""
    place = settings.save_to
    if place is None or is_store_url(place):
        return ""
    return os.path.relpath(place, folder).replace(os.sep, "/") + "/"


@frozen
class QueuedRows:
    """A row for every job of a run, in their order.

    Each iteration reads them again, and none is kept.

    Attributes:
        runs: those of the database.
        name: the name of the run.
        settings: the settings of the run.
        folder: what leads to saved files in a directory, with a slash at the end.
    """

    runs: QueuedRuns
    name: str
    settings: RunSettings
    folder: str = ""

    def __iter__(self) -> Iterator[ReportRow]:
        """Yield the rows. Raises JournalError if the database cannot be read."""
        for job, attempts in self.runs.jobs(self.name):
            yield self.row(job, attempts)

    def row(self, job: QueuedJob, attempts: Sequence[Submission]) -> ReportRow:
        """Return the row of a job, which has its place in the run, and of its submissions, the oldest first."""
        store = self.settings.save_to
        error = outcome_of(job, attempts).error if job.result is not None else None
        row = row_from_job(
            job_of(job.body),
            attempts,
            position=job.number,
            folder=self.folder,
            store=store if is_store_url(store) else None,
            error=None if error is None else JobError.of(error),
        )
        was_cancelled = error is not None and status_of(None, error) is JobStatus.CANCELLED
        return evolve(row, status=JobStatus.CANCELLED, failure=None) if was_cancelled else row
