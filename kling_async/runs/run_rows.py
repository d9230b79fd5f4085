"""The rows of a run: one for each of its jobs, from its stored jobs and its journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import evolve, frozen

from ..journal.reader import JournalReader
from ..journal.submission import Submission
from ..types.jobs import Job
from ..types.status import JobStatus
from .directory import RunDirectory
from .job_errors import ErrorsByKey
from .report import ReportRow
from .results import REFUSED, is_attempt_at, row_from_job

__all__ = ["FAILED", "RunRows"]

FAILED: Final = JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED
"""Statuses of jobs that can be retried, as they are or edited."""
_ADVICE: Final = {
    JobStatus.UNCONFIRMED: (
        "Look for it in the provider's own history. Then: kling-async unconfirmed {directory} attach {key} ID, "
        "or resubmit {key}, or abandon {key}."
    ),
    JobStatus.RESOLVING: "It is looked up at the provider when it is resumed: kling-async resume {directory}",
    JobStatus.ACCEPTED: "It is running at the provider. Resume with: kling-async resume {directory}",
    JobStatus.PLANNED: "It was not submitted. Resume with: kling-async resume {directory}",
    **dict.fromkeys(FAILED, "Retry what failed (billed again) with: kling-async retry {directory}"),
}
"""Advice for jobs with these statuses, as commands to type."""


@frozen
class RunRows:
    """A row for every job: the stored jobs in their order, then those that only the journal has.

    Each iteration reads them again, and none is kept.

    Attributes:
        directory: has the jobs and the journal.
        errors: the latest errors by key, which the journal may not have.
    """

    directory: RunDirectory
    errors: ErrorsByKey | None = None

    def __iter__(self) -> Iterator[ReportRow]:
        """Yield the rows. Raises JournalError, or InputError if jobs.jsonl was damaged."""
        with self.directory.read() as journal:
            yield from self.of(journal)

    def of(self, journal: JournalReader) -> Iterator[ReportRow]:
        """Yield the rows by a journal that was opened. Raises JournalError, or InputError if jobs.jsonl was damaged."""
        position, submissions, store = 0, 0, self.directory.save_to
        for job in self.directory.jobs():
            attempts = journal.attempts(job.key or "")
            submissions += len(attempts)
            yield self._row(job, attempts, position, store)
            position += 1
        if submissions < len(journal):
            for attempts in self._unlisted(journal):
                submissions += len(attempts)
                yield self._row(attempts[-1].job(), attempts, position, store)
                position += 1
        journal.check_complete(submissions)

    def find(self, journal: JournalReader, key: str) -> ReportRow | None:
        """Return the row of one job by a journal that was opened; None if there is no such job.

        Raises:
            JournalError, InputError: as `of`.
        """
        with self.directory.stored_jobs() as stored:
            job, number = stored.find(key), stored.number_of(key)
            attempts = journal.attempts(key)
            if job is None and not attempts:
                return None
            position = len(stored) if number is None else number
            return self._row(job or attempts[-1].job(), attempts, position, self.directory.save_to)

    def _unlisted(self, journal: JournalReader) -> Iterator[list[Submission]]:
        """Yield the submissions of each key that no stored job has, in the order of the first ones."""
        with self.directory.stored_jobs() as stored:
            for key in journal.keys_in_order():
                if stored.number_of(key) is None:
                    yield journal.attempts(key)

    def _row(self, job: Job, attempts: Sequence[Submission], position: int, store: str | None) -> ReportRow:
        error = None if self.errors is None else self.errors.get(job.key or "")
        folder = f"{self.directory.media.name}/"
        row = row_from_job(job, attempts, position=position, folder=folder, store=store, error=error)
        if (
            attempts
            and attempts[-1].status is JobStatus.FAILED
            and attempts[-1].is_unpaid
            and not is_attempt_at(attempts[-1], job)
        ):
            # It was edited since, and the new input was not submitted yet.
            row = evolve(row, status=JobStatus.PLANNED, failure=None, cause=None)
        if row.status not in _ADVICE or row.failure == REFUSED:
            return row
        return evolve(row, advice=_ADVICE[row.status].format(directory=self.directory.path, key=row.key))
